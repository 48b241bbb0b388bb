"""The machine's facts are read without anything heavy, and hold without a GPU."""

import subprocess
import sys

from lib import machine


def test_a_machine_has_cores_memory_and_versions():
    found = machine.describe()
    assert found.cores >= 1 and found.memory_gb > 0.1 and found.versions["numpy"]


def test_without_a_driver_there_is_no_gpu(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    assert machine._gpus() == ()


def test_a_driver_that_does_not_answer_is_no_gpu(monkeypatch):
    monkeypatch.setattr(machine.shutil, "which", lambda name: "/bin/false")

    def fail(*args, **kwargs):
        raise subprocess.TimeoutExpired("nvidia-smi", 10)

    monkeypatch.setattr(machine.subprocess, "run", fail)
    assert machine._gpus() == ()


def test_the_device_class_is_the_gpu_where_there_is_one():
    facts = {"system": "", "processor": "", "cores": 1, "memory_gb": 1.0, "python": ""}
    assert machine.Machine(gpus=("NVIDIA H100",), **facts).device_class == "NVIDIA H100"
    assert machine.Machine(gpus=(), **facts).device_class.startswith("cpu-")


def test_describing_the_machine_does_not_import_torch():
    program = "import sys; from lib import machine; machine.describe(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
