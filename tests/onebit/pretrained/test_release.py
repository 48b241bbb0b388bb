"""A synthetic checkpoint in the released format: made here by its published rule, not by our packing."""

import pytest
import torch
from transformers import LlamaConfig

from lib.models.projections import is_projection
from lib.onebit import CheckpointError, unpack_signs
from lib.onebit.pretrained import convert_release, model_from_release, save_model
from tests.onebit.pretrained import tiny


def config() -> LlamaConfig:
    return tiny.untied_llama().config


@pytest.fixture
def latent():
    """A training checkpoint: latent weights, with g and h."""
    return {name: tensor.detach().clone() for name, tensor in tiny.untied_llama().named_parameters()}


@pytest.fixture
def released(latent):
    state = {}
    for name, tensor in latent.items():
        state[name] = tensor
        if is_projection(name):
            layer, (m, n) = name.removesuffix(".weight"), tensor.shape
            bits = (tensor.reshape(m, n // 8, 8) < 0).long()  # bit 0 is +1
            octets = (bits * torch.tensor([1, 2, 4, 8, 16, 32, 64, 128])).sum(-1)
            state[name] = torch.where(octets > 127, octets - 256, octets).to(torch.int8)
            state[f"{layer}.weight_scale"] = torch.rand(m) + 0.5
            state[f"{layer}.input_factor"] = torch.rand(n) + 0.5
    return state


def test_signs_and_vectors_are_kept(latent, released):
    converted = convert_release(released)
    for name in filter(is_projection, latent):
        layer = name.removesuffix(".weight")
        signs = unpack_signs(converted[f"{layer}.sign_bits"], latent[name].shape[1])
        assert torch.equal(signs < 0, latent[name] < 0)
        assert torch.equal(converted[f"{layer}.output_scale"], released[f"{layer}.weight_scale"].half())
        assert torch.equal(converted[f"{layer}.input_scale"], released[f"{layer}.input_factor"].half())


def test_what_is_not_quantised_passes_unchanged(released):
    converted = convert_release(released)
    assert converted["model.embed_tokens.weight"] is released["model.embed_tokens.weight"]
    assert "model.layers.0.mlp.up_proj.weight" not in converted


def test_the_model_computes_the_released_layers_and_saves(latent, released, tmp_path):
    reference, ids = tiny.untied_llama(), torch.arange(10)[None]
    for name in [name for name, _ in reference.named_modules()]:
        if is_projection(f"{name}.weight"):
            scales = [released[f"{name}.{part}"].half().float() for part in ("input_factor", "weight_scale")]
            reference.set_submodule(name, _Released(latent[f"{name}.weight"], *scales))
    model = model_from_release(released, config())
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, reference(ids).logits, rtol=1e-4, atol=1e-4)
    assert (save_model(model, tmp_path) / "model.safetensors").exists()


class _Released(torch.nn.Module):
    def __init__(self, latent, input_factor, weight_scale):
        super().__init__()
        self.latent, self.input_factor, self.weight_scale = latent, input_factor, weight_scale

    def forward(self, x):
        y = torch.nn.functional.linear(x * self.input_factor, torch.sign(self.latent)) * self.weight_scale
        return torch.nn.functional.layer_norm(y, y.shape[-1:])


@pytest.mark.parametrize("part", ["weight", "weight_scale", "input_factor"])
def test_a_missing_part_is_named(released, part):
    name = f"model.layers.1.mlp.gate_proj.{part}"
    del released[name]
    with pytest.raises(CheckpointError, match=f"lacks {name}"):
        convert_release(released)


def test_a_whole_missing_layer_is_named(released):
    for part in ("weight", "weight_scale", "input_factor"):
        del released[f"model.layers.1.mlp.gate_proj.{part}"]
    with pytest.raises(CheckpointError, match=r"model\.layers\.1\.mlp\.gate_proj\.weight is not in the released"):
        model_from_release(released, config())


def test_shapes_that_do_not_fit_are_named(released):
    released["model.layers.0.mlp.up_proj.input_factor"] = torch.ones(72)
    with pytest.raises(CheckpointError, match=r"layers\.0\.mlp\.up_proj\.weight has shape \[96, 8\]"):
        convert_release(released)


def test_a_training_checkpoint_is_refused(released, latent):
    released["model.layers.0.mlp.up_proj.weight"] = latent["model.layers.0.mlp.up_proj.weight"]
    with pytest.raises(CheckpointError, match=r"up_proj\.weight is torch\.float32; .*int8"):
        convert_release(released)


def test_a_vector_beyond_fp16_is_named(released):
    released["model.layers.0.mlp.up_proj.weight_scale"][1] = 1e6
    with pytest.raises(CheckpointError, match=r"up_proj\.weight_scale holds 1e\+06"):
        convert_release(released)


def test_a_dense_state_dict_is_refused(latent):
    with pytest.raises(CheckpointError, match="no released OneBit model"):
        convert_release(latent)
