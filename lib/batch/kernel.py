"""A kernel of its own for each run: this Python, private sockets, private IPython folder, known by pid and start time.

Bare ipc puts its sockets into the working folder, where parallel runs collide; TCP ports are chosen, freed and bound
again later, so that two starts may take the same one. Sockets in a fresh short folder have neither fault. TCP is for
where there is no ipc.
"""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zmq
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import Unicode
from traitlets.config import Config

from lib.batch.orphans import note_kernel

_LONGEST_SOCKET_PATH = 100  # macOS allows 103 bytes, Linux 107
_SOCKET_NAME = "k-ipc-5"


class RunKernelManager(AsyncKernelManager):
    """Starts the kernel of the Python that runs the batch, whatever kernels are installed, and notes its process."""

    run_folder = Unicode(help="The run's working folder, where the kernel is noted.").tag(config=True)
    scratch = Unicode(help="The temporary folder of its sockets.").tag(config=True)

    @property
    def kernel_spec(self) -> KernelSpec:
        """ipykernel under this very interpreter."""
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:  # noqa: ANN401 - as the parent
        # The user's own IPython start-up files and history must not reach a measurement.
        options["env"] = {**options["env"], "IPYTHONDIR": str(Path(self.scratch) / "ipython")}
        await super()._async_launch_kernel(kernel_cmd, **options)
        note_kernel(Path(self.run_folder), self.provisioner.pid, Path(self.scratch))


@contextlib.contextmanager
def kernel_settings(folder: Path, transport: str) -> Iterator[Config]:
    """Give the configuration of one kernel, with a temporary folder that lives as long.

    Args:
        folder: The run's working folder.
        transport: "ipc" or "tcp".
    """
    scratch = Path(tempfile.mkdtemp(prefix="six-", dir=_short_folder()))
    config = Config()
    config.RunKernelManager.run_folder = str(folder)
    config.RunKernelManager.scratch = str(scratch)
    config.RunKernelManager.connection_file = str(scratch / "k.json")
    config.RunKernelManager.transport = transport
    try:
        yield config
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def transports() -> tuple[str, str]:
    """Return the transports to try, in order: ipc and then TCP, or TCP twice where ipc cannot serve."""
    longest = len(os.fsencode(_short_folder())) + len("/six-12345678/") + len(_SOCKET_NAME)
    serves = zmq.has("ipc") and sys.platform != "win32" and longest <= _LONGEST_SOCKET_PATH
    return ("ipc" if serves else "tcp", "tcp")


def _short_folder() -> str:
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) < 70 or not os.access("/tmp", os.W_OK) else "/tmp"
