from dataclasses import replace

import pytest
import torch

from lib.onebit.rank_one import nmf
from lib.onebit.svid import svid
from lib.onebit.training import COPY, COPY_SCALED, OFFICIAL, RANDOM_SIGNS, SVID_KEEPING_WEIGHTS, Start, start_named
from lib.onebit.training.starts import start_layer


@pytest.fixture
def weight():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(24, 40, generator=generator) * torch.rand(24, 1, generator=generator)


def test_the_official_start_throws_magnitudes_away_and_takes_nmfs_vectors(weight):
    first = start_layer(weight, OFFICIAL)
    assert first.latent.abs().unique().tolist() == pytest.approx([0.01])
    assert torch.equal(first.latent < 0, weight < 0)
    factors = nmf(weight.abs(), 0)
    assert torch.equal(first.output_scale, factors.output_factor)
    assert torch.equal(first.input_scale, factors.input_factor)


@pytest.mark.parametrize("split", ["balanced", "output", "input", "nmf"])
@pytest.mark.parametrize("values", ["svid", "svd"])
def test_alternating_steps_and_lapack_start_from_the_same_vectors(weight, values, split):
    first = start_layer(weight, Start(values=values, split=split))
    expected = svid(weight, split)
    assert torch.allclose(first.output_scale, expected.output_scale, rtol=1e-4)
    assert torch.allclose(first.input_scale, expected.input_scale, rtol=1e-4)


def test_nmf_and_svid_approximate_the_same_magnitudes(weight):
    products = [
        torch.outer(first.output_scale, first.input_scale)
        for first in (start_layer(weight, OFFICIAL), start_layer(weight, Start(values="svid")))
    ]
    assert torch.allclose(*products, rtol=1e-3)


def test_a_copy_keeps_the_weights_and_knows_no_magnitudes(weight):
    first = start_layer(weight, COPY)
    assert torch.equal(first.latent, weight)
    assert set(first.output_scale.tolist() + first.input_scale.tolist()) == {1.0}


def test_a_scaled_copy_has_the_best_single_scale(weight):
    first = start_layer(weight, COPY_SCALED)
    assert first.output_scale.unique().tolist() == pytest.approx([weight.abs().mean().item()])


def test_svid_can_keep_the_weights_as_latents(weight):
    assert torch.equal(start_layer(weight, SVID_KEEPING_WEIGHTS).latent, weight)


def test_random_signs_are_fair_differ_by_name_and_return_with_their_seed(weight):
    first = start_layer(weight, RANDOM_SIGNS, "a")
    assert 0.4 < (first.latent < 0).float().mean() < 0.6
    assert torch.equal(first.latent, start_layer(weight, RANDOM_SIGNS, "a").latent)
    assert not torch.equal(first.latent, start_layer(weight, RANDOM_SIGNS, "b").latent)
    assert not torch.equal(first.latent, start_layer(weight, replace(RANDOM_SIGNS, seed=1), "a").latent)


def test_random_signs_can_keep_the_weights_sizes(weight):
    first = start_layer(weight, replace(RANDOM_SIGNS, latent="weight"))
    assert torch.equal(first.latent.abs(), weight.abs())


def test_zero_weights_start_on_the_side_of_plus_one(weight):
    weight[0, :3] = 0
    assert (start_layer(weight, OFFICIAL).latent[0, :3] > 0).all()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (torch.full((2, 3), float("nan")), "blocks.0.q_proj.weight holds 6 weights that are NaN or infinite"),
        (torch.zeros(2, 3), "blocks.0.q_proj.weight is all zero"),
        (torch.ones(3), r"blocks.0.q_proj.weight has shape \(3,\)"),
    ],
)
def test_a_weight_that_cannot_be_started_from_is_named(broken, message):
    with pytest.raises(ValueError, match=message):
        start_layer(broken, OFFICIAL, "blocks.0.q_proj.weight")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"values": "pca"}, "no values='pca' start; choose one of nmf, svid, svd, scalar, ones"),
        ({"latent_size": 0.0}, "latent_size is 0.0"),
    ],
)
def test_an_unknown_start_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Start(**settings)


def test_a_start_is_found_by_its_name():
    assert start_named("svid") == OFFICIAL
    assert start_named("random") == RANDOM_SIGNS


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(ValueError, match="no start 'nmf'; choose one of svid, svid_keeping_weights, copy"):
        start_named("nmf")
