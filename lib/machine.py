"""What this machine is: processor, cores, memory, GPUs and the versions that decide a result.

machine.describe()      # prints well, shows itself as a table in a notebook
"""

import html
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "triton", "transformers", "datasets", "numpy", "scipy", "safetensors", "papermill", "jupyterlab")


@dataclass(frozen=True)
class Machine:
    """Facts about a machine.

    Attributes:
        system: Operating system and architecture, "Linux x86_64".
        processor: The processor's name.
        cores: Cores that this process may use.
        memory_gb: Main memory in 10⁹ bytes.
        gpus: Names of the NVIDIA GPUs.
        python: Version of Python.
        versions: Version by package, of those in `PACKAGES` that are installed.
    """

    system: str
    processor: str
    cores: int
    memory_gb: float
    gpus: tuple[str, ...]
    python: str
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def device_class(self) -> str:
        """What must be the same for results to be the same: the first GPU's name, or "cpu-<architecture>"."""
        return self.gpus[0] if self.gpus else f"cpu-{platform.machine()}"

    def rows(self) -> list[tuple[str, str]]:
        """Return name and value of each fact, as a person reads them."""
        return [
            ("System", self.system),
            ("Processor", self.processor),
            ("Cores", str(self.cores)),
            ("Memory", f"{self.memory_gb:.0f} GB"),
            ("GPU", ", ".join(self.gpus) or "none"),
            ("Python", self.python),
            *self.versions.items(),
        ]

    def __repr__(self) -> str:
        return f"{self.processor}, {self.cores} cores, {self.memory_gb:.0f} GB, GPU: {', '.join(self.gpus) or 'none'}"

    def _repr_html_(self) -> str:
        cells = (f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in self.rows())
        return f"<table><tbody>{''.join(cells)}</tbody></table>"


@lru_cache(maxsize=1)
def describe() -> Machine:
    """Return what this machine is. Nothing heavy is imported; GPUs are asked of `nvidia-smi`."""
    import psutil

    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=_cores(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        gpus=_gpus(),
        python=platform.python_version(),
        versions={name: metadata.version(name) for name in PACKAGES if _installed(name)},
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if named:
            return named[0]
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))  # a container may leave us fewer than the machine has
    return os.cpu_count() or 1


def _gpus() -> tuple[str, ...]:
    if shutil.which("nvidia-smi") is None:
        return ()
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()  # a driver that does not answer is no GPU that we could use
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
