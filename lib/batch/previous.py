"""What was run before: how a notebook with its parameters ended last, whatever the code was then."""

import contextlib
import json

from lib.batch.run import Outcome, Run, RunFileError, run_folders
from lib.checkout import Checkout


def experiment(run: Run) -> str:
    """Return what of a run stays the same when code, lock or inputs change: its notebook, parameters and threads."""
    return json.dumps([run.notebook, run.parameters, run.threads], sort_keys=True)


def previous_outcomes(checkout: Checkout, profile: str) -> dict[str, Outcome]:
    """Return the latest outcome of each experiment of a profile."""
    found: list[tuple[str, Outcome]] = []
    for folder in run_folders(checkout, profile):
        with contextlib.suppress(RunFileError):  # a damaged folder tells nothing
            found.append((experiment(Run.load(folder)), Outcome.load(folder)))
    return dict(sorted(found, key=lambda one: one[1].finished))
