"""The finished blocks of a compression that is under way, so that an interrupted one goes on where it was.

The folder lies beside the file that will be written, `OUT.work`: a `request.json` that says what is being compressed
and how, and for each finished block an artifact of its matrices alone. It is removed when the whole file is there.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lib.delta_come.errors import DeltaError
from lib.delta_come.files import load, save_packed
from lib.delta_come.header import Header
from lib.delta_come.stored import PackedMatrix

if TYPE_CHECKING:
    from lib.delta_come.factors import CompressedMatrix

_REQUEST = "request.json"
_NOTHING = Header(plan="", ratio=0.0, base_hash="", finetuned_hash="")


def work_folder(out: Path) -> Path:
    """Return where the unfinished work of a file lies."""
    return out.with_name(f"{out.name}.work")


@contextmanager
def open_work(out: Path, request: Mapping[str, Any]) -> "Iterator[Work]":
    """Yield the work folder of a file to be, made where it is missing, for this process alone.

    Where the block ends without an error the folder is removed; after an error or an interruption it stays, unless no
    block is finished.

    Args:
        out: The file that is being made.
        request: All that decides its content, as JSON values.

    Raises:
        DeltaError: The folder belongs to another request, or another process is at work in it.
    """
    from filelock import FileLock, Timeout

    folder = work_folder(out)
    folder.mkdir(exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            _check_request(folder, out, json.loads(json.dumps(request)))
            work = Work(folder)
            try:
                yield work
            except BaseException:
                if not work.finished:  # nothing to go on from
                    shutil.rmtree(folder)
                raise
            shutil.rmtree(folder)
    except Timeout as error:
        raise DeltaError(
            f"another process is compressing into {out} already; wait for it, or give another file"
        ) from error


class Work:
    """The finished blocks in a work folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, Path] = {}
        for path in sorted(folder.glob("block-*.safetensors")):
            self._places |= dict.fromkeys(load(path).matrices, path)

    @property
    def finished(self) -> "Mapping[str, CompressedMatrix]":
        """The matrices of finished blocks by name, read when they are asked for."""
        return _Finished(self._places)

    def keep(self, block: int, matrices: "Mapping[str, CompressedMatrix]") -> None:
        """Write a block's matrices, unless they are there already."""
        if all(name in self._places for name in matrices):
            return
        path = self._folder / f"block-{block:04}.safetensors"
        save_packed(path, map(PackedMatrix.pack, matrices.values()), {}, _NOTHING)
        self._places |= dict.fromkeys(matrices, path)

    def packed(self) -> Iterator[PackedMatrix]:
        """Yield all finished matrices, block by block."""
        for path in dict.fromkeys(self._places.values()):
            block = load(path)
            yield from map(block.matrix, block.matrices)


class _Finished(Mapping):
    def __init__(self, places: dict[str, Path]) -> None:
        self._places = places

    def __getitem__(self, name: str) -> "CompressedMatrix":
        return load(self._places[name]).matrix(name).unpack()

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _check_request(folder: Path, out: Path, request: dict[str, Any]) -> None:
    path = folder / _REQUEST
    if not path.exists():
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(request, indent=1) + "\n", encoding="utf-8")
        partial.rename(path)
        return
    before, now = _flat(json.loads(path.read_text(encoding="utf-8"))), _flat(request)
    different = [
        f"{key} ({before.get(key)!r}, now {now.get(key)!r})"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if different:
        raise DeltaError(
            f"{folder} holds an unfinished compression with another {', '.join(different)}: give what was given then, "
            f"remove that folder to begin anew, or give another file than {out.name}"
        )


def _flat(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with its options as entries of their own."""
    return {key: value for key, value in request.items() if key != "options"} | (request.get("options") or {})
