import pytest

from lib.batch.report import build_report
from tests.batch.report import samples
from tests.browser import Browser, find


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A checkout with all its pages built, and a board of invented claims."""
    checkout = samples.sample_checkout(tmp_path_factory.mktemp("report"))
    samples.write_record(checkout, samples.a_run(seed=1))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lib.ledger.boards.board", lambda checkout: samples.sample_board())
        build_report(checkout, "quick")
    return checkout


@pytest.fixture(scope="session")
def browser():
    program = find()
    if program is None:
        pytest.skip("no Chromium or Chrome on this machine")
    with Browser(program) as started:
        yield started
