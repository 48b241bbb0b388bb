import pytest
import torch

from lib.delta_come.delta import take_pair
from lib.delta_come.spectrum import decompose, shuffled, spectra, spectrum


def low_rank(m, n, ranks, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(m, ranks, generator=generator) @ torch.randn(ranks, n, generator=generator)


@pytest.mark.parametrize("method", ["thin", "eigh", "randomised", "auto"])
@pytest.mark.parametrize("shape", [(30, 30), (60, 20), (20, 60)])
def test_every_method_finds_the_best_approximation(method, shape):
    delta = low_rank(*shape, 20)
    found, exact = decompose(delta, 8, method), torch.linalg.svd(delta.double(), full_matrices=False)
    best = (exact.U[:, :8] * exact.S[:8]) @ exact.Vh[:8]
    assert torch.allclose(found.singular_values.double(), exact.S[:8], rtol=1e-4)
    assert torch.allclose(found.reconstruct().double(), best, atol=2e-3)
    assert torch.allclose(found.U.T @ found.U, torch.eye(8), atol=1e-4)


def test_directions_of_rounding_noise_are_left_out():
    assert decompose(low_rank(30, 40, 3), 10, "eigh").ranks == 3
    assert decompose(low_rank(30, 40, 3), 10, "thin").ranks == 3


def test_a_zero_delta_has_no_directions():
    assert decompose(torch.zeros(5, 7)).ranks == 0


def test_all_directions_give_the_delta_back():
    delta = low_rank(20, 30, 20)
    assert torch.allclose(decompose(delta).reconstruct(), delta, atol=1e-4)


def test_energy_is_the_share_of_squares():
    found = spectrum(torch.diag(torch.tensor([1.0, 3.0, 2.0])))
    assert found.singular_values.tolist() == pytest.approx([3, 2, 1])
    assert found.energy.tolist() == pytest.approx([9 / 14, 13 / 14, 1])
    assert found.energy_of(2) == pytest.approx(13 / 14)
    assert (found.ranks_for(0.6), found.ranks_for(0.9), found.ranks_for(1.0)) == (1, 2, 3)


def test_a_zero_delta_has_no_energy():
    found = spectrum(torch.zeros(4, 3))
    assert found.energy_of(3) == 0
    assert found.ranks_for(0.95) == 0


def test_random_signs_keep_magnitudes_and_spread_the_energy():
    delta = low_rank(60, 60, 3)
    control = shuffled(delta)
    assert torch.equal(control.abs(), delta.abs())
    assert not torch.equal(control, shuffled(delta, seed=1))
    assert spectrum(control).ranks_for(0.95) > 5 * spectrum(delta).ranks_for(0.95)


def test_every_projection_of_a_pair_has_its_spectrum(base, finetuned):
    found = list(spectra(take_pair(base, finetuned)))
    assert [(each.block, each.type) for each in found[:8]] == [
        (0, t) for t in ["q", "k", "v", "o", "gate", "up", "down"]
    ] + [(1, "q")]
    assert found[4].shape == (96, 64)
    # Four strong directions were put in.
    assert found[0].energy_of(4) > 0.5
