import pytest

from lib.delta_come.contest import METHODS, Budget, fitting, method_named, projection_shapes
from lib.delta_come.errors import DeltaError

# Those that a matrix of 64 x 64 pays for at this ratio, and that train nothing.
FAST = [name for name in METHODS if "trained" not in name and name != "delta_come_fixed"]
WIDE = Budget(1 / 4)


@pytest.fixture(scope="module")
def made(setting):
    return fitting(FAST, setting, WIDE)


def allowed(setting, budget):
    return budget.bytes(projection_shapes(setting.pair).values())


@pytest.mark.parametrize("name", FAST)
def test_a_method_covers_every_projection_within_the_budget(made, setting, name):
    stored, refused = made
    assert name in stored, refused.get(name)
    assert list(stored[name].matrices) == list(setting.pair.projections)
    assert stored[name].true_bytes <= allowed(setting, WIDE)


@pytest.mark.parametrize("name", FAST)
def test_a_method_is_closer_to_the_delta_than_nothing_is_at_a_quarter(made, setting, name):
    """But for plans at 2 bits, whose min-max grid loses more in weights than it keeps."""
    errors = [
        ((delta - made[0][name].matrices[own].delta()).square().sum() / delta.square().sum()).item()
        for own, delta in setting.pair.deltas()
    ]
    assert min(errors) < 1


@pytest.mark.parametrize("name", ["low_rank", "bitdelta", "gptq3_folded", "dare4", "improved"])
def test_a_method_spends_nearly_all_of_the_budget(made, setting, name):
    assert made[0][name].true_bytes > (0.45 if name == "bitdelta" else 0.85) * allowed(setting, WIDE)


def test_a_method_that_does_not_fit_is_left_out_with_its_reason(setting):
    stored, refused = fitting(["bitdelta", "sign_low_rank", "low_rank"], setting, Budget(1 / 16))
    assert list(stored) == ["bitdelta", "low_rank"]
    assert "larger ratio" in refused["sign_low_rank"]


def test_bitdelta_fits_at_a_sixteenth_to_the_bit(setting):
    stored, _ = fitting(["bitdelta"], setting, Budget(1 / 16))
    assert stored["bitdelta"].true_bytes == allowed(setting, Budget(1 / 16))


def test_a_scale_a_row_is_more_than_a_sixteenth_and_says_so(setting):
    stored, _ = fitting(["bitdelta_rows"], setting, Budget(1 / 16))
    assert stored["bitdelta_rows"].true_bytes > allowed(setting, Budget(1 / 16))
    assert method_named("bitdelta_rows").over_budget


def test_more_bytes_give_bitdelta_more_passes(setting):
    stored, _ = fitting(["bitdelta"], setting, Budget(1 / 8))
    assert {len(matrix.signs) for matrix in stored["bitdelta"].matrices.values()} == {2}


def test_the_bytes_of_the_papers_plan_are_more_than_its_ratio(setting):
    like = Budget(1 / 4, like="8:0.8%,3:4.7%,2:rest")
    assert allowed(setting, like) > 1.1 * allowed(setting, WIDE)


def test_an_unknown_method_is_told_the_known_ones():
    with pytest.raises(DeltaError, match="no method 'bitdelt'; choose from delta_come, "):
        method_named("bitdelt")
