"""Where the sign of a weight lies in memory: on disk, on the CPU, on the GPU.

Canonical (on disk, in checkpoints): `uint8 [out, ceil(in / 8)]`, packed along the input, least significant bit first;
**bit 0 is +1, bit 1 is −1**, as in the sign bit of a floating-point number; bits beyond `in` are 0 and mean nothing,
because the kernels multiply them by a zero activation. One weight is one bit: out·in/8 bytes plus the padding.

Each processor reads its own order fastest, so weights are repacked once, when they are loaded, and restored when they
are saved. In both orders a set bit is +1, which the look-ups want. Both ways only move and flip bits, so the round trip
is exact.

* CPU, `int32 [ceil(out / 16), ceil(in / 32), 16]`: a word holds 32 inputs of one output, and the words of 16 outputs
  stand side by side, one a lane of a 512-bit register.
* GPU, `int16 [ceil(out / 16), ceil(in / 256), 32, 8]`: 512 bytes hold 16 outputs × 256 inputs, 16 bytes for each thread
  of a warp. Bit s of all the 16-bit words together is the 16×16 operand of one tensor-core instruction
  (`mma.m16n8k16`, PTX ISA, "Matrix fragments"), already in the registers where the instruction wants it.
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

CPU_OUTPUTS, CPU_INPUTS = 16, 32
GPU_OUTPUTS, GPU_INPUTS = 16, 256


def repack(packed: "torch.Tensor", in_features: int, device: "torch.device | str | None" = None) -> "torch.Tensor":
    """Return the weights in the order that `device` reads fastest, on that device.

    Args:
        packed: Canonical weights, uint8 [out, ceil(in / 8)].
        in_features: Number of inputs.
        device: Where they will be used; where they are now by default. With TRITON_INTERPRET=1 a CPU counts as a GPU.

    Raises:
        TypeError: `packed` is not uint8.
        ValueError: Its shape does not fit `in_features`.
    """
    import torch

    device = torch.device(device) if device is not None else packed.device
    return to_layout(packed.to(device), in_features, "gpu" if device.type == "cuda" or interpreted() else "cpu")


def to_layout(packed: "torch.Tensor", in_features: int, layout: str) -> "torch.Tensor":
    """Return canonical weights in the order named `layout`, "cpu" or "gpu", where they are. Errors as in `repack`."""
    _check_canonical(packed, in_features)
    positive = ~packed
    return _to_gpu(positive) if layout == "gpu" else _to_cpu(positive)


def restore(words: "torch.Tensor", out_features: int, in_features: int) -> "torch.Tensor":
    """Return the canonical weights, uint8 [out, ceil(in / 8)], of weights in either processor's order.

    Raises:
        ValueError: `words` has the shape of neither order for these sizes.
    """
    layout = layout_of(words, out_features, in_features)
    positive = _from_cpu(words) if layout == "cpu" else _from_gpu(words)
    packed = ~positive[:out_features, : -(-in_features // 8)]
    if unused := -in_features % 8:
        packed[:, -1] &= 0xFF >> unused
    return packed


def layout_of(words: "torch.Tensor", out_features: int, in_features: int) -> str:
    """Return "cpu" or "gpu": whose order `words` is in.

    Raises:
        ValueError: It has the shape of neither order for these sizes.
    """
    import torch

    for layout, dtype in (("cpu", torch.int32), ("gpu", torch.int16)):
        if words.dtype == dtype and tuple(words.shape) == words_shape(layout, out_features, in_features):
            return layout
    raise ValueError(
        f"weights are {words.dtype} {list(words.shape)}, but {out_features} outputs × {in_features} inputs take int32 "
        f"{list(words_shape('cpu', out_features, in_features))} on a CPU or int16 "
        f"{list(words_shape('gpu', out_features, in_features))} on a GPU: repack the canonical weights with "
        "lib.kernels.repack(packed, in_features, device)"
    )


def words_shape(layout: str, out_features: int, in_features: int) -> tuple[int, ...]:
    """Return the shape that weights of these sizes have in a processor's order."""
    if layout == "cpu":
        return (-(-out_features // CPU_OUTPUTS), -(-in_features // CPU_INPUTS), CPU_OUTPUTS)
    return (-(-out_features // GPU_OUTPUTS), -(-in_features // GPU_INPUTS), 32, 8)


def signs(packed: "torch.Tensor", in_features: int, dtype: "torch.dtype | None" = None) -> "torch.Tensor":
    """Return the dense weights, −1 or +1, [out, in] (float32 by default)."""
    import torch

    _check_canonical(packed, in_features)
    bits = (packed[:, :, None] >> torch.arange(8, dtype=torch.uint8, device=packed.device)) & 1
    dense = bits.flatten(1)[:, :in_features].to(dtype or torch.float32)
    return dense.mul_(-2).add_(1)


def interpreted() -> bool:
    """Whether Triton's interpreter stands in for a GPU (TRITON_INTERPRET=1)."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


def _check_canonical(packed: "torch.Tensor", in_features: int) -> None:
    import torch

    if packed.dtype != torch.uint8:
        raise TypeError(f"packed signs are {packed.dtype}, but the canonical layout is torch.uint8 [out, ceil(in / 8)]")
    if packed.ndim != 2 or packed.shape[1] != -(-in_features // 8):
        raise ValueError(
            f"packed signs have the shape {list(packed.shape)}, but {in_features} inputs take [out, "
            f"{-(-in_features // 8)}]: 8 signs a byte along the input"
        )


def _to_cpu(packed: "torch.Tensor") -> "torch.Tensor":
    import torch

    words = _pad(packed, CPU_OUTPUTS, CPU_INPUTS // 8).view(torch.int32)
    return words.unflatten(0, (-1, CPU_OUTPUTS)).transpose(1, 2).contiguous()


def _from_cpu(words: "torch.Tensor") -> "torch.Tensor":
    import torch

    return words.transpose(1, 2).flatten(0, 1).contiguous().view(torch.uint8)


def _to_gpu(packed: "torch.Tensor") -> "torch.Tensor":
    bits = _bits(_pad(packed, GPU_OUTPUTS, GPU_INPUTS // 8))
    # [block, row half, row, chunk, step, column half, column pair, column] -> a thread is (row, column pair), its 8
    # words are (column half, row half, column), and the step is the bit.
    bits = bits.reshape(bits.shape[0] // 16, 2, 8, bits.shape[1] // 256, 16, 2, 4, 2).permute(0, 3, 2, 6, 5, 1, 7, 4)
    return _words(bits.reshape(bits.shape[0], bits.shape[1], 32, 8, 16))


def _from_gpu(words: "torch.Tensor") -> "torch.Tensor":
    import torch

    blocks, chunks = words.shape[:2]
    bits = _bits(words.contiguous().view(torch.uint8)).reshape(blocks, chunks, 8, 4, 2, 2, 2, 16)
    bits = bits.permute(0, 5, 2, 1, 7, 4, 3, 6).reshape(blocks * 16, chunks * 256)
    return _words(bits.unflatten(1, (-1, 16))).view(torch.uint8)


def _pad(packed: "torch.Tensor", rows: int, columns: int) -> "torch.Tensor":
    import torch

    return torch.nn.functional.pad(packed, (0, -packed.shape[1] % columns, 0, -packed.shape[0] % rows))


def _bits(packed: "torch.Tensor") -> "torch.Tensor":
    """Bytes [..., bytes] as bits [..., 8 · bytes], least significant first."""
    import torch

    return ((packed[..., None] >> torch.arange(8, dtype=torch.uint8, device=packed.device)) & 1).flatten(-2)


def _words(bits: "torch.Tensor") -> "torch.Tensor":
    """Bits [..., 16], least significant first, as int16 [...]; bit 15 is the sign of a two's complement."""
    import torch

    weights = torch.tensor([1 << i for i in range(15)] + [-(1 << 15)], dtype=torch.int16, device=bits.device)
    return (bits.to(torch.int16) * weights).sum(-1, dtype=torch.int16)
