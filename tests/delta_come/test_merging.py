import copy
import dataclasses

import pytest
import torch

from lib.delta_come.artifact import in_memory
from lib.delta_come.errors import DeltaError
from lib.delta_come.files import save
from lib.delta_come.hashes import model_digests
from lib.delta_come.merging import apply
from lib.delta_come.serving import attach
from tests.delta_come.models import biased_qwen, fabricated, merged, odd_llama

IDS = torch.tensor([[1, 5, 9, 17]])
RAW = ("model.norm.weight", "model.layers.1.self_attn.q_proj.bias", "lm_head.weight")


@pytest.fixture(scope="module")
def llama():
    return odd_llama()


@pytest.fixture(scope="module")
def qwen():
    return biased_qwen()


def same_weights(one, other):
    theirs = other.state_dict()
    return all(torch.allclose(weight, theirs[name], atol=1e-6) for name, weight in one.state_dict().items())


def test_an_applied_artifact_is_base_plus_delta(qwen, tmp_path):
    delta, before = fabricated(qwen, 1, raw=RAW), model_digests(qwen)
    save(tmp_path / "a.safetensors", delta)
    assert same_weights(apply(qwen, tmp_path / "a.safetensors"), merged(qwen, delta))
    assert model_digests(qwen) == before


def test_in_place_the_base_becomes_the_fine_tune(llama):
    delta, base = fabricated(llama, 1), copy.deepcopy(llama)
    assert apply(base, delta, in_place=True) is base
    assert same_weights(base, merged(llama, delta))


def test_merged_and_factored_models_agree(qwen):
    delta = fabricated(qwen, 1, raw=RAW)
    with torch.no_grad():
        factored = attach(copy.deepcopy(qwen), {"a": delta})(IDS, tenants=["a"]).logits
        assert torch.allclose(apply(qwen, delta)(IDS).logits, factored, atol=3e-4, rtol=1e-4)


def test_a_grown_vocabulary_grows_embedding_and_head(llama):
    delta = fabricated(llama, 1)
    delta.raw["model.embed_tokens.weight[61:]"] = torch.ones(3, 52)
    model = apply(llama, delta)
    assert model.config.vocab_size == len(model.lm_head.weight) == 64
    assert torch.equal(model.get_input_embeddings().weight[:61], llama.get_input_embeddings().weight)
    assert model.get_input_embeddings().weight[61:].eq(1).all()


def test_a_head_of_its_own_is_untied(llama):
    delta = dataclasses.replace(fabricated(llama, 1), tied=False)
    delta.raw["lm_head.weight"] = torch.ones(61, 52)
    model = apply(llama, delta)
    assert model.lm_head.weight.eq(1).all()
    assert torch.equal(model.get_input_embeddings().weight, llama.get_input_embeddings().weight)


def with_rope(model, theta):
    artifact = in_memory(fabricated(model, 1))
    config = {"rope_parameters": {"rope_theta": theta, "rope_type": "default"}}
    return dataclasses.replace(artifact, header=dataclasses.replace(artifact.header, config=config))


def test_settings_of_the_fine_tune_are_taken_over(llama):
    assert apply(llama, with_rope(llama, 77.0)).config.rope_parameters["rope_theta"] == 77.0


def test_settings_that_differ_cannot_be_served_in_one_batch(llama):
    with pytest.raises(DeltaError, match=r"fine-tuned with rope_parameters .*77\.0.*merge it with `apply`"):
        attach(copy.deepcopy(llama), {"a": with_rope(llama, 77.0)})


def test_another_base_is_named_by_its_first_tensor(llama):
    artifact = in_memory(fabricated(llama, 1), model_digests(llama))
    other = copy.deepcopy(llama)
    with torch.no_grad():
        other.model.layers[1].mlp.up_proj.weight[0, 0] += 1
        other.model.layers[1].self_attn.q_proj.weight[0, 0] += 1
    with pytest.raises(DeltaError, match=r"another base .*layers\.1\.mlp\.up_proj\.weight has other values here"):
        apply(other, artifact)


def test_raw_tensors_that_do_not_fit_are_named(llama):
    delta = fabricated(llama, 1)
    delta.raw["model.norm.weight"] = torch.ones(7)
    with pytest.raises(DeltaError, match=r"holds model\.norm\.weight, 7; it does not fit the 52"):
        apply(llama, delta)


def test_raw_tensors_that_the_base_has_not_are_named(llama):
    delta = fabricated(llama, 1)
    delta.raw["extra"] = torch.ones(3)
    for take in (lambda: apply(llama, delta), lambda: attach(copy.deepcopy(llama), {"a": delta})):
        with pytest.raises(DeltaError, match="holds extra, 3, which this LlamaForCausalLM has not"):
            take()


def test_a_bias_that_the_settings_do_not_tell_of_is_named(llama):
    delta = fabricated(llama, 1)
    delta.raw["model.layers.0.mlp.up_proj.bias"] = torch.ones(75)
    with pytest.raises(DeltaError, match=r"holds model\.layers\.0\.mlp\.up_proj\.bias, and .* has no such"):
        apply(llama, delta)
