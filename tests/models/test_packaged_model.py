"""The packaged model as it is loaded, against a second reading of its GGUF file."""

import numpy as np
import pytest
import torch
from gguf import GGUFReader

from lib.models import count_parameters, perplexity, projection_matrices, read_projections, stored_tensors
from tests.models import llama_reference

PASSAGE = (
    "The library opened at nine in the morning. A small group of students waited outside, because the final exams were "
    "only two weeks away and the best seats near the windows were always taken first. Inside, the room was quiet. Some "
    "of them read their notes, others wrote short summaries of each chapter, and one student slept with his head on a "
    "book about the history of Rome. At noon they walked to the market, bought bread, cheese and 12 apples for 3 euros,"
    " and talked about what they would do in the summer."
)


@pytest.fixture(scope="module")
def reader(gguf_file):
    return GGUFReader(gguf_file)


@pytest.fixture(scope="module")
def reference(reader):
    return llama_reference.read(reader)


@pytest.mark.parametrize(
    ("loaded", "stored"),
    [
        ("model.embed_tokens.weight", "token_embd.weight"),
        ("model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight"),
        ("model.layers.7.self_attn.v_proj.weight", "blk.7.attn_v.weight"),
        ("model.layers.15.self_attn.o_proj.weight", "blk.15.attn_output.weight"),
        ("model.layers.29.mlp.down_proj.weight", "blk.29.ffn_down.weight"),
        ("model.layers.29.input_layernorm.weight", "blk.29.attn_norm.weight"),
    ],
)
def test_weights_are_bit_equal_to_a_second_dequantisation(smollm, reference, loaded, stored):
    assert np.array_equal(smollm.model.state_dict()[loaded].numpy(), reference[stored])


def test_logits_agree_with_a_second_forward_pass_in_gguf_order(smollm, reference):
    ids = smollm.tokenizer("The capital of France is Paris, and in 1984").input_ids
    with torch.inference_mode():
        ours = smollm.model(torch.tensor([ids])).logits[0].double().numpy()
    expected = llama_reference.logits(reference, ids, heads=9, kv_heads=3, base=100_000.0)
    # fp32 against fp64 through 30 blocks; rows of q or k in the wrong order move logits by more than 1.
    assert np.abs(ours - expected).max() < 2e-3


def test_perplexity_of_a_fixed_passage_is_the_recorded_one(smollm):
    # Processors differ in the 7th digit; rounding the weights to bf16 already moves it by more than this tolerance.
    assert perplexity(smollm, PASSAGE) == pytest.approx(30.4990, rel=2e-4)


def test_perplexity_by_hand_is_the_exponential_of_the_mean_surprise(smollm):
    ids = smollm.tokenizer("one two three").input_ids
    with torch.inference_mode():
        shares = smollm.model(torch.tensor([ids])).logits[0].double().softmax(-1)
    surprise = [-shares[place, token].log().item() for place, token in enumerate(ids[1:])]
    assert perplexity(smollm, "one two three") == pytest.approx(np.exp(np.mean(surprise)), rel=1e-6)


def test_perplexity_needs_two_tokens(smollm):
    with pytest.raises(ValueError, match="has 1 tokens"):
        perplexity(smollm, "one")


def test_tokenizer_reads_digits_one_by_one_and_keeps_the_text(smollm):
    text = "In 1984,  12 ships; naïve café 日本"
    ids = smollm.tokenizer(text).input_ids
    assert smollm.tokenizer.decode(ids) == text
    # "smollm" splits digits off before spaces are grouped, so two spaces before a digit are one token.
    assert smollm.tokenizer.tokenize("a  12") == ["a", "ĠĠ", "1", "2"]


def test_chat_template_is_there(smollm):
    turns = [{"role": "user", "content": "Hello"}]
    text = smollm.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text.endswith("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n")


def test_it_is_transformers_own_llama_in_fp32_with_a_tied_head(smollm):
    assert type(smollm.model).__name__ == "LlamaForCausalLM"
    assert smollm.model.dtype == torch.float32
    assert smollm.model.lm_head.weight.data_ptr() == smollm.model.model.embed_tokens.weight.data_ptr()
    assert smollm.parameters == 134_515_008
    assert not smollm.model.training
    assert repr(smollm) == "LlamaForCausalLM smollm2-135m-instruct, 134.5 M parameters, float32"


def test_projections_from_the_files_are_those_of_the_model(smollm):
    from_model = list(projection_matrices(smollm.model))
    from_files = list(read_projections(smollm.folder))
    assert len(from_files) == 210
    assert [one.name for one in from_files] == [one.name for one in from_model]
    assert all(torch.equal(one.weight, other.weight) for one, other in zip(from_files, from_model, strict=True))
    assert [one.type for one in from_files[:7]] == ["q", "k", "v", "o", "gate", "up", "down"]
    assert from_files[-1].block == 29
    assert from_files[1].weight.shape == (192, 576)


def test_stored_tensors_hold_every_weight_once(smollm):
    names = [name for name, _ in stored_tensors(smollm.folder)]
    assert len(names) == len(set(names)) == 272
    assert count_parameters(smollm.folder) == smollm.parameters
