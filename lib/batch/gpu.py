"""One GPU a run: which there are, and who has which one, by a lock file a GPU that all batches of a machine share."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from lib import machine

_POLL_S = 0.5


def visible() -> tuple[str, ...]:
    """Return what CUDA_VISIBLE_DEVICES may name: what it names already, else all GPUs by number."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip() not in {"", "-1"})
    return tuple(str(number) for number in range(len(machine.describe().gpus)))


def name() -> str | None:
    """Return the name of the first GPU that runs may use, or None."""
    gpus, usable = machine.describe().gpus, visible()
    if not gpus or not usable:
        return None
    number = int(usable[0]) if usable[0].isdigit() else 0
    return gpus[number] if number < len(gpus) else gpus[0]


@contextlib.contextmanager
def leased() -> Iterator[str]:
    """Give the first GPU that no other run has, waiting for one.

    Raises:
        RuntimeError: There is no GPU.
    """
    devices = visible()
    if not devices:
        raise RuntimeError("this run needs a GPU and none is visible here (nvidia-smi, CUDA_VISIBLE_DEVICES)")
    folder = Path(tempfile.gettempdir()) / f"six-papers-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    locks = {device: FileLock(folder / f"{device.replace('/', '_')}.lock") for device in devices}
    device = _first_free(locks)
    try:
        yield device
    finally:
        locks[device].release()


def _first_free(locks: dict[str, FileLock]) -> str:
    while True:
        for device, lock in locks.items():
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                return device
        time.sleep(_POLL_S)
