"""Re-execute notebooks at their default parameters and store the outputs in place: `python -m lib.batch.store [GLOB]`.

Each notebook runs top to bottom on a fresh kernel, one thread, no progress bars. What is stored says nothing of the
machine: no timings, no widget state, no version of Python. A notebook that fails stays as it was.
"""

import argparse
import fnmatch
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lib import catalogue
from lib.checkout import Checkout
from lib.progress import QUIET

if TYPE_CHECKING:
    from nbformat import NotebookNode

_KEPT_IN_CELL = ("tags", "alt")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def store(path: Path) -> None:
    """Execute one notebook and replace it by its executed self.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell raised; the file is unchanged.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False)
    client.execute(cwd=str(path.parent), env=_environment())
    _clean(notebook)
    nbformat.validate(notebook)
    temporary = path.with_suffix(".storing")
    nbformat.write(notebook, temporary)
    temporary.replace(path)


def _environment() -> dict[str, str]:
    # The recorder looks for a run's folder: what is stored here is no evidence.
    inherited = {name: value for name, value in os.environ.items() if name != "SIX_PAPERS_RUN"}
    return inherited | dict.fromkeys(_THREADS, "1") | {QUIET: "1", "PYTHONHASHSEED": "0"}


def _clean(notebook: "NotebookNode") -> None:
    """Leave the metadata that matters and drop what the machine decides."""
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    for cell in notebook.cells:
        cell.metadata = {name: cell.metadata[name] for name in _KEPT_IN_CELL if name in cell.metadata}


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.batch.store", description=__doc__.partition("\n")[0])
    parser.add_argument("only", nargs="?", default="*", help="which notebooks, such as 'onebit/01*' (default: all)")
    wanted = parser.parse_args().only
    names = {one.name: one.path for one in catalogue.notebooks(Checkout())}
    chosen = [name for name in names if fnmatch.fnmatch(name, wanted)]
    if not chosen:
        print(f"No notebook is called {wanted!r}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    failed = 0
    for name in chosen:
        print(f"{name} ...", end=" ", flush=True)
        try:
            store(names[name])
            print("stored")
        except Exception as error:  # the next notebook may still do; the exit status tells
            failed += 1
            print(f"FAILED, left as it was\n{error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(_main())
