"""One run of one notebook, what became of it, and what a whole batch did: the files below `reports/runs`.

    reports/runs/<profile>/<paper>/<NN_name>-<key>/    run.json  outcome.json  notebook.ipynb  log.txt  …
    reports/runs/<profile>/batch.json

Notebooks that belong to no paper have `paper == ""`, and their folders stand directly below the profile.
"""

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from lib.batch.json_files import RunFileError, from_json, read_json, write_json
from lib.checkout import Checkout

__all__ = ["BatchEntry", "BatchSummary", "CellError", "Outcome", "Run", "RunFileError", "RunStatus", "run_folders"]

RUN_FILE = "run.json"
OUTCOME_FILE = "outcome.json"
NOTEBOOK_FILE = "notebook.ipynb"
LOG_FILE = "log.txt"
PROGRESS_FILE = ".progress"
BATCH_FILE = "batch.json"
SHOWN_VALUE = 40  # characters of a parameter's value in a run's title
KEY_LENGTH = 12  # hexadecimal digits: 48 bits, so that two runs of one notebook never share a folder


class RunStatus(StrEnum):
    """How a run ended."""

    DONE = "done"
    FAILED = "failed"  # a cell raised, or the run could not be carried out
    TIMED_OUT = "timed out"
    DIED = "died"  # the kernel, or the process that ran it, ended without a word
    INTERRUPTED = "interrupted"  # Ctrl-C or SIGTERM


@dataclass(frozen=True)
class Run:
    """One notebook with one set of parameters.

    Attributes:
        notebook: "onebit/01_separate_sign_and_value", or "00_start_here" for one that belongs to no paper.
        paper: "onebit", or "".
        profile: "quick", "cpu", "gpu", "paper" or another one that batch.yaml names.
        parameters: All of the notebook's parameters, defaults included.
        given: Those that batch.yaml sets.
        key: Hash of all that the result depends on, `KEY_LENGTH` hexadecimal digits.
        threads: How many threads the numeric libraries may use.
        alone: Whether nothing may run beside it on its machine; its result is then a timing.
        gpus: 0 or 1.
        limit_s: Seconds of wall clock after which the run is ended.
        minutes: Expected minutes, or None where nothing tells.
    """

    notebook: str
    paper: str
    profile: str
    parameters: dict[str, Any]
    given: dict[str, Any]
    key: str
    threads: int = 1
    alone: bool = False
    gpus: int = 0
    limit_s: float = 600.0
    minutes: float | None = None

    @property
    def name(self) -> str:
        """The notebook's file name without its ending."""
        return self.notebook.rpartition("/")[2]

    @property
    def title(self) -> str:
        """The notebook with the parameters that batch.yaml gives it, in one line; long values are cut short."""
        return " ".join([self.notebook, *(f"{name}={_short(value)}" for name, value in self.given.items())])

    def workers(self, of: int) -> int:
        """Return how many of a machine's workers this run takes up: one for each of its threads, or all of them."""
        return of if self.alone else min(self.threads, of)

    def folder(self, checkout: Checkout) -> Path:
        """Return where this run's files stand: `reports/runs/<profile>/<paper>/<NN_name>-<key>`."""
        return checkout.runs / self.profile / self.paper / f"{self.name}-{self.key}"

    def source(self, checkout: Checkout) -> Path:
        """Return the notebook that is run."""
        return checkout.notebooks / f"{self.notebook}.ipynb"

    def save(self, folder: Path) -> None:
        """Write run.json."""
        write_json(folder / RUN_FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "Run":
        """Read a folder's run.json; raises RunFileError."""
        return from_json(cls, read_json(folder / RUN_FILE), folder / RUN_FILE)


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON value
    shown = str(value)
    return shown if len(shown) <= SHOWN_VALUE else f"{shown[: SHOWN_VALUE - 1]}…"


@dataclass(frozen=True)
class CellError:
    """What ended a run that did not end well.

    Attributes:
        cell: Index of the cell in the executed notebook, or None where no cell is to blame.
        name: The exception's class.
        message: What it said.
        traceback: Plain text, without terminal colours.
    """

    cell: int | None
    name: str
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: See `RunStatus`.
        started: UTC, ISO 8601.
        finished: UTC, ISO 8601.
        duration_s: Seconds of wall clock.
        error: What went wrong, or None.
    """

    status: RunStatus
    started: str
    finished: str
    duration_s: float
    error: CellError | None = None

    def save(self, folder: Path) -> None:
        """Write outcome.json: the last file of a run, its presence says that the others are complete."""
        write_json(folder / OUTCOME_FILE, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "Outcome":
        """Read a folder's outcome.json; raises RunFileError."""
        return from_json(cls, read_json(folder / OUTCOME_FILE), folder / OUTCOME_FILE)


@dataclass(frozen=True)
class BatchEntry:
    """One run in the account of a batch.

    Attributes:
        folder: The run's folder, relative to `reports/runs`, with forward slashes.
        cached: True if an earlier batch's result was taken.
        status: How it ended.
        duration_s: Seconds of wall clock of the run that gave the result.
        previous_status: How the same notebook with the same parameters ended before, or None.
        previous_duration_s: Its seconds, or None.
    """

    folder: str
    cached: bool
    status: RunStatus
    duration_s: float
    previous_status: RunStatus | None = None
    previous_duration_s: float | None = None


@dataclass(frozen=True)
class BatchSummary:
    """The last batch of one profile: `reports/runs/<profile>/batch.json`.

    Attributes:
        profile: Its profile.
        started: UTC, ISO 8601.
        finished: UTC, ISO 8601.
        workers: How many runs it let run at once.
        runs: One entry a run that has a result.
        machine: Facts for people: processor, cores, memory, GPUs, Python.
    """

    profile: str
    started: str
    finished: str
    workers: int
    runs: tuple[BatchEntry, ...]
    machine: dict[str, Any] = field(default_factory=dict)

    def save(self, checkout: Checkout) -> Path:
        """Write batch.json and return its path."""
        path = checkout.runs / self.profile / BATCH_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(self))
        return path

    @classmethod
    def load(cls, checkout: Checkout, profile: str) -> "BatchSummary":
        """Read a profile's batch.json; raises RunFileError."""
        path = checkout.runs / profile / BATCH_FILE
        return from_json(cls, read_json(path), path)


def run_folders(checkout: Checkout, profile: str) -> list[Path]:
    """Return the folders of a profile's runs that have an outcome, sorted; those being written are left out."""
    found = (checkout.runs / profile).glob(f"**/{OUTCOME_FILE}")
    return sorted(path.parent for path in found if not path.parent.name.startswith("."))


def utc_now() -> str:
    """Return the time in UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
