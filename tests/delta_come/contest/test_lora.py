import pytest

from lib.corpora.tasks import make_task
from lib.delta_come.contest import (
    Budget,
    best_rate,
    fit_lora,
    lora_ranks,
    measure,
    projection_shapes,
    sweep,
    validation_items,
)
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


def test_a_sweep_gives_a_share_for_every_rate_and_nothing_for_a_diverged_one(setting, items):
    pytest.importorskip("peft")
    found = sweep(setting, items, BUDGET, SCHEDULE, [1e-3, float("inf")], validation=4)
    assert list(found) == [1e-3, float("inf")]
    assert found[float("inf")] == 0


def test_the_best_rate_has_the_largest_share_and_of_equals_is_the_smallest():
    assert best_rate({1e-3: 0.5, 4e-3: 0.7, 2e-3: 0.7}) == 2e-3
