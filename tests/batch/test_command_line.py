import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from lib.batch.__main__ import main
from tests.batch.tree import ROOT, new_checkout, write_batch, write_notebook


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


@pytest.mark.parametrize(
    "arguments",
    [
        ["accept", "--workers", "2"],
        ["accept", "--fresh"],
        ["accept", "--dask", "local"],
        ["report", "--only", "01*"],
        ["report", "--paper", "demo"],
        ["report", "--workers", "2"],
        ["reproduce", "--fresh"],
        ["reproduce", "--dask", "local"],
    ],
)
def test_a_command_refuses_options_that_it_would_not_honour(checkout, arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments, checkout)
    assert f"unrecognized arguments: {arguments[1]}" in capsys.readouterr().err


def test_a_report_of_an_unknown_profile_names_the_known_ones(checkout, capsys):
    assert main(["report", "--profile", "nope"], checkout) == 2
    assert capsys.readouterr().err == "error: unknown profile 'nope'; known: cpu, quick\n"
    assert not checkout.reports.exists()


@pytest.mark.parametrize("command", ["accept", "reproduce"])
def test_accept_and_reproduce_take_a_pattern(checkout, command, capsys):
    assert main([command, "--profile", "cpu", "--only", "nope*"], checkout) == 2
    assert "no notebook of profile 'cpu' matches 'nope*'" in capsys.readouterr().err


def test_a_plan_with_gpus_is_shown_where_there_is_none(checkout, capsys, monkeypatch):
    monkeypatch.setattr("lib.batch.gpu.name", lambda: None)
    write_batch(checkout, "paper:\n  - {notebook: 01_first, gpus: 1}\n")
    assert main(["plan", "--profile", "paper"], checkout) == 0
    printed = capsys.readouterr().out
    assert "demo/01_first: about" in printed
    assert "notice: 1 of these runs needs an NVIDIA GPU, and none is found here" in printed


def test_a_batch_with_gpus_is_refused_where_there_is_none(checkout, capsys, monkeypatch):
    monkeypatch.setattr("lib.batch.gpu.name", lambda: None)
    write_batch(checkout, "paper:\n  - {notebook: 01_first, gpus: 1}\n")
    assert main(["run", "--profile", "paper"], checkout) == 2
    assert "needs an NVIDIA GPU" in capsys.readouterr().err
    assert not checkout.reports.exists()


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("address", ["nope", "node1:8786", "tcp://node1", "tcp://node1:x", ""])
def test_a_cluster_is_named_by_a_whole_address(checkout, capsys, command, address):
    assert main([command, "--dask", address], checkout) == 2
    assert f"error: {address!r} is no address of a Dask cluster" in capsys.readouterr().err


def test_ctrl_c_while_the_program_is_loading_leaves_no_traceback(checkout):
    program = (
        "import runpy, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'argparse': raise KeyboardInterrupt\n"
        "sys.modules.pop('argparse', None)\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "runpy.run_module('lib.batch', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "")


def test_a_reader_that_leaves_early_is_no_trouble(checkout):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "lib.batch", "plan"]
    done = subprocess.run(command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


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
