"""A OneBit checkpoint on disk: one safetensors file, versioned.

A layer `name` [m, n] is three tensors: `name.sign_bits` uint8 [m, ceil(n / 8)] in the layout of `packing`,
`name.output_scale` (h) fp16 [m] and `name.input_scale` (g) fp16 [n]. Whatever is not quantised (embedding, norms,
output head) lies beside them under its own name. The file's metadata says `format: onebit` and `version: 1`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib.onebit.packing import pack_signs, packed_bytes, unpack_signs
from lib.onebit.svid import Svid

if TYPE_CHECKING:
    import torch

FORMAT, VERSION = "onebit", "1"
_SMALLEST_NORMAL_FP16 = 2.0**-14
_PARTS = ("sign_bits", "output_scale", "input_scale")


class CheckpointError(ValueError):
    """A file is no readable OneBit checkpoint, or a matrix cannot be stored in one; the message names the tensor."""


@dataclass(frozen=True)
class OneBitMatrix:
    """A matrix [m, n] as it is stored.

    Attributes:
        sign_bits: uint8 [m, ceil(n / 8)].
        output_scale: h, fp16 [m].
        input_scale: g, fp16 [n].
    """

    sign_bits: "torch.Tensor"
    output_scale: "torch.Tensor"
    input_scale: "torch.Tensor"

    @classmethod
    def from_svid(cls, parts: Svid, name: str = "weight") -> "OneBitMatrix":
        """Return the packed form of a decomposition.

        Raises:
            CheckpointError: The scales are too large for fp16 (65,504) or too small (6.1e-5).
        """
        h, g = parts.output_scale.half(), parts.input_scale.half()
        if not (h.isfinite().all() and g.isfinite().all()):
            largest = max(parts.output_scale.abs().max().item(), parts.input_scale.abs().max().item())
            raise CheckpointError(
                f"{name}: a scale of {largest:.4g} is more than fp16 holds (65,504); share it with split='balanced', "
                "or scale the weight down"
            )
        smallest = min(parts.output_scale.max().item(), parts.input_scale.max().item())
        if 0 < smallest < _SMALLEST_NORMAL_FP16:
            raise CheckpointError(
                f"{name}: scales of at most {smallest:.4g} lose digits in fp16, below {_SMALLEST_NORMAL_FP16:.1e}; "
                "share them with split='balanced', or scale the weight up"
            )
        return cls(pack_signs(parts.sign_weight), h, g)

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs, (m, n)."""
        return len(self.output_scale), len(self.input_scale)

    @property
    def nbytes(self) -> int:
        """Stored bytes: m ceil(n / 8) + 2 (m + n)."""
        return sum(part.nbytes for part in (self.sign_bits, self.output_scale, self.input_scale))

    def signs(self) -> "torch.Tensor":
        """Return the signs, int8 [m, n]."""
        return unpack_signs(self.sign_bits, self.shape[1])

    def dequantise(self) -> "torch.Tensor":
        """Return sign * h g^T, float32 [m, n]."""
        return self.signs() * self.output_scale.float()[:, None] * self.input_scale.float()

    def __repr__(self) -> str:
        return f"OneBitMatrix({self.shape[0]} x {self.shape[1]}, {self.nbytes:,} bytes)"


@dataclass(frozen=True)
class OneBitCheckpoint:
    """A whole checkpoint.

    Attributes:
        matrices: The quantised layers by name.
        others: All other tensors by name.
    """

    matrices: dict[str, OneBitMatrix]
    others: "dict[str, torch.Tensor]"

    def __repr__(self) -> str:
        return f"OneBitCheckpoint({len(self.matrices)} matrices, {len(self.others)} other tensors)"


@dataclass(frozen=True)
class FileSize:
    """Where a safetensors file's bytes go: `total` = 8 + `header` + `tensors`."""

    total: int
    header: int
    tensors: int


def save_checkpoint(
    path: Path | str, matrices: Mapping[str, OneBitMatrix], others: "Mapping[str, torch.Tensor] | None" = None
) -> FileSize:
    """Write a checkpoint, whole or not at all, and return where its bytes go.

    Raises:
        CheckpointError: A name among the others belongs to a quantised layer, parts of a matrix don't fit together, or
            there is no folder to write to.
    """
    from safetensors.torch import save_file

    tensors = dict(others or {})
    for name, matrix in matrices.items():
        parts = {f"{name}.{part}": getattr(matrix, part).contiguous() for part in _PARTS}
        _checked(name, matrix)
        if clash := tensors.keys() & parts.keys():
            raise CheckpointError(f"{min(clash)} is given twice: as a layer's part and among the other tensors")
        tensors |= parts
    path = Path(path)
    if not path.parent.is_dir():
        raise CheckpointError(f"there is no folder {path.parent} to write {path.name} to; make it first")
    partial = path.with_name(f".{path.name}.part")
    save_file(tensors, partial, metadata={"format": FORMAT, "version": VERSION})
    os.replace(partial, path)
    return file_size(path)


def load_checkpoint(path: Path | str) -> OneBitCheckpoint:
    """Read a checkpoint and check every tensor's shape and type.

    Raises:
        CheckpointError: The file is missing, truncated, of another format or version, or its tensors don't fit.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            _check_metadata(path, file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error}); a checkpoint is one safetensors file") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path} is truncated or damaged ({error}); copy or make it again") from error
    layers = [name.removesuffix(".sign_bits") for name in tensors if name.endswith(".sign_bits")]
    matrices = {name: _matrix(name, tensors) for name in layers}
    return OneBitCheckpoint(matrices, tensors)


def file_size(path: Path | str) -> FileSize:
    """Return the size of a safetensors file: 8 bytes that count the header's, the header, the tensors."""
    total = os.path.getsize(path)
    with open(path, "rb") as file:
        header = int.from_bytes(file.read(8), "little")
    return FileSize(total, header, total - 8 - header)


def _check_metadata(path: Path | str, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path} is no OneBit checkpoint: its metadata says format={metadata.get('format')!r}")
    if metadata.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has format version {metadata.get('version')}; this code reads version {VERSION}, "
            "so use the code that wrote it, or make the file again"
        )


def _matrix(name: str, tensors: "dict[str, torch.Tensor]") -> OneBitMatrix:
    missing = [part for part in _PARTS if f"{name}.{part}" not in tensors]
    if missing:
        raise CheckpointError(f"layer {name} lacks {name}.{missing[0]}")
    return _checked(name, OneBitMatrix(*(tensors.pop(f"{name}.{part}") for part in _PARTS)))


def _checked(name: str, matrix: OneBitMatrix) -> OneBitMatrix:
    import torch

    for part, dtype, dimensions in zip(_PARTS, (torch.uint8, torch.float16, torch.float16), (2, 1, 1), strict=True):
        tensor = getattr(matrix, part)
        if tensor.dtype != dtype or tensor.ndim != dimensions:
            found = f"{tensor.dtype} {list(tensor.shape)}"
            raise CheckpointError(f"{name}.{part} is {found}; expected {dtype} of {dimensions} dimension(s)")
    m, n = matrix.shape
    if list(matrix.sign_bits.shape) != [m, packed_bytes(n)]:
        raise CheckpointError(
            f"{name}.sign_bits has shape {list(matrix.sign_bits.shape)}; "
            f"its scales of length {m} and {n} need [{m}, {packed_bytes(n)}]"
        )
    if n % 8 and (matrix.sign_bits[:, -1] >> (n % 8)).any():
        raise CheckpointError(f"{name}.sign_bits has bits set beyond column {n}; padding must be zero")
    return matrix
