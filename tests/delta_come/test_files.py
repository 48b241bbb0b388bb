import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from lib.delta_come.artifact import in_memory
from lib.delta_come.errors import DeltaError
from lib.delta_come.factors import CompressedDelta
from lib.delta_come.files import load, save
from lib.delta_come.plan import Storage
from lib.delta_come.synthetic import synthetic_delta

SHAPES = {
    f"model.layers.{block}.{kind}_proj.weight": shape
    for block in (2, 10)
    for kind, shape in (("self_attn.q", (24, 35)), ("self_attn.k", (8, 35)), ("mlp.up", (50, 24)))
}
FIRST = next(iter(SHAPES))


@pytest.fixture
def delta():
    made = synthetic_delta(SHAPES, "8:1,3:2,2:rest", 1 / 2, storage=Storage(group_size=16, permutation=True))
    return CompressedDelta(
        made.matrices,
        {"model.norm.weight": torch.randn(35).bfloat16()},
        made.plan,
        1 / 2,
        "b1",
        "f1",
        {"clip": True},
        True,
    )


@pytest.fixture
def path(tmp_path, delta):
    save(tmp_path / "a.safetensors", delta, {"model.norm.weight": "d1"})
    return tmp_path / "a.safetensors"


def header_text(path):
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return file.metadata()["delta_come"]


def test_a_stored_delta_comes_back_whole(path, delta):
    back = load(path).delta()
    assert list(back.matrices) == list(SHAPES)
    assert all(torch.equal(back.matrices[name].delta(), delta.matrices[name].delta()) for name in SHAPES)
    assert torch.equal(back.raw["model.norm.weight"], delta.raw["model.norm.weight"])
    kept = ("plan", "ratio", "base_hash", "finetuned_hash", "options", "tied")
    assert all(getattr(back, name) == getattr(delta, name) for name in kept)


def test_an_artifact_in_memory_is_that_of_the_file(path, delta):
    ours, theirs = in_memory(delta), load(path)
    assert ours.matrices == theirs.matrices
    assert ours.raw_layouts == theirs.raw_layouts
    assert torch.equal(ours.matrix(FIRST).codes, theirs.matrix(FIRST).codes)


def test_the_same_delta_gives_the_same_file(path, delta, tmp_path):
    save(tmp_path / "b.safetensors", delta, {"model.norm.weight": "d1"})
    assert path.read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_a_permutation_that_matrices_share_is_stored_once(path):
    columns = {order.shape for name, order in load_file(path).items() if name.startswith("permutation.")}
    assert sorted(columns) == [(24,), (35,)]
    assert sum(name.startswith("permutation.") for name in load_file(path)) == 2


def test_asking_for_one_matrix_reads_nothing_else(path):
    artifact, asked = load(path), []
    watched = dataclasses.replace(artifact, read=lambda name: asked.append(name) or artifact.read(name))
    watched.matrix(FIRST)
    assert all(name.startswith((f"delta.{FIRST}.", "permutation.")) for name in asked)
    assert len(asked) == 4


def test_saving_replaces_a_file_whole_and_leaves_no_part(path, delta):
    save(path, dataclasses.replace(delta, plan="other"))
    assert load(path).header.plan == "other"
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_failed_save_leaves_the_old_file(path, delta):
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save(path, dataclasses.replace(delta, options={"not": object()}))
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", [FIRST.replace("q_proj", "q_prj"), "lm_head.weight"])
def test_an_unknown_tensor_is_named(path, name):
    with pytest.raises(DeltaError, match=f"compresses no tensor '{name}'"):
        load(path).matrix(name)


def test_a_near_miss_is_suggested(path):
    with pytest.raises(DeltaError, match=r"did you mean model\.norm\.weight"):
        load(path).raw("model.norm.weigh")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DeltaError, match="there is no file"):
        load(tmp_path / "none.safetensors")


def test_a_folder_is_no_artifact(tmp_path):
    with pytest.raises(DeltaError, match="cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize("kept", [0, 5, 300, -1])
def test_a_truncated_file_is_named(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DeltaError, match=r"a\.safetensors is truncated or damaged"):
        load(path)


def test_another_version_is_refused(path):
    text = header_text(path).replace('"version":2', '"version":1')
    save_file(load_file(path), path, metadata={"delta_come": text})
    with pytest.raises(DeltaError, match="format version 1; this code reads version 2"):
        load(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"delta_come": "{"}, {"delta_come": "[]"}])
