"""Content-addressed store of what was trained, fetched or converted.

    folder = store("teacher", {"width": 128, "seed": 0}, train_into)

An artifact is a folder `<name>-<first 12 hex digits of its recipe's hash>` with a `manifest.json` that holds the recipe
and the size and SHA-256 of each file. It is made in a temporary sibling folder, under a lock, and renamed when it is
complete; so an interrupted attempt is never taken for a result, and two processes never make the same thing twice.
The hashes are checked whenever an artifact is asked for; a damaged one is made again.

The environment variable SIX_PAPERS_ARTIFACTS moves the store to another folder.
"""

import hashlib
import json
import os
import re
import shutil
import uuid
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lib.checkout import Checkout

MANIFEST = "manifest.json"
STORE = "SIX_PAPERS_ARTIFACTS"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def artifacts_folder(checkout: Checkout = Checkout()) -> Path:
    """Return the folder of the store: SIX_PAPERS_ARTIFACTS, or `artifacts` in the checkout."""
    moved = os.environ.get(STORE)
    return Path(moved).expanduser() if moved else checkout.root / "artifacts"


def store(name: str, recipe: Mapping[str, Any], make: Callable[[Path], None], checkout: Checkout = Checkout()) -> Path:
    """Return the folder of an artifact, made first where it is missing or damaged.

    Args:
        name: What it is, in lower case, such as "smollm2-135m-instruct".
        recipe: All that decides its content, as JSON values: another recipe is another artifact.
        make: Writes the artifact's files into the empty folder that it is given.
        checkout: The tree whose store is used.

    Raises:
        ValueError: The name holds other signs than a-z, 0-9, ".", "_" and "-", or `make` wrote no file.
        TypeError: The recipe does not hold JSON values.
    """
    folder = _folder(name, recipe, checkout)
    if _fault(folder, recipe) is None:
        return folder
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        fault = _fault(folder, recipe)  # again: another process may have made it while this one waited
        if fault is not None:
            if folder.exists():
                warnings.warn(f"artifact {folder.name}: {fault}; making it again", stacklevel=2)
            _make(folder, name, recipe, make)
    return folder


def find(name: str, recipe: Mapping[str, Any], checkout: Checkout = Checkout()) -> Path | None:
    """Return the folder of an artifact, or None where it is missing; one that is damaged is named in a warning."""
    folder = _folder(name, recipe, checkout)
    fault = _fault(folder, recipe)
    if fault is not None and folder.exists():
        warnings.warn(f"artifact {folder.name}: {fault}", stacklevel=2)
    return folder if fault is None else None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder(name: str, recipe: Mapping[str, Any], checkout: Checkout) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError(f"an artifact's name is made of a-z, 0-9, '.', '_' and '-', got {name!r}")
    digest = hashlib.sha256(_canonical(recipe).encode()).hexdigest()
    return artifacts_folder(checkout) / f"{name}-{digest[:12]}"


def _canonical(recipe: Mapping[str, Any]) -> str:
    try:
        return json.dumps(recipe, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"a recipe holds JSON values only ({error}): {recipe!r}") from error


def _fault(folder: Path, recipe: Mapping[str, Any]) -> str | None:
    """Tell what is wrong with an artifact; None where it is complete and intact."""
    if not folder.is_dir():
        return "it is missing"
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = {str(name): (int(entry["size"]), str(entry["sha256"])) for name, entry in manifest["files"].items()}
        same_recipe = _canonical(manifest["recipe"]) == _canonical(recipe)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"its {MANIFEST} is missing or unreadable"
    if not same_recipe:
        return f"its {MANIFEST} holds another recipe"
    for name, (size, digest) in files.items():
        path = folder / name
        if not path.is_file():
            return f"file {name} is missing"
        if path.stat().st_size != size or sha256(path) != digest:
            return f"file {name} does not match its checksum"
    return None


def _make(folder: Path, name: str, recipe: Mapping[str, Any], make: Callable[[Path], None]) -> None:
    # Only the holder of the lock gets here, so what lies around under this prefix is an interrupted attempt.
    for leftover in folder.parent.glob(f".{folder.name}.making-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    making = folder.with_name(f".{folder.name}.making-{uuid.uuid4().hex[:8]}")
    making.mkdir()
    try:
        make(making)
        _write_manifest(making, name, recipe)
        if folder.exists():
            shutil.rmtree(folder)
        making.rename(folder)
    except BaseException:  # Ctrl-C too: nothing half made stays behind
        shutil.rmtree(making, ignore_errors=True)
        raise


def _write_manifest(making: Path, name: str, recipe: Mapping[str, Any]) -> None:
    paths = sorted(path for path in making.rglob("*") if path.is_file())
    if not paths:
        raise ValueError(
            f"nothing was written for artifact {name!r}: `make` puts its files into the folder it is given"
        )
    files = {
        path.relative_to(making).as_posix(): {"size": path.stat().st_size, "sha256": sha256(path)} for path in paths
    }
    text = json.dumps({"name": name, "recipe": dict(recipe), "files": files}, indent=1, sort_keys=True)
    (making / MANIFEST).write_text(text + "\n", encoding="utf-8")
    # safetensors writes files that only their owner can read; a store on a shared disk serves others too.
    for path in paths:
        path.chmod((making / MANIFEST).stat().st_mode)
