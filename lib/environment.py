"""The pinned environment: write requirements.lock, and tell whether a Python satisfies it.

Runs on the standard library alone, because `make` asks it before anything is installed:

    python lib/environment.py check            # exit status 0 if this Python satisfies the lock
    python lib/environment.py lock REPORT.json # the lock's text, from pip's resolution report

What it leaves out: it resolves nothing itself (`pip install --dry-run --report` does), and it reads of
PEP 508's markers only the one form that it writes, `sys_platform == '...'`.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"

# What only one operating system installs; a lock made on Linux must still serve macOS.
PLATFORM_ONLY = {"triton": "linux"}
ADDED = ["appnope==0.1.4; sys_platform == 'darwin'"]  # ipykernel asks for it on macOS alone

# torch's CUDA builds bring these themselves and its CPU build needs none of them.
LEFT_TO_TORCH = re.compile(r"^(nvidia-|cuda-|pytorch-triton)")

HEADER = """\
# Every package that the project needs, pinned. Made by `make lock` from pyproject.toml; do not edit.
# torch's CPU and CUDA builds both satisfy `torch==X`; NVIDIA's packages are left to torch.
"""


def lock_text(report: dict) -> str:
    """Return the lock that pins what pip resolved.

    Args:
        report: The JSON of `pip install --dry-run --ignore-installed --report`.
    """
    resolved = (item["metadata"] for item in report["install"])
    own = _normalised("six-papers-rerun")
    pins = [_pin(package["name"], package["version"]) for package in resolved if _normalised(package["name"]) != own]
    return HEADER + "\n".join(sorted([pin for pin in pins if pin] + ADDED)) + "\n"


def unsatisfied(lock: Iterable[str]) -> Iterator[str]:
    """Yield one sentence for each line of the lock that this Python does not satisfy."""
    for name, version in pins(lock):
        try:
            found = metadata.version(name).partition("+")[0]  # a local version such as +cpu is the same release
        except metadata.PackageNotFoundError:
            yield f"{name} is not installed, the lock asks for {version}"
            continue
        if found != version:
            yield f"{name} is {found}, the lock asks for {version}"


def pins(lock: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield name and version of each line of a lock that holds on this operating system."""
    for line in lock:
        requirement, _, marker = line.partition(";")
        requirement = requirement.partition("#")[0].strip()
        platform = re.search(r"sys_platform == '(\w+)'", marker)
        if requirement and (platform is None or platform[1] == sys.platform):
            name, _, version = requirement.partition("==")
            yield name, version


def _pin(name: str, version: str) -> str | None:
    name = _normalised(name)
    if LEFT_TO_TORCH.match(name):
        return None
    platform = PLATFORM_ONLY.get(name)
    return f"{name}=={version.partition('+')[0]}" + (f"; sys_platform == '{platform}'" if platform else "")


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _main() -> int:
    parser = argparse.ArgumentParser(description="The pinned environment.")
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="exit status 0 if this Python satisfies requirements.lock")
    check.add_argument("--quiet", action="store_true", help="print nothing")
    lock = commands.add_parser("lock", help="print the lock that a pip report resolves to")
    lock.add_argument("report", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "lock":
        print(lock_text(json.loads(arguments.report.read_text())), end="")
        return 0
    faults = list(unsatisfied(LOCK.read_text().splitlines()))
    if faults and not arguments.quiet:
        print(*faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(_main())
