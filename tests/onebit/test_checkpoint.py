import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from lib.onebit import CheckpointError, OneBitMatrix, load_checkpoint, save_checkpoint, svid
from lib.onebit.checkpoint import file_size
from lib.onebit.random_matrices import random_matrix
from lib.onebit.sizes import layer_bytes

METADATA = {"format": "onebit", "version": "1"}


def matrix(m=6, n=20, seed=0):
    return OneBitMatrix.from_svid(svid(random_matrix("gaussian", (m, n), seed).float()))


@pytest.fixture
def path(tmp_path):
    """A checkpoint of two layers and an embedding."""
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, {"a.q": matrix(), "a.k": matrix(3, 16, 1)}, {"embed.weight": torch.ones(4, 3).half()})
    return path


def test_a_path_may_be_text(tmp_path):
    path = str(tmp_path / "layer.safetensors")
    assert save_checkpoint(path, {"q": matrix()}).total == file_size(path).total
    assert load_checkpoint(path).matrices["q"].shape == matrix().shape


def test_what_was_saved_is_loaded(path):
    loaded = load_checkpoint(path)
    assert set(loaded.matrices) == {"a.q", "a.k"}
    assert torch.equal(loaded.matrices["a.q"].dequantise(), matrix().dequantise())
    assert loaded.others["embed.weight"].tolist() == [[1.0] * 3] * 4
    assert repr(loaded) == "OneBitCheckpoint(2 matrices, 1 other tensors)"


def test_a_stored_matrix_is_its_signs_and_half_precision_scales():
    parts = svid(random_matrix("gaussian", (6, 20), 0).float())
    expected = parts.sign_weight * parts.output_scale.half().float()[:, None] * parts.input_scale.half().float()
    assert torch.equal(OneBitMatrix.from_svid(parts).dequantise(), expected)


@settings(deadline=None, max_examples=40)
@given(m=st.integers(1, 30), n=st.integers(1, 30))
def test_a_file_holds_exactly_the_predicted_bytes(tmp_path_factory, m, n):
    path = tmp_path_factory.mktemp("size") / "one.safetensors"
    size = save_checkpoint(path, {"w": matrix(m, n)})
    assert size.tensors == layer_bytes((m, n)) == matrix(m, n).nbytes
    assert size.total == path.stat().st_size == 8 + size.header + size.tensors


def test_saving_replaces_a_file_whole_and_leaves_no_part(path):
    save_checkpoint(path, {"b": matrix()})
    assert set(load_checkpoint(path).matrices) == {"b"}
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no file"):
        load_checkpoint(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_truncated_file_is_named(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"model\.safetensors is truncated or damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (None, "no OneBit checkpoint"),
        ({"format": "pt"}, "no OneBit checkpoint"),
        ({"format": "onebit", "version": "2"}, "format version 2; this code reads version 1"),
    ],
)
def test_another_format_or_version_is_refused(path, metadata, said):
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(CheckpointError, match=said):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("tensor", "replacement", "said"),
    [
        ("a.q.input_scale", None, r"layer a\.q lacks a\.q\.input_scale"),
        ("a.q.input_scale", torch.ones(99).half(), r"a\.q\.sign_bits has shape \[6, 3\].* need \[6, 13\]"),
        ("a.q.output_scale", torch.ones(7).half(), r"a\.q\.sign_bits has shape .* need \[7, 3\]"),
        ("a.q.output_scale", torch.ones(6), r"a\.q\.output_scale is torch\.float32 \[6\]; expected torch\.float16"),
        ("a.q.sign_bits", torch.ones(6, 3), r"a\.q\.sign_bits is torch\.float32"),
        ("a.q.sign_bits", torch.full((6, 3), 255, dtype=torch.uint8), r"a\.q\.sign_bits has bits set beyond column 20"),
    ],
)
def test_tensors_that_do_not_fit_are_named(path, tensor, replacement, said):
    tensors = load_file(path)
    if replacement is None:
        del tensors[tensor]
    else:
        tensors[tensor] = replacement
    save_file(tensors, path, metadata=METADATA)
    with pytest.raises(CheckpointError, match=said):
        load_checkpoint(path)


def test_parts_that_do_not_fit_are_not_saved(tmp_path):
    wrong = dataclasses.replace(matrix(), output_scale=torch.ones(5).half())
    with pytest.raises(CheckpointError, match=r"q\.sign_bits"):
        save_checkpoint(tmp_path / "wrong.safetensors", {"q": wrong})


def test_a_name_given_twice_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"q\.input_scale is given twice"):
        save_checkpoint(tmp_path / "twice.safetensors", {"q": matrix()}, {"q.input_scale": torch.ones(2)})


def test_a_scale_beyond_half_precision_names_the_layer_and_the_remedy():
    weight = random_matrix("gaussian", (6, 20), 0) * 1e6
    with pytest.raises(CheckpointError, match=r"blocks\.3\.up: a scale of .* split='balanced'"):
        OneBitMatrix.from_svid(svid(weight, split="output"), "blocks.3.up")
    OneBitMatrix.from_svid(svid(weight), "blocks.3.up")


def test_file_size_reads_the_header_of_any_safetensors_file(tmp_path):
    path = tmp_path / "plain.safetensors"
    save_file({"x": torch.zeros(10)}, path)
    assert file_size(path).tensors == 40


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_scales_outside_fp16_are_refused(scale):
    with pytest.raises(CheckpointError, match="scale the weight"):
        OneBitMatrix.from_svid(svid(random_matrix("gaussian", (6, 20), 0).double() * scale))


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no folder"):
        save_checkpoint(tmp_path / "none" / "layer.safetensors", {"q": matrix()})
