"""One side of a pair: a model's tensors by name, from files one at a time or from memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from lib.delta_come.errors import DeltaError
from lib.models import LoadedModel, ModelError, StoredTensors, checkpoint_folder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"

_COMPUTED = ".inv_freq"  # rotary frequencies, which some old checkpoints store

# What a model can be given as.
Source = Union[str, Path, LoadedModel, "PreTrainedModel"]


@dataclass(frozen=True)
class Checkpoint:
    """One side of a pair.

    Attributes:
        label: What messages call it.
        weights: Tensors by name; a tied head is left out.
        config: The model's configuration, as in config.json.
        vocabulary: Number of each token; None where the source has no tokenizer.
    """

    label: str
    weights: "Mapping[str, torch.Tensor]"
    config: dict[str, Any]
    vocabulary: dict[str, int] | None

    @property
    def tied(self) -> bool:
        """Whether the output head is the embedding."""
        return HEAD not in self.weights

    def finite(self, name: str) -> "torch.Tensor":
        """Return a tensor in its own dtype.

        Raises:
            DeltaError: It holds NaN or infinity.
        """
        tensor = self.weights[name]
        if not tensor.isfinite().all():
            at = (~tensor.isfinite()).nonzero()[0].tolist()
            raise DeltaError(f"{name} of {self.label} holds {tensor[tuple(at)].item()} at {at}; repair that checkpoint")
        return tensor

    def __repr__(self) -> str:
        return f"Checkpoint({self.label}, {len(self.weights)} tensors)"


def read_checkpoint(source: Source) -> Checkpoint:
    """Return one side of a pair.

    Args:
        source: A packaged model's name, a hub name, a folder in the hub's format, or a model.

    Raises:
        ModelError: It cannot be read, or its configuration or tokenizer is damaged.
    """
    if isinstance(source, str | Path):
        folder = checkpoint_folder(source)
        return _of_folder(str(source), folder)
    model, tokenizer = (source.model, source.tokenizer) if isinstance(source, LoadedModel) else (source, None)
    config = model.config.to_dict()
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    label = source.name if isinstance(source, LoadedModel) else type(model).__name__
    return Checkpoint(label, _untied(weights, config), config, tokenizer and tokenizer.get_vocab())


def _of_folder(label: str, folder: Path) -> Checkpoint:
    from transformers import AutoConfig, AutoTokenizer

    has_tokenizer = any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json"))
    vocabulary = None
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True).to_dict()
        if has_tokenizer:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            vocabulary = tokenizer.get_vocab()
    except (OSError, ValueError) as error:  # a JSON error is a ValueError
        raise ModelError(
            f"transformers cannot read the configuration or the tokenizer in {folder}: "
            f"{str(error).splitlines()[0]}; bring these files again"
        ) from error
    return Checkpoint(label, _untied(StoredTensors(folder), config), config, vocabulary)


def _untied(weights: "Mapping[str, torch.Tensor]", config: dict[str, Any]) -> "Mapping[str, torch.Tensor]":
    """Leave out a tied head, which some checkpoints store and some do not, and what is computed anyway."""
    tied = bool(config.get("tie_word_embeddings"))
    return _Selected(
        weights, [name for name in weights if not (tied and name == HEAD) and not name.endswith(_COMPUTED)]
    )


class _Selected(Mapping):
    """Some entries of a mapping, still read one at a time."""

    def __init__(self, whole: "Mapping[str, torch.Tensor]", names: list[str]) -> None:
        self._whole, self._names = whole, frozenset(names)

    def __getitem__(self, name: str) -> "torch.Tensor":
        if name not in self._names:
            raise KeyError(name)
        return self._whole[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)
