import math

import pytest
import torch

from lib.corpora.tasks import make_task
from lib.delta_come.contest import (
    Budget,
    Trial,
    best_trial,
    fit_lora,
    lora_ranks,
    measure,
    projection_shapes,
    sweep,
    validation_items,
)
from lib.delta_come.contest.lora import answer_loss
from lib.delta_come.errors import DeltaError
from lib.models.finetuning import Schedule

BUDGET = Budget(1 / 8)
SCHEDULE = Schedule(steps=3, batch=4, learning_rate=1.0)


@pytest.fixture(scope="module")
def items():
    return list(make_task("chains", 16, 1).train)


def test_the_ranks_take_the_bytes_of_the_budget(setting):
    ranks, shapes = lora_ranks(setting, BUDGET), projection_shapes(setting.pair)
    allowed = BUDGET.bytes(shapes.values())
    assert 0.95 * allowed < sum(2 * ranks[name] * sum(shapes[name]) for name in ranks) <= allowed


def test_a_lora_is_measured_like_any_other(setting, items):
    pytest.importorskip("peft")
    trained = fit_lora(setting, items, BUDGET, SCHEDULE, 1e-2)
    score = measure(trained.stored, setting, BUDGET, outside="base")
    assert score.within_budget
    assert score.kl == pytest.approx(setting.base_divergence.mean, rel=0.5)  # it has hardly learnt


def test_validation_items_are_none_of_the_tested_ones(setting):
    tested = {item["prompt"] for item in setting.items}
    found = validation_items(setting, 20)
    assert len(found) == 20
    assert not tested & {item["prompt"] for item in found}


def test_a_sweep_tries_every_rate_and_survives_one_that_diverges(setting, items):
    pytest.importorskip("peft")
    low, diverged = sweep(setting, items, BUDGET, SCHEDULE, [1e-3, float("inf")], validation=4)
    assert low.trained.stored.true_bytes > 0
    assert math.isfinite(low.loss)
    assert (diverged.trained, diverged.accuracy, diverged.loss) == (None, 0, math.inf)


def test_the_loss_on_answers_is_the_mean_over_their_tokens(setting):
    model, tokenizer, items = setting.base.model, setting.base.tokenizer, setting.items[:3]
    total = tokens = 0
    for item in items:
        prompt, answer = (tokenizer(item[column])["input_ids"] for column in ("prompt", "answer"))
        ids = torch.tensor([[*prompt, *answer, tokenizer.eos_token_id]])
        with torch.no_grad():
            logs = model(ids).logits[0, :-1].log_softmax(-1)
        total -= logs[torch.arange(ids.shape[1] - 1), ids[0, 1:]][len(prompt) - 1 :].sum().item()
        tokens += len(answer) + 1
    assert answer_loss(model, tokenizer, items) == pytest.approx(total / tokens, rel=1e-5)


def test_the_best_trial_has_the_largest_share_and_of_equals_the_smallest_loss():
    trials = [
        Trial(1e-3, 0.5, 0.1, "a"),
        Trial(2e-3, 0.7, 0.3, "b"),
        Trial(4e-3, 0.7, 0.2, "c"),
        Trial(8e-3, 0.9, 1, None),
    ]
    assert best_trial(trials).learning_rate == 4e-3


def test_trials_that_all_came_to_nothing_ask_for_smaller_rates():
    with pytest.raises(DeltaError, match=r"no LoRA came of the learning rates 0\.5; give smaller ones"):
        best_trial([Trial(0.5, 0.0, math.inf, None)])
