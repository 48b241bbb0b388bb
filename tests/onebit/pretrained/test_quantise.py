import pytest
import torch

from lib.models.errors import ModelError
from lib.models.projections import is_projection
from lib.onebit import CheckpointError, OneBitMatrix, svid
from lib.onebit.pretrained import OneBitConfig, OneBitLinear, projection_memory, quantise, replace_projections
from tests.onebit.pretrained import tiny


@pytest.mark.parametrize("make", [tiny.odd_llama, tiny.untied_llama, tiny.biased_qwen])
def test_a_quantised_model_computes_what_its_reconstructed_weights_compute(make):
    dense, ids = make(), torch.arange(10)[None]
    for name, weight in dense.named_parameters():
        if is_projection(name):
            matrix = OneBitMatrix.from_svid(svid(weight.detach()))
            weight.data = matrix.dequantise()
    with torch.no_grad():
        torch.testing.assert_close(quantise(make())(ids).logits, dense(ids).logits, rtol=1e-4, atol=1e-4)


def test_every_projection_becomes_one_bit_and_nothing_else():
    model = quantise(tiny.untied_llama())
    layers = [name for name, module in model.named_modules() if isinstance(module, OneBitLinear)]
    assert len(layers) == 2 * 7
    assert isinstance(model.lm_head, torch.nn.Linear)


def test_projections_named_in_the_configuration_stay_dense():
    model = quantise(tiny.untied_llama(), modules_to_not_convert=["layers.1.mlp.down_proj"])
    assert isinstance(model.model.layers[1].mlp.down_proj, torch.nn.Linear)
    assert isinstance(model.model.layers[0].mlp.down_proj, OneBitLinear)


def test_projections_hold_about_a_thirtysecond_of_fp32():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=512, intermediate_size=1024, num_attention_heads=8, num_hidden_layers=1, vocab_size=16
    )
    memory = projection_memory(quantise(LlamaForCausalLM(config)))
    assert memory.weights == 4 * 512 * 512 + 3 * 512 * 1024
    assert 1 < memory.bits_per_weight < 1.06


def test_a_weight_that_is_not_finite_is_named():
    model = tiny.untied_llama()
    model.model.layers[1].mlp.up_proj.weight.data[2, 3] = float("nan")
    with pytest.raises(ValueError, match=r"model\.layers\.1\.mlp\.up_proj\.weight holds nan at \[2, 3\]"):
        quantise(model)
    assert isinstance(model.model.layers[0].self_attn.q_proj, torch.nn.Linear)  # and the model is as it was


def test_an_all_zero_row_under_a_layer_norm_is_named():
    model = tiny.untied_llama()
    model.model.layers[0].self_attn.k_proj.weight.data[5] = 0
    with pytest.raises(ValueError, match=r"layers\.0\.self_attn\.k_proj\.weight has an all-zero row, 5"):
        quantise(model, post_layer_norm=True)


def test_an_all_zero_row_without_a_layer_norm_gives_zero():
    model = tiny.untied_llama()
    model.model.layers[0].self_attn.k_proj.weight.data[5] = 0
    k = quantise(model).model.layers[0].self_attn.k_proj
    assert (k(torch.randn(4, 64))[:, 5] == 0).all()


def test_quantising_twice_is_refused():
    with pytest.raises(ModelError, match="quantised already"):
        quantise(quantise(tiny.untied_llama()))


def test_a_model_without_projections_is_refused():
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=8, n_positions=8))
    with pytest.raises(ModelError, match="no projection to convert"):
        quantise(model)


def test_a_matrix_of_another_shape_is_named():
    model, matrix = tiny.untied_llama(), OneBitMatrix.from_svid(svid(torch.randn(8, 8)))
    with pytest.raises(CheckpointError, match=r"q_proj is given as \(8, 8\); the model's projection is \(64, 64\)"):
        replace_projections(model, [("model.layers.0.self_attn.q_proj", matrix)], OneBitConfig())


def test_a_matrix_that_is_not_given_is_named():
    with pytest.raises(CheckpointError, match=r"no matrix was given for model\.layers\.0\.mlp\.down_proj \(14 missing"):
        replace_projections(tiny.untied_llama(), [], OneBitConfig())


def test_gradients_flow_through_a_quantised_model():
    model = quantise(tiny.odd_llama())
    model(torch.arange(6)[None], labels=torch.arange(6)[None]).loss.backward()
    assert model.get_input_embeddings().weight.grad.abs().sum() > 0


def test_dequantise_gives_a_dense_model_of_the_same_logits():
    model, ids = quantise(tiny.biased_qwen()), torch.arange(10)[None]
    with torch.no_grad():
        expected = model(ids).logits
        dense = model.dequantize()
        torch.testing.assert_close(dense(ids).logits, expected, rtol=1e-4, atol=1e-4)
    assert isinstance(dense.model.layers[0].mlp.up_proj, torch.nn.Linear)
    assert not hasattr(dense.config, "quantization_config")
