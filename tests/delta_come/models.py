"""Tiny models of random weights with fine-tunes of known deltas; widths are odd where the shape allows it."""

import copy

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from lib.delta_come.factors import CompressedDelta
from lib.delta_come.hashes import content_hash, model_digests
from lib.delta_come.plan import Storage
from lib.delta_come.synthetic import matrix_shapes, synthetic_delta

_SMALL = {"vocab_size": 61, "num_hidden_layers": 2, "bos_token_id": 1, "eos_token_id": None, "pad_token_id": 0}
PLAN = "8:2,3:5,2:rest"


def odd_llama() -> PreTrainedModel:
    """Width 52, feed-forward 75, two query heads on one key-value head, tied head."""
    config = LlamaConfig(
        hidden_size=52,
        intermediate_size=75,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        **_SMALL,
    )
    return seeded(LlamaForCausalLM, config)


def biased_llama(base: PreTrainedModel, size: float = 0.05) -> PreTrainedModel:
    """Return a fine-tune of `odd_llama` that has biases, which its base has not, in all projections."""
    config = LlamaConfig.from_dict(base.config.to_dict() | {"attention_bias": True, "mlp_bias": True})
    result = seeded(LlamaForCausalLM, config)
    result.load_state_dict(finetune_of(base, size=size).state_dict(), strict=False)
    dice = torch.Generator().manual_seed(4)
    for name, weight in result.named_parameters():
        if name.endswith(".bias"):
            torch.nn.init.normal_(weight, generator=dice)
    return result


def biased_qwen() -> PreTrainedModel:
    """q, k and v have biases; the head is its own."""
    config = Qwen2Config(
        hidden_size=40,
        intermediate_size=72,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=False,
        **_SMALL,
    )
    model = seeded(Qwen2ForCausalLM, config)
    dice = torch.Generator().manual_seed(3)
    for block in model.model.layers:
        torch.nn.init.normal_(block.self_attn.q_proj.bias, generator=dice)
    return model


def finetune_of(model: PreTrainedModel, tokens: int = 0, size: float = 0.05) -> PreTrainedModel:
    """Return a model whose every weight moved; `tokens` more in its vocabulary."""
    result = copy.deepcopy(model)
    dice = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in result.parameters():
            weight += size * torch.randn(weight.shape, generator=dice)
    if tokens:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            result.resize_token_embeddings(len(result.get_input_embeddings().weight) + tokens, mean_resizing=False)
    return result


def seeded(kind: type, config: object) -> PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config.initializer_range = 0.3  # far from flat logits, so that equal ids mean something
        return kind(config).eval()


def fabricated(model: PreTrainedModel, seed: int = 0, size: float = 0.1, raw: tuple[str, ...] = ()) -> CompressedDelta:
    """Return a delta that changes every projection, and the named tensors, of a model visibly."""
    delta = synthetic_delta(
        matrix_shapes(model),
        PLAN,
        ratio=1 / 2,
        seed=seed,
        storage=Storage(group_size=16, permutation=True),
        size=size,
        base_hash=content_hash(model_digests(model)),
    )
    dice = torch.Generator().manual_seed(seed)
    weights = model.state_dict()
    for name in raw:
        delta.raw[name] = weights[name] + 0.3 * torch.randn(weights[name].shape, generator=dice)
    return CompressedDelta(**(delta.__dict__ | {"tied": model.config.tie_word_embeddings}))


def merged(model: PreTrainedModel, delta: CompressedDelta) -> PreTrainedModel:
    """Return base + delta the plain way, apart from the code under test."""
    result = copy.deepcopy(model)
    weights = dict(result.named_parameters())
    with torch.no_grad():
        for name, matrix in delta.matrices.items():
            weights[name] += sum(
                (group.U.dequantise() * group.singular_values.float()) @ group.V.dequantise() for group in matrix.groups
            )
        for name, value in delta.raw.items():
            weights[name].copy_(value)
    return result
