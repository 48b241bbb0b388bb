import pytest
import torch

from lib.delta_come import DeltaError
from lib.delta_come.refit import Refit
from lib.delta_come.spectrum import decompose
from tests.delta_come.conftest import hessian_of, make_layer


def parts(noise):
    """A delta, its inputs' Hessian, and two groups of directions whose V was disturbed."""
    delta, inputs = make_layer(0)
    directions, generator = decompose(delta, 14), torch.Generator().manual_seed(1)
    V = directions.V + noise * torch.randn(14, 40, generator=generator)
    groups = [(directions.take(own), V[own]) for own in (torch.arange(4), torch.arange(4, 14))]
    return delta, inputs, groups


def test_it_is_the_least_squares_solution_on_the_inputs(monkeypatch):
    monkeypatch.setattr("lib.delta_come.refit._RIDGE", 1e-9)
    delta, inputs, groups = parts(0.05)
    refit = Refit(delta, groups, hessian_of(inputs))
    V = torch.cat([V for _, V in groups])
    exact = torch.linalg.lstsq((inputs @ V.T).double(), (inputs @ delta.T).double()).solution.T
    U, s = refit.directions(0)
    assert torch.allclose((U * s).double(), exact[:, :4], atol=1e-3)
    refit.settle(0, U * s, groups[0][1])
    U, s = refit.directions(1)
    assert torch.allclose((U * s).double(), exact[:, 4:], atol=1e-3)


def test_a_group_makes_up_for_what_the_one_before_it_became():
    delta, inputs, groups = parts(0.05)
    hessian = hessian_of(inputs)

    def error_after(settled):
        refit = Refit(delta, groups, hessian)
        refit.settle(0, settled, groups[0][1])
        U, s = refit.directions(1)
        whole = settled @ groups[0][1] + (U * s) @ groups[1][1]
        return ((delta - whole) @ inputs.T).square().sum()

    plain = groups[0][0].U * groups[0][0].singular_values
    without = plain * 1.3 @ groups[0][1] + (groups[1][0].U * groups[1][0].singular_values) @ groups[1][1]
    assert error_after(plain * 1.3) < 0.9 * ((delta - without) @ inputs.T).square().sum()


def test_columns_have_norm_one():
    delta, inputs, groups = parts(0.05)
    U, s = Refit(delta, groups, hessian_of(inputs)).directions(0)
    assert torch.allclose(U.norm(dim=0), torch.ones(4), atol=1e-5)
    assert (s > 0).all()


def test_without_inputs_it_says_what_to_do():
    delta, _, groups = parts(0)
    with pytest.raises(DeltaError, match="resolve_u needs calibration text"):
        Refit(delta, groups, None)
