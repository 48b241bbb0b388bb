"""Which processes belong to a run, and how to end them all, also those that outlived a runner that was killed.

A process belongs to a run if it carries the run's folder in its environment (`SIX_PAPERS_RUN`, which whatever a cell
starts inherits), or is in the session of the run's kernel, or descends from it. The kernel is known by pid *and* start
time (`kernel.json`), so that a pid that was given to somebody else is never mistaken for it.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from lib.batch.json_files import RunFileError, read_json, write_json

RUN_VARIABLE = "SIX_PAPERS_RUN"
KERNEL_FILE = "kernel.json"
GRACE_S = 3.0  # between asking a process to end and killing it

_CLOCK_S = 0.05  # start times are counted in ticks of 1/100 s


def note_kernel(folder: Path, pid: int, scratch: Path) -> None:
    """Write down a run's kernel, for whoever has to end it.

    Args:
        folder: The run's working folder.
        pid: The kernel's process, leader of a session of its own.
        scratch: Its temporary folder, removed with it.
    """
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended at once: nothing to end later
        created = psutil.Process(pid).create_time()
        write_json(folder / KERNEL_FILE, {"pid": pid, "created": created, "scratch": str(scratch)})


def end_processes(folder: Path, grace_s: float = GRACE_S) -> int:
    """End what belongs to a run: ask, wait, kill. Also removes the kernel's temporary folder.

    Args:
        folder: The run's working folder.
        grace_s: Seconds between SIGTERM and SIGKILL.

    Returns:
        How many processes were there.
    """
    found = members(folder)
    _each(found, "terminate")
    _, alive = psutil.wait_procs(found, timeout=grace_s)
    if alive:
        alive = [*alive, *(late for late in members(folder) if late not in alive)]
        _each(alive, "kill")
        psutil.wait_procs(alive, timeout=grace_s)
    scratch = _noted(folder).get("scratch")
    if scratch:
        shutil.rmtree(scratch, ignore_errors=True)
    return len(found)


def members(folder: Path) -> list[psutil.Process]:
    """Return the living processes of this user that belong to a run, this process excepted."""
    marker = str(folder)
    kernel = _kernel(folder)
    found = {process for process, run in marked() if run == marker}
    if kernel is not None:
        with contextlib.suppress(psutil.Error):
            found.update(kernel.children(recursive=True), [kernel] if kernel.is_running() else [])
    noted = _noted(folder)
    if noted and noted["created"] > psutil.boot_time():
        found.update(_session(noted["pid"], noted["created"]))
    return [process for process in found if process.pid != os.getpid() and _alive(process)]


def marked() -> Iterator[tuple[psutil.Process, str]]:
    """Yield this user's processes that carry the name of a run's folder in their environment, with that name."""
    own = os.getuid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.uids().real == own and (run := process.environ().get(RUN_VARIABLE)):
                yield process, run


def _noted(folder: Path) -> dict:
    try:
        return read_json(folder / KERNEL_FILE)
    except RunFileError:  # none was started, or it is not written yet
        return {}


def _kernel(folder: Path) -> psutil.Process | None:
    noted = _noted(folder)
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(noted["pid"]) if noted else None
        if process is not None and abs(process.create_time() - noted["created"]) < _CLOCK_S:
            return process
    return None


def _session(leader: int, created: float) -> Iterator[psutil.Process]:
    # The leader may be dead. Linux gives no new process a pid that still names a session, so the members of a session
    # of that number are the kernel's own, unless the leader's pid lives on in a process that started at another time.
    with contextlib.suppress(psutil.Error):
        if abs(psutil.Process(leader).create_time() - created) >= _CLOCK_S:
            return
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader and process.create_time() >= created - _CLOCK_S:
                yield process


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _each(processes: list[psutil.Process], action: str) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):  # psutil checks the start time again before it signals
            getattr(process, action)()
