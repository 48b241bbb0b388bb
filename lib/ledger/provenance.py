"""Where a record comes from: the code, the packages, the machine, the time.

Without git the content of the sources stands in for the commit. Nothing heavy is imported: torch is asked for the GPU's
name only where the notebook has loaded it already.
"""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lib import machine
from lib.checkout import Checkout
from lib.ledger.fingerprint import notebook_code_hash, sources
from lib.ledger.syntax import short_hash

_GIT_SECONDS = 20.0


@dataclass(frozen=True)
class Device:
    """What computed.

    Attributes:
        name: The GPU's name, or "cpu-<architecture>".
        processor: The processor's name.
        cores: Cores that the process could use.
    """

    name: str
    processor: str
    cores: int


@dataclass(frozen=True)
class Provenance:
    """Where a record comes from.

    Attributes:
        commit: Git commit of the checkout, None where there is no git.
        dirty: Whether `lib`, `notebooks` or the lock differed from that commit; None where there is no git.
        content: Hash of those three where there is no git, else None.
        lock_hash: Of requirements.lock.
        notebook_hash: Of the notebook's code cells.
        sources: Hash by path of the modules that the notebook reaches.
        versions: Version by package of what was really installed.
        python: Version of Python.
        device: What computed.
        started: When the process that measured began, UTC, ISO 8601.
        duration_s: Seconds from there to the record.
    """

    commit: str | None
    dirty: bool | None
    content: str | None
    lock_hash: str
    notebook_hash: str
    sources: dict[str, str]
    versions: dict[str, str]
    python: str
    device: Device
    started: str
    duration_s: float


def collect(notebook: Path, checkout: Checkout, uses_gpu: bool = False) -> Provenance:
    """Return the provenance of what this process measures now.

    Args:
        notebook: The notebook that runs.
        checkout: Where it lies.
        uses_gpu: Whether the run was given a GPU.
    """
    import psutil

    here = machine.describe()
    commit, dirty = git_state(checkout)
    started = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
    return Provenance(
        commit=commit,
        dirty=dirty,
        content=None if commit else content_hash(checkout),
        lock_hash=lock_hash(checkout),
        notebook_hash=notebook_code_hash(notebook),
        sources=sources(notebook, checkout),
        versions=dict(sorted(here.versions.items())),
        python=here.python,
        device=Device(_device_name(here, uses_gpu), here.processor, here.cores),
        started=started.isoformat(timespec="seconds"),
        duration_s=round((datetime.now(UTC) - started).total_seconds(), 1),
    )


def git_state(checkout: Checkout) -> tuple[str | None, bool | None]:
    """Return commit and dirty flag; (None, None) where git is missing or the checkout is no repository of its own."""
    top = _git(checkout, "rev-parse", "--show-toplevel", "HEAD")
    # A folder inside somebody else's repository has a commit too, but not one that says anything about it.
    if top is None or Path(top.splitlines()[0]).resolve() != checkout.root.resolve():
        return None, None
    changed = _git(checkout, "status", "--porcelain", "--untracked-files=all", "--", *_code(checkout))
    return (None, None) if changed is None else (top.splitlines()[1], bool(changed.strip()))


def content_hash(checkout: Checkout) -> str:
    """Return the hash of `lib`, `notebooks` and the lock as they stand."""
    digest = hashlib.sha256()
    for path in _code_files(checkout):
        name = path.relative_to(checkout.root).as_posix()
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def lock_hash(checkout: Checkout) -> str:
    """Return the hash of requirements.lock, "none" without one."""
    return short_hash(checkout.lock.read_bytes()) if checkout.lock.is_file() else "none"


def _code(checkout: Checkout) -> list[str]:
    return [path.relative_to(checkout.root).as_posix() for path in (checkout.lib, checkout.notebooks, checkout.lock)]


def _code_files(checkout: Checkout) -> Iterator[Path]:
    for name in _code(checkout):
        for path in sorted((checkout.root / name).rglob("*")) or [checkout.root / name]:
            inside = path.relative_to(checkout.root).parts
            if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in inside):
                yield path


def _git(checkout: Checkout, *arguments: str) -> str | None:
    # GIT_DIR and its like, set in hooks, would make git speak of another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"  # runs side by side must not wait for each other's index.lock
    command = ["git", "-C", str(checkout.root), *arguments]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=True, env=environment
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout


def _device_name(here: machine.Machine, uses_gpu: bool) -> str:
    torch = sys.modules.get("torch")
    if not uses_gpu:
        return f"cpu-{platform.machine()}"
    if torch is not None and torch.cuda.is_available():
        return torch.cuda.get_device_name(0)  # of several GPUs the one that this run was given
    return here.device_class
