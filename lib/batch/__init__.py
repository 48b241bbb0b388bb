"""Batches of notebook runs: plan, run, report.

    python -m lib.batch run --paper onebit --profile cpu

A plan (`plan`) turns each paper's batch.yaml into runs (`run`), each with a key that names everything its result
depends on (`key`). A pool sends each run to a process of its own, where papermill executes the notebook. What a run
left stands in one folder, which is only ever replaced whole; a run whose key has a complete result is not run again.
"""

from lib.batch.run import BatchEntry, BatchSummary, CellError, Outcome, Run, RunFileError, RunStatus

__all__ = ["BatchEntry", "BatchSummary", "CellError", "Outcome", "Run", "RunFileError", "RunStatus"]
