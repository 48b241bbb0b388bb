"""A run's key: one hash of everything that its result depends on.

The notebook's code cells, the parameters, the number of threads, the modules of `lib` that it reaches, the pinned
environment, the device's class, and the content of what batch.yaml names as `inputs`. What is equal in all of these
is not run twice.

What it leaves out: the packages that are really installed (`make` keeps them at the lock), and data on the hub.
"""

import hashlib
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lib.batch.run import KEY_LENGTH
from lib.checkout import Checkout
from lib.ledger.fingerprint import notebook_code_hash, sources


def code_state(notebook: Path, checkout: Checkout) -> dict[str, Any]:
    """Return what of a notebook's key is the same for all of its runs: its code, the code it reaches, the lock.

    Args:
        notebook: The notebook's file.
        checkout: Where it lies.
    """
    lock = checkout.lock
    return {
        "notebook": checkout.relative(notebook),
        "code": notebook_code_hash(notebook),
        "sources": sources(notebook, checkout),
        "lock": _digest(lock.read_bytes()) if lock.is_file() else "none",
    }


def run_key(code: dict[str, Any], parameters: dict[str, Any], threads: int, device: str, inputs: dict[str, str]) -> str:
    """Return the key of one run, `KEY_LENGTH` hexadecimal digits.

    Args:
        code: From `code_state`.
        parameters: All of the notebook's parameters.
        threads: Threads of the numeric libraries: their number changes the last bits of SVD and Cholesky.
        device: Its class, see `device_class`.
        inputs: Hash by path, from `content`.
    """
    parts = {**code, "parameters": parameters, "threads": threads, "device": device, "inputs": inputs}
    return _digest(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode())[:KEY_LENGTH]


def device_class(gpus: int, gpu_name: str | None) -> str:
    """Return the GPU's name for a run that uses one, else "cpu-<architecture>"."""
    return gpu_name or "gpu" if gpus else f"cpu-{platform.machine()}"


def content(path: Path) -> str:
    """Return the hash of a file, or of a folder's files with their names; "absent" where there is nothing."""
    if path.is_file():
        return _digest(path.read_bytes())
    if not path.is_dir():
        return "absent"
    listing = [(found.relative_to(path).as_posix(), _digest(found.read_bytes())) for found in _files(path)]
    return _digest(json.dumps(listing).encode())


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
