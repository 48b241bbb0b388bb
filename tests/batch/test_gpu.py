from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import machine
from lib.batch import gpu


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    described = machine.Machine("Linux x86_64", "cpu", 2, 8.0, ("First GPU", "Second GPU"), "3.11")
    monkeypatch.setattr("lib.machine.describe", lambda: described)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_each_run_has_a_gpu_of_its_own(two_gpus):
    with gpu.leased() as first, gpu.leased() as second:
        assert {first, second} == {"0", "1"}


def test_a_run_waits_for_a_gpu_that_others_use(two_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")

    def take():
        with gpu.leased() as device:
            return device

    with ThreadPoolExecutor(1) as thread:
        with gpu.leased():
            waiting = thread.submit(take)
            assert not waiting.done()
        assert waiting.result(timeout=30) == "1"


@pytest.mark.parametrize(("visible", "name"), [(None, "First GPU"), ("1", "Second GPU"), ("", None), ("-1", None)])
def test_the_gpu_that_cuda_shows_names_the_device(two_gpus, monkeypatch, visible, name):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu.name() == name


def test_without_a_gpu_the_error_says_so(two_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(RuntimeError, match="needs a GPU and none is visible"), gpu.leased():
        pass