def test_another_kind_of_file_is_refused(path, metadata):
    save_file(load_file(path), path, metadata=metadata)
    with pytest.raises(DeltaError, match=r"no artifact of Delta-CoMe.* compress BASE FINETUNED OUT"):
        load(path)


@pytest.mark.parametrize("change", [('"layouts"', '"outlays"'), ('"ratio":0.5', '"ratio":0.7'), ('"f1"', '"f3"')])
def test_a_damaged_header_is_refused(path, change):
    assert change[0] in header_text(path)
    text = header_text(path).replace(*change)
    save_file(load_file(path), path, metadata={"delta_come": text})
    with pytest.raises(DeltaError, match=r"the header of .* is damaged"):
        load(path)


@pytest.mark.parametrize(
    ("tensor", "replacement", "said"),
    [
        (f"delta.{FIRST}.codes", None, rf"lacks delta\.{FIRST}\.codes"),
        (f"delta.{FIRST}.codes", torch.zeros(3, dtype=torch.int32), r"codes is I32 \[3\], but its header says I32"),
        (f"delta.{FIRST}.halves", torch.zeros(3), r"halves is F32 \[3\], but its header says F16"),
        ("permutation.0", None, r"lacks permutation\.0"),
        ("permutation.0", torch.zeros(2, dtype=torch.int16), r"permutation\.0 is I16 \[2\]"),
    ],
)
def test_tensors_that_do_not_fit_the_header_are_named(path, tensor, replacement, said):
    tensors, text = load_file(path), header_text(path)
    tensors = {name: value for name, value in tensors.items() if name != tensor}
    if replacement is not None:
        tensors[tensor] = replacement
    save_file(tensors, path, metadata={"delta_come": text})
    with pytest.raises(DeltaError, match=said):
        load(path)


def with_a_flipped_bit(path, tensor):
    """Flip one bit in the middle of a tensor's bytes."""
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    start, end = json.loads(data[8 : 8 + length])[tensor]["data_offsets"]
    data[8 + length + (start + end) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("part", ["codes", "halves", "singular_values"])
def test_a_flipped_bit_is_found_when_its_matrix_is_read(path, part):
    with_a_flipped_bit(path, f"delta.{FIRST}.{part}")
    with pytest.raises(
        DeltaError, match=rf"a\.safetensors is damaged: delta\.{FIRST}\.{part} has the .* copy the file"
    ):
        load(path).matrix(FIRST)


def test_a_flipped_bit_is_found_in_permutations_and_raw_tensors(path):
    with_a_flipped_bit(path, "permutation.0")
    with_a_flipped_bit(path, "raw.model.norm.weight")
    with pytest.raises(DeltaError, match=r"permutation\.0 has the checksum"):
        load(path).matrix(FIRST)
    with pytest.raises(DeltaError, match=r"raw\.model\.norm\.weight has the checksum"):
        load(path).raw("model.norm.weight")


def test_a_flipped_bit_hurts_no_other_matrix_and_can_be_overlooked_on_demand(path):
    with_a_flipped_bit(path, f"delta.{FIRST}.codes")
    load(path).matrix(list(SHAPES)[1])
    load(path, verify=False).matrix(FIRST)


def test_a_tensor_without_a_checksum_is_refused(path):
    text = header_text(path)
    save_file(load_file(path) | {"raw.more": torch.zeros(2)}, path, metadata={"delta_come": text})
    with pytest.raises(DeltaError, match=r"holds .* tensors, but its header has checksums of"):
        load(path)


def test_a_missing_folder_is_named(tmp_path, delta):
    with pytest.raises(DeltaError, match="there is no folder"):
        save(tmp_path / "none" / "a.safetensors", delta)


def test_a_folder_is_not_written_over(tmp_path, delta):
    with pytest.raises(DeltaError, match="is a folder; an artifact is one file"):
        save(tmp_path, delta)
