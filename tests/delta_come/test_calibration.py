import pytest
import torch
from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM

from lib.delta_come import DeltaError, calibration_blocks
from lib.delta_come.calibration import CalibrationInputs
from lib.models.finetuning.shapes import character_tokenizer
from tests.delta_come.conftest import hessian_of


class Letters:
    """A tokenizer of single letters."""

    eos_token_id = 0

    def __call__(self, texts, **_):
        return {"input_ids": [[ord(letter) - 96 for letter in text] for text in texts]}


def inputs_of(model, linear, blocks):
    seen = []
    handle = linear.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].flatten(0, -2)))
    with torch.no_grad():
        model(blocks.long())
    handle.remove()
    return torch.cat(seen)


@pytest.mark.parametrize("at_once", [8192, 100])
def test_the_hessian_is_that_of_the_layers_inputs(finetuned, blocks, monkeypatch, at_once):
    monkeypatch.setattr("lib.delta_come.calibration._TOKENS_AT_ONCE", at_once)
    block = finetuned.model.layers[0]
    with torch.no_grad():
        calibration = CalibrationInputs(finetuned, blocks)
        for linear in (block.self_attn.q_proj, block.self_attn.o_proj, block.mlp.down_proj):
            expected = hessian_of(inputs_of(finetuned, linear, blocks))
            assert torch.allclose(calibration.hessian(block, linear), expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_the_second_block_sees_what_the_first_puts_out(finetuned, blocks):
    first, second = finetuned.model.layers
    with torch.no_grad():
        calibration = CalibrationInputs(finetuned, blocks)
        calibration.advance(first)
        found = calibration.hessian(second, second.mlp.up_proj)
    expected = hessian_of(inputs_of(finetuned, second.mlp.up_proj, blocks))
    assert torch.allclose(found, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_wide_inputs_are_summed_by_panels(monkeypatch):
    from lib.delta_come import calibration

    monkeypatch.setattr(calibration, "_WIDE", 10)
    monkeypatch.setattr(calibration, "_PANEL", 4)
    X = torch.randn(30, 11)
    assert torch.allclose(calibration._gram(X), X.T @ X, atol=1e-5)


def test_windows_are_cut_from_the_text():
    texts = Dataset.from_dict({"text": ["abc", "defg"]})
    assert calibration_blocks(texts, Letters(), 4, 2).tolist() == [[1, 2, 3, 0], [4, 5, 6, 7]]


def test_a_text_shorter_than_its_windows_says_what_to_do():
    texts = Dataset.from_dict({"text": ["abc"]})
    with pytest.raises(DeltaError, match="the calibration text is too short: the texts have 4 tokens"):
        calibration_blocks(texts, Letters(), 512, 1)


def test_a_text_with_signs_that_the_tokenizer_has_not_says_what_to_give():
    text = Dataset.from_dict({"text": ["caf\u00e9"]})
    with pytest.raises(DeltaError, match="the tokenizer cannot read the calibration text"):
        calibration_blocks(text, character_tokenizer(), length=2, sequences=1)


@pytest.mark.parametrize("blocks", [torch.zeros(3, dtype=torch.int32), torch.zeros(2, 1).int(), torch.zeros(2, 4)])
def test_tokens_that_are_no_blocks_are_refused(finetuned, blocks):
    with pytest.raises(DeltaError, match="calibration tokens are whole numbers"):
        CalibrationInputs(finetuned, blocks)


def test_tokens_of_another_tokenizer_are_refused(finetuned):
    with pytest.raises(DeltaError, match="run from 3 to 64, and the model has 64"):
        CalibrationInputs(finetuned, torch.tensor([[3, 64]]))


def test_windows_longer_than_a_sliding_one_are_refused_where_blocks_differ():
    settings = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = Qwen2Config(
        num_hidden_layers=2,
        num_key_value_heads=2,
        use_sliding_window=True,
        sliding_window=8,
        max_window_layers=1,
        **settings,
    )
    model, tokens = Qwen2ForCausalLM(config), torch.ones(2, 9, dtype=torch.int32)
    with pytest.raises(DeltaError, match=r"full_attention, sliding_attention.*9 tokens.*at most 8"):
        CalibrationInputs(model, tokens)
    CalibrationInputs(model, tokens[:, :8])
