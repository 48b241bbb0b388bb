"""What an artifact says about itself: how it was made, of which checkpoints, and what lies in it.

It stands as JSON under one key of the safetensors metadata (under several, their order in the file would change from
run to run). It holds no date and no path, so that the same compression gives the same file, bit for bit. Its last entry
is the checksum of the rest.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from lib.delta_come.checksums import checksum
from lib.delta_come.errors import DeltaError
from lib.delta_come.layout import MatrixLayout

KEY = "delta_come"
VERSION = 2
_CHECK = "header_checksum"


@dataclass(frozen=True)
class StoredMatrix:
    """What the header says of one matrix.

    Attributes:
        layout: Its sizes.
        permutations: For V and U of each group in turn, the number of the stored permutation, or None.
    """

    layout: MatrixLayout
    permutations: tuple[int | None, ...]


@dataclass(frozen=True)
class Header:
    """All of an artifact but its tensors.

    Attributes:
        plan: The rule of bits and ranks that was followed, as text.
        ratio: The ratio that was asked for, counting codes alone.
        options: How it was compressed, as JSON values.
        base_hash: Of the base model (`hashes.content_hash`).
        finetuned_hash: Of the fine-tuned model.
        base_tensors: The digest of each tensor of the base; empty where only the hash is known.
        tied: Whether the output head is the embedding.
        config: The fine-tune's config.json; empty where the base's serves.
        weights: Number of weights of the fine-tuned model; 0: unknown.
        tool: Name and version of what wrote it.
        checksums: Of every tensor of the file, 8 hex digits each, in the order of the tensors' names; "" in memory.
        matrices: What lies in it, by the weight's name.
    """

    plan: str
    ratio: float
    base_hash: str
    finetuned_hash: str
    options: dict[str, Any] = field(default_factory=dict)
    base_tensors: dict[str, str] = field(default_factory=dict)
    tied: bool = False
    config: dict[str, Any] = field(default_factory=dict)
    weights: int = 0
    tool: str = ""
    checksums: str = ""
    matrices: dict[str, StoredMatrix] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return the header as JSON; each layout stands there once."""
        layouts: dict[str, int] = {}
        matrices = {
            name: [layouts.setdefault(_json(stored.layout.to_json()), len(layouts)), *stored.permutations]
            for name, stored in self.matrices.items()
        }
        content = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "matrices"}
        shapes = [json.loads(layout) for layout in layouts]
        whole = {"version": VERSION} | content | {"layouts": shapes, "matrices": matrices}
        return _json(whole | {_CHECK: checksum(_json(whole).encode())})

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: object) -> "Header":
        """Return the header that stands in a file's metadata.

        Raises:
            DeltaError: The file is no artifact, or of another version, or its header can't be read.
        """
        try:
            content = json.loads(metadata[KEY])
            version = content["version"]
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DeltaError(
                f"{path} is no artifact of Delta-CoMe: its metadata has no readable {KEY!r}; "
                "make one with `python -m lib.delta_come compress BASE FINETUNED OUT`"
            ) from error
        if version != VERSION:
            raise DeltaError(
                f"{path} has format version {version}; this code reads version {VERSION}: "
                "use the code that wrote it, or compress again"
            )
        if content.pop(_CHECK, None) != checksum(_json(content).encode()):
            raise DeltaError(
                f"the header of {path} is damaged (its checksum differs); copy the file again, or make it again"
            )
        try:
            del content["version"]
            layouts = [MatrixLayout.from_json(layout) for layout in content.pop("layouts")]
            stored = content.pop("matrices").items()
            matrices = {name: StoredMatrix(layouts[place], tuple(orders)) for name, (place, *orders) in stored}
            return cls(**content, matrices=matrices)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DeltaError(f"the header of {path} is damaged ({type(error).__name__}: {error})") from error


def tool_version() -> str:
    """Return name and version of this project, as an artifact records them."""
    from importlib.metadata import PackageNotFoundError, version

    name = "six-papers-rerun"
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:  # a checkout that is on the path, but not installed
        return name


def _json(content: object) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)
