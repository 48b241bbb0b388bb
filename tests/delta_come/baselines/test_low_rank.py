import pytest
import torch

from lib.delta_come.baselines import affordable_ranks, low_rank, sign_and_low_rank, sign_passes, sign_vectors
from lib.delta_come.errors import DeltaError

SHAPES = {"square": (20, 20), "wide": (9, 31), "tall": (31, 9)}


@pytest.fixture
def delta():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(24, 3, generator=generator) @ torch.randn(3, 18, generator=generator)


def test_a_matrix_of_low_rank_is_kept_to_the_digits_of_fp16(delta):
    assert torch.allclose(low_rank("w", delta, 3).delta(), delta, rtol=0, atol=5e-3 * delta.abs().max().item())


def test_a_truncation_leaves_the_energy_of_what_it_drops(delta):
    left = (delta - low_rank("w", delta, 2).delta()).norm().item()
    assert left == pytest.approx(torch.linalg.svdvals(delta)[2].item(), rel=1e-2)


def test_no_singular_values_are_stored_beside_the_factors(delta):
    assert low_rank("w", delta, 2).true_bytes == 2 * 2 * (24 + 18)


def test_ranks_spend_the_whole_budget_but_for_less_than_one():
    ranks = affordable_ranks(SHAPES, lambda m, n: 6 * m * n)
    spent = sum(16 * (m + n) * ranks[name] for name, (m, n) in SHAPES.items())
    budget = sum(6 * m * n for m, n in SHAPES.values())
    assert spent <= budget < spent + 16 * 40


def test_what_is_left_over_goes_to_the_matrix_that_lost_most():
    # 20 x 20 pays for 1.75 ranks and 30 x 10 for 1.31: one rank more is left, for the first.
    assert affordable_ranks({"b": (30, 10), "a": (20, 20)}, lambda m, n: 2.8 * m * n) == {"a": 2, "b": 1}


def test_no_matrix_gets_more_ranks_than_it_has():
    assert affordable_ranks({"a": (4, 6)}, lambda m, n: 10**6) == {"a": 4}


def test_a_budget_below_one_rank_of_each_is_refused():
    with pytest.raises(DeltaError, match="a LoRA at fp16 takes at least a rank of every matrix, 240 bytes"):
        affordable_ranks(SHAPES, lambda m, n: 16, "a LoRA")


def test_signs_with_a_residual_err_less_than_signs_and_pay_for_both(delta):
    signs, both = sign_passes("w", delta), sign_and_low_rank("w", delta, 2)
    assert (delta - both.delta()).norm() < 0.8 * (delta - signs.delta()).norm()
    assert both.true_bytes == signs.true_bytes + 2 * 2 * (24 + 18)


def test_vectors_of_signs_take_a_bit_an_entry_and_spend_the_budget(delta):
    matrix = sign_vectors("w", delta, bits=2 * (24 + 18 + 16) + 5)
    assert matrix.true_bytes == (2 * 58 + 7) // 8
    assert torch.linalg.matrix_rank(matrix.delta()) == 2


def test_vectors_of_signs_point_where_the_delta_does(delta):
    approximation = sign_vectors("w", delta, bits=10**6).delta()
    assert torch.cosine_similarity(approximation.flatten(), delta.flatten(), dim=0) > 0.5


def test_vectors_of_signs_below_one_rank_are_refused(delta):
    with pytest.raises(DeltaError, match="takes 58 bits and the budget is 57"):
        sign_vectors("w", delta, bits=57)
