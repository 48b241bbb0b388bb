"""Artifacts as files: one safetensors file each, versioned, mapped into memory.

save(path, delta)                  # a CompressedDelta; whole or not at all
artifact = load(path)              # reads the header alone, and checks that all it names is there

A tensor's bits are held against its checksum when it is read.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.delta_come.artifact import PARTS, RAW, Artifact, RawLayout, header_of, named_tensors
from lib.delta_come.checksums import checked, joined
from lib.delta_come.errors import DeltaError
from lib.delta_come.header import KEY, Header, tool_version
from lib.delta_come.stored import PackedMatrix

if TYPE_CHECKING:
    import torch

    from lib.delta_come.factors import CompressedDelta

_ITEM_SIZES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "BF16": 2, "F16": 2, "I16": 2, "U16": 2}


def save(path: Path | str, delta: "CompressedDelta", base_tensors: dict[str, str] | None = None) -> Artifact:
    """Write a compressed delta, whole or not at all, and return its artifact.

    Args:
        path: The file; one that is there is replaced.
        delta: What is stored.
        base_tensors: Digests of the base's tensors (`hashes`), so that a wrong base can be told by its first tensor.

    Raises:
        DeltaError: There is no folder to write to.
    """
    header = header_of(delta, base_tensors)
    return save_packed(path, map(PackedMatrix.pack, delta.matrices.values()), delta.raw, header)


def save_packed(
    path: Path | str, matrices: Iterable[PackedMatrix], raw: "Mapping[str, torch.Tensor]", header: Header
) -> Artifact:
    """Write packed matrices and raw tensors, whole or not at all, and return their artifact.

    Args:
        path: The file; one that is there is replaced.
        matrices: The compressed matrices.
        raw: The other tensors by name.
        header: Says everything but what the matrices say themselves.

    Raises:
        DeltaError: There is no folder to write to.
    """
    from safetensors.torch import save_file

    path = check_target(path)
    tensors, stored = named_tensors(matrices)
    tensors |= {f"{RAW}{name}": tensor.detach().cpu().contiguous() for name, tensor in raw.items()}
    text = replace(header, matrices=stored, tool=tool_version(), checksums=joined(tensors)).to_text()
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.touch()
        mode = partial.stat().st_mode  # what the user's umask allows; safetensors lets only the owner read
        save_file(tensors, partial, metadata={KEY: text})
        partial.chmod(mode)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return load(path)


def check_target(path: Path | str) -> Path:
    """Return a path that an artifact can be written to.

    Raises:
        DeltaError: Its folder is missing, or it is itself a folder.
    """
    path = Path(path).expanduser()
    if not path.parent.is_dir():
        raise DeltaError(f"there is no folder {path.parent} to write {path.name} to; make it first")
    if path.is_dir():
        raise DeltaError(f"{path} is a folder; an artifact is one file, such as {path}/delta.safetensors")
    return path


def load(path: Path | str, verify: bool = True) -> Artifact:
    """Open an artifact: read its header and check that all it names is there; tensors stay on disk.

    Args:
        path: The file.
        verify: Whether each tensor is held against its checksum when it is read: half a millisecond a megabyte.

    Raises:
        DeltaError: The file is missing, truncated, no artifact, of another version, or its parts don't fit together;
            or, when a damaged tensor is read, its bits are not those that were written.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path).expanduser()
    try:
        file = safe_open(path, framework="pt")
    except FileNotFoundError as error:
        raise DeltaError(f"there is no file {path}") from error
    except OSError as error:
        raise DeltaError(f"{path} cannot be read ({error}); an artifact is one file") from error
    except SafetensorError as error:
        raise DeltaError(f"{path} is truncated or damaged ({error}); copy or make it again") from error
    header = Header.from_metadata(file.metadata() or {}, path)
    sizes = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    for name, dtypes, shape in _expected(header):
        _check_part(path, name, sizes.get(name), dtypes, shape)
    raw = {name.removeprefix(RAW): _raw_layout(part) for name, part in sizes.items() if name.startswith(RAW)}
    read = checked(path, file.get_tensor, list(sizes), header.checksums) if verify else file.get_tensor
    return Artifact(path, header, raw, read)


def _expected(header: Header) -> Iterator[tuple[str, tuple[str, ...], list[int]]]:
    """Yield name, possible types and shape of every tensor that a header says is there."""
    for name, stored in header.matrices.items():
        layout = stored.layout
        singular = "F16" if layout.singular_bytes == 2 else "F32"
        for part, dtype, length in zip(
            PARTS, ("I32", "F16", singular), (layout.words, layout.halves, layout.ranks), strict=True
        ):
            yield f"delta.{name}.{part}", (dtype,), [length]
        for place, factor in zip(stored.permutations, layout.factors, strict=True):
            if place is not None:
                yield f"permutation.{place}", ("I16", "I32"), [factor.columns]


def _check_part(path: Path, name: str, found: Any, dtypes: tuple[str, ...], shape: list[int]) -> None:  # noqa: ANN401
    if found is None:
        raise DeltaError(f"{path} lacks {name}, which its header names; make it again")
    if found.get_dtype() not in dtypes or found.get_shape() != shape:
        raise DeltaError(
            f"{path}: {name} is {found.get_dtype()} {found.get_shape()}, but its header says "
            f"{' or '.join(dtypes)} {shape}; make it again"
        )


def _raw_layout(part: Any) -> RawLayout:  # noqa: ANN401 - safetensors gives its slices no name
    return RawLayout(tuple(part.get_shape()), _ITEM_SIZES.get(part.get_dtype(), 1))
