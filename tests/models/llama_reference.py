"""A second, independent reading of a GGUF Llama: its own dequantisation and its own forward pass, in numpy float64.

It stays in GGUF's own conventions (neighbouring rows of q and k are rotated as pairs), so agreement with transformers'
class checks the dequantisation, the mapping of names and the order of the rows of q and k in one.
"""

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader


def dequantise_q4_1(raw: np.ndarray) -> np.ndarray:
    """Blocks of 20 bytes: fp16 step, fp16 minimum, 16 bytes; low nibbles are weights 0-15, high ones 16-31."""
    blocks = raw.reshape(-1, 20)
    step = blocks[:, 0:2].copy().view(np.float16).astype(np.float64)
    minimum = blocks[:, 2:4].copy().view(np.float16).astype(np.float64)
    codes = np.concatenate([blocks[:, 4:] % 16, blocks[:, 4:] // 16], axis=1)
    return step * codes + minimum


def dequantise_q8_0(raw: np.ndarray) -> np.ndarray:
    """Blocks of 34 bytes: fp16 step, 32 signed bytes."""
    blocks = raw.reshape(-1, 34)
    step = blocks[:, 0:2].copy().view(np.float16).astype(np.float64)
    return step * blocks[:, 2:].copy().view(np.int8)


def read(reader: GGUFReader) -> dict[str, np.ndarray]:
    """Name -> weight [out, in], rounded once from float64 to float32."""
    kinds = {
        GGMLQuantizationType.Q4_1: dequantise_q4_1,
        GGMLQuantizationType.Q8_0: dequantise_q8_0,
        GGMLQuantizationType.F32: lambda raw: raw.astype(np.float64),
    }
    return {
        tensor.name: kinds[tensor.tensor_type](np.asarray(tensor.data)).astype(np.float32).reshape(tensor.shape[::-1])
        for tensor in reader.tensors
    }


def logits(weights: dict[str, np.ndarray], ids: list[int], heads: int, kv_heads: int, base: float) -> np.ndarray:
    """Next-token logits [tokens, vocabulary] of a tied Llama with weights in GGUF's order."""
    embedding = weights["token_embd.weight"].astype(np.float64)
    hidden = embedding[ids]
    blocks = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blk."))
    for block in range(blocks):

        def weight(name: str, block: int = block) -> np.ndarray:
            return weights[f"blk.{block}.{name}.weight"].astype(np.float64)

        normed = _rms_norm(hidden) * weight("attn_norm")
        hidden = hidden + _attention(normed, weight, heads, kv_heads, base) @ weight("attn_output").T
        normed = _rms_norm(hidden) * weight("ffn_norm")
        gate = normed @ weight("ffn_gate").T
        hidden = hidden + (gate / (1 + np.exp(-gate)) * (normed @ weight("ffn_up").T)) @ weight("ffn_down").T
    return _rms_norm(hidden) * weights["output_norm.weight"].astype(np.float64) @ embedding.T


def _rms_norm(hidden: np.ndarray) -> np.ndarray:
    return hidden / np.sqrt((hidden**2).mean(axis=-1, keepdims=True) + 1e-5)


def _attention(normed, weight, heads, kv_heads, base):
    tokens = len(normed)

    def split(name: str, count: int) -> np.ndarray:
        return (normed @ weight(name).T).reshape(tokens, count, -1).transpose(1, 0, 2)  # [head, token, width]

    queries = _rotate_pairs(split("attn_q", heads), base)
    keys = _rotate_pairs(split("attn_k", kv_heads), base).repeat(heads // kv_heads, axis=0)
    values = split("attn_v", kv_heads).repeat(heads // kv_heads, axis=0)
    scores = queries @ keys.transpose(0, 2, 1) / np.sqrt(queries.shape[-1])
    scores = np.where(np.tril(np.ones((tokens, tokens), dtype=bool)), scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return (shares @ values).transpose(1, 0, 2).reshape(tokens, -1)


def _rotate_pairs(vectors: np.ndarray, base: float) -> np.ndarray:
    """Rotate (x0, x1), (x2, x3), ... of each position by position * base^(-2i/width)."""
    _, tokens, width = vectors.shape
    angles = np.arange(tokens)[:, None] * base ** (-np.arange(0, width, 2) / width)
    turned = (vectors[..., 0::2] + 1j * vectors[..., 1::2]) * np.exp(1j * angles)
    return np.stack([turned.real, turned.imag], axis=-1).reshape(vectors.shape)
