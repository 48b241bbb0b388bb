import os
import subprocess
import sys

import psutil
import pytest

from lib.batch.json_files import read_json, write_json
from lib.batch.orphans import RUN_VARIABLE, end_processes, members, note_kernel

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
STUBBORN = [sys.executable, "-c", "import signal, time; signal.signal(15, 1); print(flush=True); time.sleep(60)"]


@pytest.fixture
def start():
    started = []

    def start(command=SLEEP, env=None, **options):
        environment = {**os.environ, **env} if env is not None else {}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, **options)
        process.stdout.read(1)  # it runs
        started.append(process)
        return psutil.Process(process.pid)

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def runs(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_whatever_carries_the_runs_folder_is_ended(tmp_path, start):
    process = start(env={RUN_VARIABLE: str(tmp_path)}, start_new_session=True)
    other = start(env={RUN_VARIABLE: str(tmp_path / "other")})
    assert end_processes(tmp_path) == 1
    assert not runs(process)
    assert runs(other)


def test_the_kernels_session_is_ended_whatever_its_environment(tmp_path, start):
    leader = start(start_new_session=True)
    note_kernel(tmp_path, leader.pid, tmp_path / "scratch")
    assert [process.pid for process in members(tmp_path)] == [leader.pid]
    end_processes(tmp_path)
    assert not runs(leader)


def test_members_of_the_session_are_found_when_the_kernel_is_dead(tmp_path, start):
    command = (
        "import os, subprocess, sys; p = subprocess.Popen(sys.argv[1:], stdout=2); print(p.pid, flush=True); input()"
    )
    leader = subprocess.Popen(
        [sys.executable, "-c", command, *SLEEP],
        env={},
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    child = psutil.Process(int(leader.stdout.readline()))
    note_kernel(tmp_path, leader.pid, tmp_path / "scratch")
    leader.kill()
    leader.communicate()
    assert end_processes(tmp_path) == 1
    assert not runs(child)


def test_a_process_that_took_over_the_pid_is_left_alone(tmp_path, start):
    process = start(start_new_session=True)
    note_kernel(tmp_path, process.pid, tmp_path / "scratch")
    noted = read_json(tmp_path / "kernel.json")
    write_json(tmp_path / "kernel.json", {**noted, "created": noted["created"] - 5})
    assert end_processes(tmp_path) == 0
    assert runs(process)


def test_what_does_not_end_when_asked_is_killed(tmp_path, start):
    process = start(STUBBORN, env={RUN_VARIABLE: str(tmp_path)})
    end_processes(tmp_path, grace_s=0.2)
    assert not runs(process)


def test_the_kernels_temporary_folder_is_removed(tmp_path, start):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    note_kernel(tmp_path, start().pid, scratch)
    end_processes(tmp_path)
    assert not scratch.exists()
