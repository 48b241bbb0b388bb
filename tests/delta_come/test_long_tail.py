"""Long tails of known matrices, and what chance would give."""

import math

import pytest
import torch

from lib.delta_come.delta import take_pair
from lib.delta_come.long_tail import (
    LongTail,
    expected_head,
    head_share,
    long_tails,
    mean_by_type,
    tail_share,
)
from lib.delta_come.spectrum import Spectrum, shuffled, spectrum

NAME = "model.layers.0.self_attn.q_proj.weight"


def of_values(*values):
    return Spectrum(NAME, (len(values), len(values)), torch.tensor(values, dtype=torch.float64))


def noise(m, n, seed=0):
    return torch.randn(m, n, generator=torch.Generator().manual_seed(seed))


def test_the_head_is_rounded_up_to_whole_directions():
    assert head_share(of_values(3.0, *[1.0] * 39)) == pytest.approx((9 + 1) / (9 + 39))


def test_the_tail_counts_the_directions_that_the_energy_needs():
    assert tail_share(of_values(*[1.0] * 20)) == pytest.approx(19 / 20)


def test_a_few_strong_directions_stand_out_of_the_control():
    delta = noise(80, 3) @ noise(3, 60, 1) + 0.1 * noise(80, 60, 2)
    tail = LongTail(spectrum(delta, NAME), spectrum(shuffled(delta), NAME))
    assert tail.structured == 3
    assert tail.head > 2 * tail.control_head


def test_noise_is_like_its_control():
    delta = noise(80, 60)
    tail = LongTail(spectrum(delta, NAME), spectrum(shuffled(delta), NAME))
    assert tail.head == pytest.approx(tail.control_head, rel=0.15)
    assert tail.structured <= 1


@pytest.mark.parametrize("shape", [(400, 400), (300, 900), (900, 300)])
def test_the_law_foretells_the_head_of_noise(shape):
    measured = head_share(spectrum(noise(*shape), NAME))
    assert expected_head(*shape) == pytest.approx(measured, rel=0.08)


def test_all_directions_of_noise_hold_all_energy():
    assert math.isclose(expected_head(64, 64, share=1.0), 1.0, rel_tol=1e-3)


def test_every_delta_of_a_pair_is_looked_at(base, finetuned):
    tails = list(long_tails(take_pair(base, finetuned)))
    assert len(tails) == 14
    assert list(mean_by_type(tails, "head")) == ["q", "k", "v", "o", "gate", "up", "down"]


def test_a_pair_without_a_change_has_no_spectra(base):
    assert list(long_tails(take_pair(base, base))) == []
