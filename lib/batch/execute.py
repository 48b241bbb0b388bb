"""Execute one notebook through papermill, in this process, and say how it ended."""

import errno
import json
import logging
import re
import time
import traceback
from pathlib import Path
from typing import Any

from lib.batch.guard import Guard
from lib.batch.json_files import write_json
from lib.batch.kernel import RunKernelManager, kernel_settings, transports
from lib.batch.orphans import end_processes
from lib.batch.run import NOTEBOOK_FILE, PROGRESS_FILE, CellError, Outcome, Run, RunStatus, utc_now
from lib.checkout import Checkout

_START_S = 120  # a kernel's start takes 1 s on a quiet machine
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PAPERMILLS_MARK = "papermill-error-cell-tag"
_NO_SPACE = f"[Errno {errno.ENOSPC}]"
_FREE_SPACE = "the disk is full: free some space, the same command then goes on from here"
_KERNEL_DIED = (
    "the kernel died: it was killed (by the system where memory ran out, or by the cell itself) or crashed in "
    "compiled code; log.txt may say more"
)


def execute(run: Run, checkout: Checkout, folder: Path, guard: Guard) -> Outcome:
    """Execute a run's notebook into its working folder and return the outcome, whatever happens.

    Args:
        run: What to run.
        checkout: Where its notebook is.
        folder: The working folder; gets `notebook.ipynb`, partial after a failure.
        guard: Knows whether it has ended the run, and why.
    """
    started, clock = utc_now(), time.monotonic()
    progress = _Progress(folder, run.source(checkout), bool(run.given))
    status, error = RunStatus.DONE, None
    try:
        _execute_with_retry(run, checkout, folder, guard, progress)
    except Exception as caught:  # whatever it was, the outcome says it
        status, error = _explain(caught, run, guard, progress.cell)
        logging.getLogger("papermill").exception("the run ended: %s", status)
    finally:
        end_processes(folder)  # what a cell started and left running
    if error:
        _tidy(folder / NOTEBOOK_FILE)
    return Outcome(status, started, utc_now(), round(time.monotonic() - clock, 3), error)


class _Progress:
    """Called by nbclient before each cell; tells through a small file how far the run is."""

    def __init__(self, folder: Path, notebook: Path, injected: bool) -> None:
        self.cell: int | None = None
        self._file = folder / PROGRESS_FILE
        self._cells = len(json.loads(notebook.read_text(encoding="utf-8"))["cells"]) + injected

    def __call__(self, cell: dict[str, Any], cell_index: int) -> None:
        self.cell = cell_index
        self._file.write_text(f"{cell_index + 1}/{self._cells}")


def _execute_with_retry(run: Run, checkout: Checkout, folder: Path, guard: Guard, progress: _Progress) -> None:
    first, second = transports()
    try:
        _execute(run, checkout, folder, progress, first)
    except RuntimeError as error:
        if progress.cell is not None or guard.reason:
            raise
        # No cell was reached, so it is the kernel that did not start. Once more, over TCP.
        logging.getLogger("papermill").warning("the kernel did not start over %s (%s); once more", first, error)
        end_processes(folder)
        _execute(run, checkout, folder, progress, second)


def _execute(run: Run, checkout: Checkout, folder: Path, progress: _Progress, transport: str) -> None:
    import papermill

    notebook = run.source(checkout)
    with kernel_settings(folder, transport) as config:
        papermill.execute_notebook(
            notebook,
            folder / NOTEBOOK_FILE,
            parameters=run.given,
            kernel_name="python3",
            language="python",
            cwd=notebook.parent,  # as in JupyterLab
            progress_bar=False,
            log_output=True,
            start_timeout=_START_S,
            kernel_manager_class=RunKernelManager,
            config=config,
            on_cell_start=progress,
        )


def _explain(caught: Exception, run: Run, guard: Guard, cell: int | None) -> tuple[RunStatus, CellError]:
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if guard.reason is RunStatus.TIMED_OUT:
        message = f"ended at its limit of {run.limit_s / 60:.3g} minutes; raise limit_minutes in batch.yaml"
        return RunStatus.TIMED_OUT, CellError(cell, "TimeLimit", message)
    if guard.reason is RunStatus.INTERRUPTED:
        return RunStatus.INTERRUPTED, CellError(cell, "Interrupted", "the batch was stopped during this run")
    if isinstance(caught, PapermillExecutionError):
        message = f"{caught.evalue}\n{_FREE_SPACE}" if _NO_SPACE in caught.evalue else caught.evalue
        trace = _COLOURS.sub("", "\n".join(caught.traceback))
        return RunStatus.FAILED, CellError(caught.cell_index, caught.ename, _COLOURS.sub("", message), trace)
    if isinstance(caught, DeadKernelError):
        return RunStatus.DIED, CellError(cell, "DeadKernel", _KERNEL_DIED)
    if isinstance(caught, OSError) and caught.errno == errno.ENOSPC:
        return RunStatus.FAILED, CellError(cell, type(caught).__name__, _FREE_SPACE)
    return RunStatus.FAILED, CellError(cell, type(caught).__name__, str(caught), traceback.format_exc())


def _tidy(path: Path) -> None:
    """Remove the two red cells that papermill puts around an error: the outcome's cell index is then the notebook's."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = notebook["cells"]
        notebook["cells"] = [cell for cell in cells if _PAPERMILLS_MARK not in cell["metadata"].get("tags", [])]
        write_json(path, notebook)
    except (ValueError, KeyError):
        path.unlink()  # cut off by a full disk
    except OSError:
        return  # nothing was written, or there is no room to write it: the outcome counts
