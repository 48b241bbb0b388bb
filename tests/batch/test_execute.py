import errno
import json

from lib.batch.execute import execute
from lib.batch.run import Run, RunStatus
from tests.batch.tree import new_checkout, write_notebook


class NoGuard:
    reason = None


def test_a_disk_that_fills_up_leaves_an_outcome_and_no_torn_notebook(tmp_path, monkeypatch):
    def fill_up(source, output, **options):
        output.write_text('{"cells": [{"cell_ty')
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("papermill.execute_notebook", fill_up)
    outcome = execute(*run_in(tmp_path), NoGuard())
    assert outcome.status is RunStatus.FAILED
    assert "free some space" in outcome.error.message
    assert not (tmp_path / "run" / "notebook.ipynb").exists()


def test_a_kernel_that_does_not_start_over_ipc_gets_one_more_try_over_tcp(tmp_path, monkeypatch):
    tried = []

    def refuse(source, output, config, **options):
        tried.append(config.RunKernelManager.transport)
        if len(tried) == 1:
            raise RuntimeError("Kernel died before replying to kernel_info")
        output.write_text(json.dumps({"cells": []}))

    monkeypatch.setattr("papermill.execute_notebook", refuse)
    outcome = execute(*run_in(tmp_path), NoGuard())
    assert outcome.status is RunStatus.DONE
    assert tried == ["ipc", "tcp"]


def test_a_kernel_that_never_starts_is_a_failure_with_the_reason(tmp_path, monkeypatch):
    def refuse(source, output, **options):
        raise RuntimeError("Kernel died before replying to kernel_info")

    monkeypatch.setattr("papermill.execute_notebook", refuse)
    outcome = execute(*run_in(tmp_path), NoGuard())
    assert outcome.status is RunStatus.FAILED
    assert (outcome.error.cell, outcome.error.message) == (None, "Kernel died before replying to kernel_info")


def run_in(root):
    checkout = new_checkout(root)
    write_notebook(checkout, "01_x", "1")
    folder = root / "run"
    folder.mkdir()
    return Run("demo/01_x", "demo", "quick", {"seed": 0}, {}, "a" * 12), checkout, folder
