"""Damaged checkpoints: each error names the tensor or the file."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from lib.models.errors import ModelError
from lib.onebit import CheckpointError
from lib.onebit.pretrained import OneBitConfig, quantise, save_model
from tests.onebit.pretrained import tiny

Q = "model.layers.1.self_attn.q_proj"


@pytest.fixture
def folder(tmp_path):
    return save_model(quantise(tiny.odd_llama()), tmp_path)


def _edit(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def _load(folder):
    return AutoModelForCausalLM.from_pretrained(folder)


def _configure(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["quantization_config"] |= changes
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    "name", [f"{Q}.sign_bits", f"{Q}.input_scale", "model.norm.weight", "model.embed_tokens.weight"]
)
def test_a_missing_tensor_is_named(folder, name):
    _edit(folder, lambda tensors: tensors.pop(name))
    with pytest.raises(CheckpointError, match=f"{name} is not in"):
        _load(folder)


def test_a_tensor_of_another_shape_is_named(folder):
    _edit(folder, lambda tensors: tensors.update({f"{Q}.sign_bits": torch.zeros(52, 6, dtype=torch.uint8)}))
    with pytest.raises(CheckpointError, match=rf"{Q}\.sign_bits is U8 \[52, 6\].* asks for U8 \[52, 7\]"):
        _load(folder)


def test_a_tensor_of_another_type_is_named(folder):
    _edit(folder, lambda tensors: tensors.update({f"{Q}.output_scale": torch.zeros(52)}))
    with pytest.raises(CheckpointError, match=rf"{Q}\.output_scale is F32 \[52\].* asks for F16 \[52\]"):
        _load(folder)


def test_a_scale_that_is_not_a_number_is_named(folder):
    _edit(folder, lambda tensors: tensors[f"{Q}.input_scale"].__setitem__(4, float("nan")))
    with pytest.raises(CheckpointError, match=rf"{Q}\.input_scale holds nan at \[4\]"):
        _load(folder)


def test_a_truncated_file_is_named(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is truncated or damaged"):
        _load(folder)


def test_another_version_is_refused(folder):
    _configure(folder, version=2)
    with pytest.raises(CheckpointError, match="version 2; this code reads version 1"):
        _load(folder)


def test_an_unknown_setting_is_refused(folder):
    _configure(folder, group_size=128)
    with pytest.raises(CheckpointError, match="group_size"):
        _load(folder)


def test_offloading_to_disk_is_refused(folder):
    with pytest.raises(ModelError, match="not offloaded to disk"):
        AutoModelForCausalLM.from_pretrained(folder, device_map={"": "disk"}, offload_folder=folder)


def test_a_setting_of_the_wrong_type_is_refused():
    with pytest.raises(CheckpointError, match="post_layer_norm 'yes'"):
        OneBitConfig(post_layer_norm="yes")


def test_a_model_with_a_layer_norm_has_no_dense_form():
    with pytest.raises(ModelError, match="no dense form"):
        quantise(tiny.odd_llama(), post_layer_norm=True).dequantize()
