import io
import os
import pty
import re
import time

from lib.batch.ended import Ended
from lib.batch.folders import new_working_folder
from lib.batch.live import Display, running
from lib.batch.plan import Planned
from lib.batch.run import CellError, Outcome, Run, RunStatus
from lib.batch.summary import closing_words
from lib.checkout import Checkout

FIRST = Run("demo/01_x", "demo", "quick", {"seed": 0}, {"seed": 0}, "a" * 12, minutes=1)
SECOND = Run("demo/02_x", "demo", "quick", {"seed": 0}, {}, "b" * 12, minutes=3)
PLAN = [Planned(FIRST), Planned(SECOND)]
DONE = Outcome(RunStatus.DONE, "2026-01-01T00:00:00", "2026-01-01T00:00:02", 2.0)
FAILED = Outcome(RunStatus.FAILED, "", "", 2.0, CellError(3, "ValueError", "no\nreally", "traceback"))


def begin(checkout, run, cells, seconds):
    folder = new_working_folder(checkout, run)
    run.save(folder)
    (folder / ".progress").write_text(cells)
    os.utime(folder / "run.json", (time.time() - seconds,) * 2)


def test_a_run_that_has_begun_tells_its_cell_and_its_time(tmp_path):
    checkout = Checkout(tmp_path)
    begin(checkout, FIRST, "3/27", seconds=75)
    (one,) = running(checkout, PLAN)
    assert (one.title, one.cells) == ("demo/01_x seed=0", "3/27")
    assert 75 <= one.seconds < 90


def test_plain_lines_count_what_has_ended(tmp_path):
    out = io.StringIO()
    display = Display(Checkout(tmp_path), PLAN, workers=2, out=out)
    with display.shown():
        display.ended(Ended(FIRST, DONE))
        display.ended(Ended(SECOND, FAILED))
    assert out.getvalue() == "[1/2] demo/01_x seed=0: done, 2.0 s\n[2/2] demo/02_x: FAILED, 2.0 s\n"


def test_a_terminal_shows_a_line_for_each_run_and_the_time_left(tmp_path):
    checkout = Checkout(tmp_path)
    begin(checkout, FIRST, "3/27", seconds=30)
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as out, Display(checkout, PLAN, workers=2, out=out).shown():
        shown = ""
        while "left" not in shown:
            shown += os.read(reader, 10000).decode()
    os.close(reader)
    assert re.search(r"demo/01_x seed=0  0:3\d  cell 3/27", shown)
    assert re.search(r"0 of 2 done, about 2:[34]\d left", shown)


def test_the_closing_words_name_status_error_and_log(tmp_path):
    words = closing_words(Checkout(tmp_path), [Ended(FIRST, DONE, cached=True), Ended(SECOND, FAILED)])
    assert words.splitlines() == [
        "demo/02_x: failed",
        "    ValueError: no",
        "    really",
        "    log: reports/runs/quick/demo/02_x-bbbbbbbbbbbb/log.txt",
        "1 of 2 runs done (1 of them before), 1 went wrong",
    ]
