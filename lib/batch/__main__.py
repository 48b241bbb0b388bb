"""Batches from the command line: `python -m lib.batch run|plan|report|accept|reproduce`.

Exit status: 0 all is done; 1 a run is not, see the closing words; 2 nothing was started, the message says why;
130 after Ctrl-C.
"""

import argparse
import sys

from lib.batch.errors import PlanError
from lib.batch.plan import QUICK
from lib.checkout import Checkout


def main(arguments: list[str] | None = None, checkout: Checkout = Checkout()) -> int:
    """Carry out one command and return the exit status.

    Args:
        arguments: As typed, without the program's name.
        checkout: Where the notebooks are.
    """
    wanted = _parser().parse_args(arguments)
    try:
        return wanted.command(wanted, checkout)
    except PlanError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib.batch", description="Batches of notebook runs.")
    commands = parser.add_subparsers(required=True, metavar="run|plan|report|accept|reproduce")
    for command, explanation in (
        (_run, "run a batch and build its report; what is done already is not run again"),
        (_plan, "say what a batch would do"),
        (_report, "build the pages and the index of what was run"),
        (_accept, "check a finished batch and copy its records to reports/records"),
        (_reproduce, "run a batch again and print which metrics moved"),
    ):
        one = commands.add_parser(command.__name__.strip("_"), help=explanation, description=explanation)
        one.set_defaults(command=command)
        one.add_argument("--profile", default=QUICK, help="quick (the default), cpu, gpu, paper")
        one.add_argument("--paper", help="one paper (default: all)")
        one.add_argument("--only", metavar="GLOB", help="notebooks whose name matches, such as '01_*' or 'onebit/01*'")
        one.add_argument("--workers", type=_positive, default=2, help="how many runs at once (default: 2)")
        one.add_argument("--dask", metavar="ADDRESS", help="run on a Dask cluster: tcp://HOST:PORT, or local")
        one.add_argument("--fresh", action="store_true", help="run again what is done already")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, found {text!r}")
    return int(text)


def _run(wanted: argparse.Namespace, checkout: Checkout) -> int:
    from lib.batch.runner import Order, run_batch

    order = Order(wanted.profile, wanted.paper, wanted.only, wanted.workers, wanted.fresh, wanted.dask)
    return run_batch(order, checkout)


def _plan(wanted: argparse.Namespace, checkout: Checkout) -> int:
    from lib.batch.runner import Order, plan_batch

    plan_batch(Order(wanted.profile, wanted.paper, wanted.only, wanted.workers, wanted.fresh, wanted.dask), checkout)
    return 0


def _report(wanted: argparse.Namespace, checkout: Checkout) -> int:
    from lib.batch.report import ReportError, build_report

    try:
        print(f"Report: {checkout.relative(build_report(checkout, wanted.profile))}")
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _accept(wanted: argparse.Namespace, checkout: Checkout) -> int:
    from lib.batch.accept import accept

    accept(checkout, wanted.profile, wanted.paper)  # prints what it changes
    return 0


def _reproduce(wanted: argparse.Namespace, checkout: Checkout) -> int:
    from lib.batch.reproduce import reproduce

    return reproduce(checkout, wanted.profile, wanted.paper, wanted.only, wanted.workers)


if __name__ == "__main__":
    sys.exit(main())
