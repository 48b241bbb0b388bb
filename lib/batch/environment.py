"""What a run's kernel finds in its environment."""

import os
from pathlib import Path

from lib.batch.orphans import RUN_VARIABLE
from lib.batch.run import Run
from lib.checkout import Checkout
from lib.progress import QUIET

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
)


def set_environment(run: Run, checkout: Checkout, folder: Path, gpu: str | None) -> None:
    """Set this process's environment, which its kernel inherits.

    Args:
        run: Tells the number of threads.
        checkout: Its `lib` comes first on the path.
        folder: The run's working folder; naming it makes the notebook's records evidence.
        gpu: What CUDA_VISIBLE_DEVICES names, or None for a run without a GPU.
    """
    os.environ.update(dict.fromkeys(_THREADS, str(run.threads)))
    paths = [str(checkout.root), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ.update(
        {
            RUN_VARIABLE: str(folder),
            QUIET: "1",
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join(paths),
            "CUDA_VISIBLE_DEVICES": gpu or "",
        }
    )
    os.environ.pop("MPLBACKEND", None)  # figures go into the notebook, whatever the terminal prefers
