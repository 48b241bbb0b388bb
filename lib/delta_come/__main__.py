"""`python -m lib.delta_come`: compress a fine-tune, look at an artifact, merge it with its base.

python -m lib.delta_come compress BASE FINETUNED OUT --ratio 1/16
python -m lib.delta_come info ARTIFACT
python -m lib.delta_come apply BASE ARTIFACT OUT
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib.delta_come.errors import DeltaError
from lib.models import ModelError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 1 after an error, 2 for bad usage, 130 when interrupted."""
    given = _parser().parse_args(arguments)
    from lib.delta_come import commands

    try:
        getattr(commands, f"run_{given.command}")(given)
    except (DeltaError, ModelError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted" + ("; the same command goes on from here" if given.command == "compress" else ""))
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib.delta_come", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    _add_compress(commands.add_parser("compress", help="write a fine-tune as a packed delta to its base"))
    info = commands.add_parser("info", help="show what an artifact holds and what it costs")
    info.add_argument("artifact", metavar="ARTIFACT", type=Path)
    merge = commands.add_parser("apply", help="write base + delta as a model in the hub's format")
    merge.add_argument("base", metavar="BASE", help="a packaged model, a hub name, or a folder")
    merge.add_argument("artifact", metavar="ARTIFACT", type=Path)
    merge.add_argument("out", metavar="OUT", type=Path, help="the folder to be made")
    return parser


def _add_compress(parser: argparse.ArgumentParser) -> None:
    # What stands here must not need torch: `--help` answers at once.
    parser.add_argument("base", metavar="BASE", help="a packaged model, a hub name, or a folder")
    parser.add_argument("finetuned", metavar="FINETUNED", help="as BASE; trained from it")
    parser.add_argument("out", metavar="OUT", type=Path, help="the file to be written, such as math.safetensors")
    parser.add_argument("--ratio", default="1/16", help="of the budget, counting codes alone (default: %(default)s)")
    parser.add_argument("--plan", default="8:2,3:32,2:rest", help="bits:ranks, bits:share%% or bits:rest (%(default)s)")
    parser.add_argument("--calibration", metavar="PATH", help="a text file or folder (default: the project's corpus)")
    parser.add_argument("--tokens", type=int, default=8192, help="of calibration text (default: %(default)s)")
    parser.add_argument("--window", type=int, default=512, help="tokens in a sequence (default: %(default)s)")
    parser.add_argument("--quantiser", choices=("gptq", "rtn"), default="gptq", help="rtn needs no text")
    parser.add_argument("--group-size", type=int, default=128, help="values that share a scale (default: %(default)s)")
    parser.add_argument("--symmetric", action="store_true", help="grids without zero points")
    parser.add_argument("--clip", action="store_true", help="shrink grids where that lowers the squared error")
    parser.add_argument("--shared-embeddings", action="store_true", help="keep the base's embedding and head")


if __name__ == "__main__":
    sys.exit(main())
