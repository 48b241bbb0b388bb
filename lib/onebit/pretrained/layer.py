"""The layer of OneBit at inference: one bit a weight, on disk and in memory.

    Y = ((X ⊙ g) Sᵀ) ⊙ h,   Z = LayerNorm(Y) + b             (Eq. 3; the LayerNorm only with `post_layer_norm`)

Disk and memory hold the signs in different orders (`lib.kernels.layout`). The layer starts with canonical `sign_bits`,
which loading fills; `pack` turns them into the device's `words` and drops them; `state_dict` gives them back. So there
is never more than one copy, except for the moment of turning.
"""

from collections.abc import Callable
from typing import Any

import torch

from lib.kernels import repack, restore, sign_linear
from lib.onebit.checkpoint import CheckpointError, OneBitMatrix
from lib.onebit.packing import packed_bytes


class OneBitLinear(torch.nn.Module):
    """A linear layer of signs and two vectors, in place of `torch.nn.Linear`.

    Attributes:
        in_features: n.
        out_features: m.
        post_layer_norm: Whether the output is normalised, without an affine part, before the bias.
        sign_bits: Canonical signs, uint8 [m, ceil(n / 8)]; None once packed.
        words: Signs as the device reads them; None until packed. Not in the state dict.
        input_scale: g, fp16 [n]. It and h stay fp16 whatever dtype the model is cast to.
        output_scale: h, fp16 [m].
        bias: b [m], in the model's dtype, or None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = False,
        post_layer_norm: bool = False,
        device: "torch.device | str | None" = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Make an empty layer: all signs +, all scales 0."""
        super().__init__()
        self.in_features, self.out_features, self.post_layer_norm = in_features, out_features, post_layer_norm
        shape = (out_features, packed_bytes(in_features))
        self.register_buffer("sign_bits", torch.zeros(shape, dtype=torch.uint8, device=device))
        self.register_buffer("words", None, persistent=False)
        self.register_buffer("input_scale", torch.zeros(in_features, dtype=torch.float16, device=device))
        self.register_buffer("output_scale", torch.zeros(out_features, dtype=torch.float16, device=device))
        value = torch.zeros(out_features, device=device, dtype=dtype) if bias else None
        self.bias = None if value is None else torch.nn.Parameter(value, requires_grad=False)

    @classmethod
    def from_matrix(
        cls, matrix: OneBitMatrix, bias: torch.Tensor | None = None, post_layer_norm: bool = False
    ) -> "OneBitLinear":
        """Return the packed layer of a matrix, on its device; `bias` [m] is kept in its own dtype."""
        m, n = matrix.shape
        layer = cls(n, m, False, post_layer_norm, device="meta")
        layer.sign_bits = matrix.sign_bits
        layer.input_scale, layer.output_scale = matrix.input_scale, matrix.output_scale
        if bias is not None:
            layer.bias = torch.nn.Parameter(bias.detach(), requires_grad=False)
        layer.pack()
        return layer

    @property
    def matrix(self) -> OneBitMatrix:
        """The layer's matrix in its canonical form; the signs are a copy once packed."""
        return OneBitMatrix(self._canonical(), self.output_scale, self.input_scale)

    def pack(self) -> None:
        """Turn the canonical signs into the device's order and drop them; nothing if that is done already."""
        if self.sign_bits is not None:
            self.words = repack(self.sign_bits, self.in_features)
            self.sign_bits = None

    def check(self, name: str) -> None:
        """Look at the values, where shapes are right.

        Raises:
            CheckpointError: A scale is not finite; the message names the tensor.
        """
        for part in ("input_scale", "output_scale", "bias"):
            vector = getattr(self, part)
            if vector is not None and not (finite := vector.isfinite()).all():
                at = (~finite).nonzero()[0].item()
                raise CheckpointError(f"{name}.{part} holds {vector[at].item()} at [{at}]; expected finite numbers")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return Z [..., m] for x [..., n], in the dtype of x."""
        if self.words is None:
            self.pack()
        return sign_linear(x, self.words, self.input_scale, self.output_scale, self.bias, self.post_layer_norm)

    def extra_repr(self) -> str:
        """Return what print(model) shows of the layer."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}, "
            f"post_layer_norm={self.post_layer_norm}"
        )

    def _canonical(self) -> torch.Tensor:
        if self.sign_bits is not None:
            return self.sign_bits
        return restore(self.words, self.out_features, self.in_features)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}sign_bits"] = self._canonical()

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - torch's own signature
        packed = self.words is not None
        if packed:
            self.sign_bits, self.words = self._canonical(), None
        super()._load_from_state_dict(*arguments, **options)
        if packed:
            self.pack()

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> "OneBitLinear":
        """Follow `to`, `float`, `cuda`...: the scales keep fp16, the words get the new device's order."""
        before = {name: getattr(self, name) for name in ("input_scale", "output_scale", "words")}
        super()._apply(fn, recurse)
        for name in ("input_scale", "output_scale"):
            old, new = before[name], getattr(self, name)
            if new.dtype != torch.float16:
                setattr(self, name, new.half() if old.is_meta or new.is_meta else old.to(new.device))
        moved = self.words is not None and self.words.device.type != before["words"].device.type
        if moved and not self.words.is_meta:
            packed = restore(self.words, self.out_features, self.in_features)
            self.words = repack(packed, self.in_features)
        return self
