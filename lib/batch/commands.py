"""The commands of `python -m lib.batch`: each takes only the options that it honours."""

import argparse
import sys
from collections.abc import Callable

from lib.batch.errors import PlanError
from lib.batch.plan import QUICK
from lib.checkout import Checkout


def carry_out(arguments: list[str] | None = None, checkout: Checkout | None = None) -> int:
    """Carry out one command and return the exit status.

    Args:
        arguments: As typed, without the program's name; None for those of this process.
        checkout: Where the notebooks are; None for this one.

    Raises:
        SystemExit: With status 2, the arguments cannot be understood; argparse has said why.
    """
    wanted = _parser().parse_args(arguments)
    try:
        return wanted.command(wanted, checkout or Checkout())
    except PlanError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib.batch", description="Batches of notebook runs.")
    commands = parser.add_subparsers(required=True, metavar="run|plan|report|accept|reproduce")
    choosing, working, running = (_paper, _only), (_workers,), (_dask, _fresh)
    for command, explanation, options in (
        (
            _run,
            "run a batch and build its report; what is done already is not run again",
            (*choosing, *working, *running),
        ),
        (_plan, "say what a batch would do", (*choosing, *working, *running)),
        (_report, "build the pages and the index of what was run", ()),
        (_accept, "check a finished batch and copy its records to reports/records", choosing),
        (_reproduce, "run a batch again and print which metrics moved", (*choosing, *working)),
    ):
        one = commands.add_parser(command.__name__.strip("_"), help=explanation, description=explanation)
        one.set_defaults(command=command)
        one.add_argument("--profile", default=QUICK, help="quick (the default), cpu, gpu, paper")
        for option in options:
            option(one.add_argument)
    return parser


def _paper(add: Callable) -> None:
    add("--paper", help="one paper (default: all)")


def _only(add: Callable) -> None:
    add("--only", metavar="GLOB", help="notebooks whose name matches, such as '01_*' or 'onebit/01*'")


def _workers(add: Callable) -> None:
    add("--workers", type=_positive, default=2, help="how many runs at once (default: 2)")


def _dask(add: Callable) -> None:
    add("--dask", metavar="ADDRESS", help="run on a Dask cluster: tcp://HOST:PORT, or local")


def _fresh(add: Callable) -> None:
    add("--fresh", action="store_true", help="run again what is done already")


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
    from lib.batch.plan import check_profile
    from lib.batch.report import ReportError, build_report

    check_profile(checkout, wanted.profile)
    try:
        print(f"Report: {checkout.relative(build_report(checkout, wanted.profile))}")
    except ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _accept(wanted: argparse.Namespace, checkout: Checkout) -> int:
    from lib.batch.accept import accept

    accept(checkout, wanted.profile, wanted.paper, wanted.only)  # prints what it changes
    return 0


def _reproduce(wanted: argparse.Namespace, checkout: Checkout) -> int:
    from lib.batch.reproduce import reproduce

    return reproduce(checkout, wanted.profile, wanted.paper, wanted.only, wanted.workers)
