import pytest
import torch

from lib.delta_come.artifact import in_memory
from lib.delta_come.errors import DeltaError
from lib.delta_come.plan import Plan, Storage
from lib.delta_come.synthetic import synthetic_delta

SHAPES = {"model.layers.0.mlp.up_proj.weight": (96, 64)}
NAME = next(iter(SHAPES))


@pytest.mark.parametrize(
    "storage", [Storage(), Storage(group_size=32, permutation=True), Storage(symmetric=True), Storage(rank_scales=True)]
)
def test_a_synthetic_delta_has_the_bits_of_its_plan(storage):
    delta = synthetic_delta(SHAPES, "8:2,3:5,2:rest", 1 / 4, storage=storage)
    plan = Plan.parse("8:2,3:5,2:rest").resolve(96, 64, 1 / 4)
    assert in_memory(delta).matrices[NAME].plan == str(plan)
    assert delta.matrices[NAME].true_bytes == (plan.true_bits(96, 64, storage) + 7) // 8


def test_it_has_about_the_size_that_was_asked_for():
    found = synthetic_delta(SHAPES, "3:rest", 1 / 2, size=0.02).matrices[NAME].delta()
    assert 0.01 < found.square().mean().sqrt().item() < 0.04


def test_a_seed_decides_it_all():
    one, same, other = (synthetic_delta(SHAPES, "2:rest", 1 / 8, seed).matrices[NAME].delta() for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_no_matrices_are_refused():
    with pytest.raises(DeltaError, match="no matrices to make a synthetic delta of"):
        synthetic_delta({}, "2:rest")
