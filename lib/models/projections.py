"""The seven linear layers of every block: q, k, v, o, gate, up, down, from a model or straight from its files.

Reading a checkpoint's files one tensor at a time needs neither the model's class nor its memory: all 210 matrices of
SmolLM2-135M in under a second, a 7B model's on a laptop.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from lib.models.errors import ModelError

if TYPE_CHECKING:
    import torch

PROJECTION_TYPES = ("q", "k", "v", "o", "gate", "up", "down")

_PROJECTION = re.compile(r"(?:.*\.)?layers\.(\d+)\.(?:self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj\.weight")


@dataclass(frozen=True)
class Projection:
    """One linear layer of a block.

    Attributes:
        name: The weight's name in the checkpoint.
        block: Number of the block, from 0.
        type: One of PROJECTION_TYPES.
        weight: The matrix, [out, in].
    """

    name: str
    block: int
    type: str
    weight: "torch.Tensor"

    def __repr__(self) -> str:
        return f"Projection({self.name}, {' x '.join(map(str, self.weight.shape))})"


def is_projection(name: str) -> bool:
    """Tell whether a tensor's name is that of a projection of a Llama-, Mistral- or Qwen-shaped model."""
    return _PROJECTION.fullmatch(name) is not None


def projection_matrices(model: "torch.nn.Module") -> Iterator[Projection]:
    """Yield a model's projections, block by block, in the order of PROJECTION_TYPES; the weights are not copied.

    Raises:
        ModelError: There are none.
    """
    weights = {name: weight.detach() for name, weight in model.named_parameters() if is_projection(name)}
    for name in _in_order(weights, type(model).__name__):
        yield _projection(name, weights[name])


def read_projections(folder: Path) -> Iterator[Projection]:
    """Yield a checkpoint's projections straight from its safetensors, one at a time, in the dtype they are stored in.

    Raises:
        ModelError: The folder holds no safetensors, or no projections.
    """
    names = (name for name in _files_of_tensors(folder) if is_projection(name))
    for name, weight in _read(folder, _in_order(names, str(folder))):
        yield _projection(name, weight)


def stored_tensors(folder: Path) -> "Iterator[tuple[str, torch.Tensor]]":
    """Yield name and value of every tensor of a checkpoint, one at a time, sorted by name."""
    yield from _read(folder, sorted(_files_of_tensors(folder)))


class StoredTensors(Mapping[str, "torch.Tensor"]):
    """The tensors of a checkpoint by name, in the dtype they are stored in, each read when it is asked for.

    Args:
        folder: A checkpoint in the hub's format.

    Raises:
        ModelError: The folder holds no safetensors, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        self._files = _files_of_tensors(folder)

    def __getitem__(self, name: str) -> "torch.Tensor":
        from safetensors import safe_open

        with safe_open(self._files[name], framework="pt") as file:
            return file.get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._files))

    def __len__(self) -> int:
        return len(self._files)


def count_parameters(folder: Path) -> int:
    """Return the number of stored weights of a checkpoint, read from its headers; a tied head counts once."""
    from safetensors import safe_open

    files = _files_of_tensors(folder)
    total = 0
    for path in set(files.values()):
        with safe_open(path, framework="pt") as file:
            total += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118 - no mapping
    return total


def _in_order(names: "Iterator[str] | dict[str, torch.Tensor]", where: str) -> list[str]:
    ordered = sorted(names, key=_place)
    if not ordered:
        raise ModelError(
            f"{where} holds no projections: expected weights named like model.layers.0.self_attn.q_proj.weight, "
            "as Llama, Mistral and Qwen name them"
        )
    return ordered


def _place(name: str) -> tuple[int, int]:
    block, kind = _PROJECTION.fullmatch(name).groups()
    return int(block), PROJECTION_TYPES.index(kind)


def _projection(name: str, weight: "torch.Tensor") -> Projection:
    block, place = _place(name)
    return Projection(name, block, PROJECTION_TYPES[place], weight)


def _files_of_tensors(folder: Path) -> dict[str, Path]:
    """Return the file that each tensor of a checkpoint lies in."""
    from safetensors import SafetensorError, safe_open

    # Some repositories hold the same weights once more, in one "consolidated" file.
    paths = [path for path in sorted(Path(folder).glob("*.safetensors")) if not path.name.startswith("consolidated")]
    if not paths:
        raise ModelError(f"{folder} holds no .safetensors file; expected a checkpoint in the hub's format")
    files = {}
    for path in paths:
        try:
            with safe_open(path, framework="pt") as file:
                files |= dict.fromkeys(file.keys(), path)
        except SafetensorError as error:
            raise ModelError(f"{path} is damaged ({error}); bring it again") from error
    return files


def _read(folder: Path, names: list[str]) -> "Iterator[tuple[str, torch.Tensor]]":
    from safetensors import safe_open

    files = _files_of_tensors(folder)
    opened = {}  # each file once: opening one reads its whole header
    for name in names:
        path = files[name]
        if path not in opened:
            opened[path] = safe_open(path, framework="pt")
        yield name, opened[path].get_tensor(name)
