"""A GGUF file of the Llama family, dequantised once into a folder in the hub's format.

Every weight becomes the fp32 number that its 4- or 8-bit code stands for: a Q4_1 block is `d * q + m` with d and m in
fp16, and fp32 holds what llama.cpp computes; bf16 would keep 27 % of the weights. The result is what transformers saves
for its own LlamaForCausalLM: safetensors, config, tokenizer, chat template.

Left out: other architectures than "llama", rope scaling, biases and experts; they raise instead of converting wrongly.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.models.errors import ModelError

if TYPE_CHECKING:
    import torch
    from gguf import GGUFReader
    from transformers import LlamaConfig, PreTrainedTokenizerBase

# GGUF's names of tensors (left) and those of transformers' Llama.
_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_TENSOR = re.compile(r"(?:blk\.(\d+)\.)?(\w+)\.weight")


def convert(gguf_file: Path, folder: Path) -> None:
    """Write a GGUF model as a folder that `from_pretrained` reads.

    Raises:
        ModelError: The file is not a Llama-shaped GGUF model, or holds something that this module leaves out.
    """
    from gguf import GGUFReader
    from transformers import GenerationConfig, LlamaForCausalLM

    reader = GGUFReader(gguf_file)
    config = _config(reader, gguf_file)
    weights = dict(_weights(reader, config, gguf_file))
    model = LlamaForCausalLM(config)
    model.load_state_dict(weights | _tied(weights))
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
    )
    model.save_pretrained(folder)
    _tokenizer(gguf_file, str(_field(reader, "tokenizer.ggml.pre")), config).save_pretrained(folder)


def _config(reader: "GGUFReader", gguf_file: Path) -> "LlamaConfig":
    from transformers import LlamaConfig

    architecture = _field(reader, "general.architecture")
    if architecture != "llama":
        raise ModelError(f"{gguf_file.name} has architecture {architecture!r}; only 'llama' is converted")
    unknown = [key for key in reader.fields if key.startswith(("llama.rope.scaling", "llama.expert"))]
    if unknown:
        raise ModelError(f"{gguf_file.name} sets {unknown[0]}, which this conversion leaves out")
    heads = _field(reader, "llama.attention.head_count")
    hidden = _field(reader, "llama.embedding_length")
    return LlamaConfig(
        vocab_size=_field(reader, "llama.vocab_size"),
        hidden_size=hidden,
        intermediate_size=_field(reader, "llama.feed_forward_length"),
        num_hidden_layers=_field(reader, "llama.block_count"),
        num_attention_heads=heads,
        num_key_value_heads=_field(reader, "llama.attention.head_count_kv"),
        head_dim=hidden // heads,
        max_position_embeddings=_field(reader, "llama.context_length"),
        # The file holds fp32, 9.99999975e-06; the model's authors wrote 1e-5.
        rms_norm_eps=float(f"{_field(reader, 'llama.attention.layer_norm_rms_epsilon'):.6g}"),
        rope_parameters={"rope_type": "default", "rope_theta": _field(reader, "llama.rope.freq_base")},
        tie_word_embeddings=not any(tensor.name == "output.weight" for tensor in reader.tensors),
        bos_token_id=_field(reader, "tokenizer.ggml.bos_token_id"),
        eos_token_id=_field(reader, "tokenizer.ggml.eos_token_id"),
        pad_token_id=_field(reader, "tokenizer.ggml.padding_token_id"),
        dtype="float32",
    )


def _weights(reader: "GGUFReader", config: "LlamaConfig", gguf_file: Path) -> "list[tuple[str, torch.Tensor]]":
    import numpy as np
    import torch
    from gguf.quants import dequantize

    weights = []
    for tensor in reader.tensors:
        match = _TENSOR.fullmatch(tensor.name)
        if match is None or match[2] not in _NAMES:
            raise ModelError(f"{gguf_file.name} holds tensor {tensor.name}, which this conversion leaves out")
        block, kind = match.groups()
        name = f"{_NAMES[kind]}.weight" if block is None else f"model.layers.{block}.{_NAMES[kind]}.weight"
        # GGUF lists the input dimension first; the bytes already lie row by row.
        shape = tuple(int(size) for size in reversed(tensor.shape))
        weight = torch.from_numpy(np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)).reshape(
            shape
        )
        heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}.get(kind)
        weights.append((name, weight if heads is None else _unpermute(weight, heads)))
    return weights


def _unpermute(weight: "torch.Tensor", heads: int) -> "torch.Tensor":
    """Undo GGUF's order of the rows of q and k: [out, in] -> [out, in].

    llama.cpp rotates neighbouring pairs of a head's rows, (0, 1), (2, 3), ...; transformers rotates the first half
    against the second. So row 2i of a head belongs to place i, and row 2i + 1 to place i + half.
    """
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


def _tied(weights: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Return the output head that a tied model shares with its embedding."""
    head, embedding = "lm_head.weight", "model.embed_tokens.weight"
    return {} if head in weights else {head: weights[embedding]}


def _tokenizer(gguf_file: Path, pre_tokenizer: str, config: "LlamaConfig") -> "PreTrainedTokenizerBase":
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(gguf_file.parent), gguf_file=gguf_file.name)
    if pre_tokenizer == "smollm":
        # transformers reads every byte-level GGUF tokenizer as GPT-2's; "smollm" splits digits off first, which
        # changes how spaces before a number are grouped.
        splits = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)]
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(splits)
    tokenizer.model_max_length = config.max_position_embeddings
    return tokenizer


def _field(reader: "GGUFReader", key: str) -> Any:  # noqa: ANN401 - GGUF's values have the type that the key says
    field = reader.get_field(key)
    if field is None:
        raise ModelError(f"the GGUF file has no field {key}, which the conversion needs")
    return field.contents()
