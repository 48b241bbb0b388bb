import pytest
import torch
from safetensors.torch import save_file

from lib.delta_come.hashes import content_hash, digests, first_difference, folder_digests, model_digests
from tests.delta_come.models import odd_llama


def weights():
    dice = torch.Generator().manual_seed(0)
    return {f"model.layers.{block}.w.weight": torch.randn(5, 7, generator=dice).bfloat16() for block in (1, 2, 10)}


def hash_of(tensors):
    return content_hash(digests(tensors.items()))


def test_the_hash_does_not_depend_on_the_files(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    save_file(weights(), whole / "model.safetensors")
    for number, (name, weight) in enumerate(reversed(weights().items())):
        save_file({name: weight}, parts / f"model-{number}.safetensors")
    assert folder_digests(whole) == folder_digests(parts) == digests(weights().items())


def test_a_cast_that_changes_no_value_changes_no_hash():
    assert hash_of({name: weight.float() for name, weight in weights().items()}) == hash_of(weights())


def test_a_cast_that_rounds_changes_the_hash():
    finer = {name: weight.float() + 1e-6 for name, weight in weights().items()}
    assert hash_of(finer) != hash_of({name: weight.bfloat16() for name, weight in finer.items()})


def test_a_shape_is_part_of_the_hash():
    assert hash_of({"w": torch.zeros(2, 3)}) != hash_of({"w": torch.zeros(3, 2)})


def test_a_tied_head_may_be_stored_or_not():
    embedding = {"model.embed_tokens.weight": torch.ones(3, 2)}
    assert hash_of(embedding | {"lm_head.weight": torch.ones(3, 2)}) == hash_of(embedding)
    assert hash_of(embedding | {"lm_head.weight": torch.zeros(3, 2)}) != hash_of(embedding)


def test_a_model_has_the_hash_of_its_checkpoint(tmp_path):
    model = odd_llama()
    model.save_pretrained(tmp_path)
    assert model_digests(model) == folder_digests(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"model.layers.10.w.weight": torch.zeros(5, 7), "model.layers.2.w.weight": torch.zeros(5, 7)}, "layers.2.w"),
        ({"a": torch.zeros(1)}, "a is not expected"),
    ],
)
def test_the_first_tensor_that_differs_is_told_in_the_order_of_blocks(change, said):
    found = first_difference(digests(weights().items()), digests((weights() | change).items()))
    assert found is None if said is None else said in found


def test_a_missing_tensor_is_told():
    some = dict(list(weights().items())[1:])
    assert first_difference(digests(weights().items()), digests(some.items())) == "model.layers.1.w.weight is missing"
