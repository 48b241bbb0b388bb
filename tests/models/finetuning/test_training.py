from itertools import chain

import pytest
import torch

from lib.corpora.tasks import make_task
from lib.models import ModelError
from lib.models.finetuning import Schedule, training
from lib.models.finetuning.examples import Examples, encode, training_order
from lib.models.finetuning.shapes import build_shape, character_tokenizer
from lib.models.finetuning.training import fit
from tests.models.finetuning.conftest import SHAPE

SCHEDULE = Schedule(steps=8, batch=4, learning_rate=1e-2, warmup=2, items=30)


class Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def examples():
    return encode(make_task("brackets", train=30, test=1).train, character_tokenizer())


@pytest.fixture(autouse=True)
def _save_every_step(monkeypatch):
    monkeypatch.setattr(training, "_SAVE_EVERY_S", -1.0)


def fitted(examples, state, schedule=SCHEDULE):
    model = build_shape(SHAPE, seed=0)
    return model, fit(model, examples, schedule, state)


def interrupt_at(step, monkeypatch):
    rate = training.rate_at

    def interrupting(at, schedule):
        if at == step:
            raise Interrupted
        return rate(at, schedule)

    monkeypatch.setattr(training, "rate_at", interrupting)


@pytest.mark.parametrize("step", [1, 5, 7])
def test_an_interrupted_fine_tune_ends_bit_for_bit_as_if_it_had_not_been(examples, tmp_path, monkeypatch, step):
    whole, losses = fitted(examples, tmp_path / "whole")
    with monkeypatch.context() as interruption:
        interrupt_at(step, interruption)
        with pytest.raises(Interrupted):
            fitted(examples, tmp_path / "state")
    resumed, continued = fitted(examples, tmp_path / "state")
    assert continued == losses
    assert len(losses) == 8
    for (name, one), two in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert one.equal(two), name


def test_only_the_answers_tokens_decide_the_loss(tmp_path):
    examples = Examples(((5, 6, 7, 0), (5, 6, 7, 8, 9, 0)), (2, 2), filler=0)
    model = build_shape(SHAPE, seed=0)
    ids, answers = examples.batch([0, 1])
    assert answers.tolist() == [[False, False, True, True, False, False], [False, False, True, True, True, True]]
    with torch.no_grad():
        logits = model(ids).logits
        terms = [
            torch.nn.functional.cross_entropy(logits[row, place - 1], ids[row, place])
            for row, place in answers.nonzero().tolist()
        ]
        alone = model(ids[:1, :4]).logits
    assert torch.allclose(alone, logits[:1, :4], atol=1e-6)  # fillers change nothing before them
    (first,) = fit(model, examples, Schedule(steps=1, batch=2, learning_rate=1e-3), tmp_path / "state")
    assert first == pytest.approx(sum(terms).item() / len(terms), rel=1e-5)


def test_a_text_without_a_prompt_is_learnt_from_its_second_token():
    _, answers = Examples(((5, 6, 0),), (0,), filler=0).batch([0])
    assert answers.tolist() == [[False, True, True]]


def test_an_example_is_prompt_answer_and_end(examples):
    item = make_task("brackets", train=30, test=1).train[0]
    tokenizer = character_tokenizer()
    ids, start = examples.ids[0], examples.starts[0]
    assert tokenizer.decode(ids[:start]) == item["prompt"]
    assert tokenizer.decode(ids[start:-1]) == item["answer"]
    assert ids[-1] == tokenizer.eos_token_id


def test_every_item_comes_once_before_one_comes_twice():
    order = training_order([3] * 12, steps=6, batch=4, seed=0)
    assert sorted(chain(*order[:3])) == sorted(chain(*order[3:])) == list(range(12))
    assert order[:3] != order[3:]


def test_a_batch_holds_items_of_like_length():
    lengths = [number % 40 for number in range(320)]
    order = training_order(lengths, steps=40, batch=8, seed=0)
    padded = sum(len(batch) * max(lengths[number] for number in batch) for batch in order)
    assert padded < 1.15 * sum(lengths)


def test_fewer_items_than_a_batch_are_one_batch():
    assert [sorted(batch) for batch in training_order([2, 3], steps=3, batch=8, seed=0)] == [[0, 1]] * 3


def test_the_rate_warms_up_and_ends_at_nothing():
    schedule = Schedule(steps=1000, batch=1, learning_rate=1.0, warmup=10)
    rates = [training.rate_at(step, schedule) for step in range(1000)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) > 0.99
    assert rates[-1] < 1e-4


def test_a_loss_that_is_no_number_stops_the_training(examples, tmp_path):
    model = build_shape(SHAPE, seed=0)
    model.model.norm.weight.data[0] = float("nan")
    with pytest.raises(ModelError, match=r"loss is nan at step 0 .*lower the learning rate"):
        fit(model, examples, SCHEDULE, tmp_path / "state")


def test_no_items_are_an_error():
    with pytest.raises(ModelError, match="no items"):
        encode([], character_tokenizer())


def test_a_tokenizer_without_an_end_is_refused():
    tokenizer = character_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(ModelError, match="has no end token"):
        encode([{"prompt": "1", "answer": "2"}], tokenizer)
