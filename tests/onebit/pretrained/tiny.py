"""Tiny models of random weights; their widths are multiples of neither 8 nor 32 where the name says odd."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

_SMALL = {"vocab_size": 61, "num_hidden_layers": 2, "bos_token_id": 1, "eos_token_id": None, "pad_token_id": 0}


def odd_llama() -> PreTrainedModel:
    """Width 52, feed-forward 75, two query heads on one key-value head, tied head."""
    return _seeded(
        LlamaForCausalLM,
        LlamaConfig(
            hidden_size=52,
            intermediate_size=75,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=True,
            **_SMALL,
        ),
    )


def untied_llama() -> PreTrainedModel:
    return _seeded(
        LlamaForCausalLM,
        LlamaConfig(hidden_size=64, intermediate_size=96, num_attention_heads=4, tie_word_embeddings=False, **_SMALL),
    )


def biased_qwen() -> PreTrainedModel:
    """q, k and v have biases."""
    model = _seeded(
        Qwen2ForCausalLM,
        Qwen2Config(
            hidden_size=40,
            intermediate_size=72,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=False,
            **_SMALL,
        ),
    )
    for block in model.model.layers:
        torch.nn.init.normal_(block.self_attn.q_proj.bias)
    return model


def generate(model: PreTrainedModel) -> list[int]:
    prompt = torch.tensor([[1, 5, 9, 17]])
    return model.generate(prompt, max_new_tokens=12, do_sample=False)[0].tolist()


def _seeded(kind: type, config: object) -> PreTrainedModel:
    torch.manual_seed(0)
    config.initializer_range = 0.3  # far from flat logits, so that equal ids mean something
    return kind(config).eval()
