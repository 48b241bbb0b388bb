import sys
from types import SimpleNamespace

import pytest

from lib.batch.__main__ import main
from tests.batch.tree import new_checkout, write_batch, write_notebook


@pytest.fixture
def checkout(tmp_path):
    checkout = new_checkout(tmp_path)
    write_notebook(checkout, "01_first", parameters="seed: int = 0")
    write_batch(checkout, "cpu:\n  - {notebook: 01_first, grid: {seed: [0, 1]}, minutes: 1}\n")
    return checkout


def test_a_plan_names_runs_minutes_and_disk_and_starts_nothing(checkout, capsys):
    assert main(["plan", "--profile", "cpu"], checkout) == 0
    printed = capsys.readouterr().out
    assert "demo/01_first seed=1: about 60 s" in printed
    assert "2 runs: 0 done already, 2 to do, about 60 s, 4 MB of disk" in printed
    assert not checkout.reports.exists()


@pytest.mark.parametrize(
    "arguments",
    [["run", "--paper", "nope"], ["run", "--profile", "nope"], ["run", "--only", "nope"], ["plan", "--paper", "nope"]],
)
def test_a_bad_order_ends_with_status_2_before_any_run(checkout, capsys, arguments):
    assert main(arguments, checkout) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not checkout.reports.exists()


def test_a_broken_batch_file_ends_with_status_2_and_its_line(checkout, capsys):
    write_batch(checkout, "quick:\n  - notebook: 01_first\n   oops\n")
    assert main(["run"], checkout) == 2
    assert "notebooks/demo/batch.yaml, line 3" in capsys.readouterr().err


@pytest.mark.parametrize("workers", ["0", "-1", "two"])
def test_the_number_of_workers_is_checked(checkout, workers, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--workers", workers], checkout)
    assert "above 0" in capsys.readouterr().err


def test_a_full_disk_stops_a_batch_before_it_starts(checkout, capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=50e6))
    assert main(["run"], checkout) == 2
    assert "50 MB are free" in capsys.readouterr().err


def test_without_dask_the_error_says_what_to_install(checkout, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["run", "--dask", "local"], checkout) == 2
    assert "pip install 'dask==" in capsys.readouterr().err
