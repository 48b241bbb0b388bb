"""The closing words of a batch."""

import pytest

from lib.batch.ended import Ended
from lib.batch.run import CellError, Outcome, Run, RunStatus
from lib.batch.summary import closing_words
from lib.checkout import Checkout
from tests.batch.tree import write_cells

RUN = Run("demo/01_x", "demo", "quick", {"seed": 0}, {}, "0123456789ab")
TRACE = """---------------------------------------------------------------------------
ZeroDivisionError                         Traceback (most recent call last)
Cell In[2], line 3
      1 first = 1
      2 second = 2
----> 3 first / 0  # 33

File lib/demo/method.py:7
----> 7     return deeper(x)
ZeroDivisionError: division by zero"""


def cell(kind, source, count=None):
    more = {"outputs": [], "execution_count": count} if kind == "code" else {}
    return {"cell_type": kind, "id": source[:1], "metadata": {}, "source": source, **more}


@pytest.fixture
def checkout(tmp_path):
    folder = RUN.folder(Checkout(tmp_path))
    folder.mkdir(parents=True)
    cells = [cell("markdown", "# T"), cell("code", "a = 1", 1), cell("markdown", "x"), cell("code", "b", 2)]
    write_cells(folder / "notebook.ipynb", [*cells, cell("code", "never")])
    return Checkout(tmp_path)


def words(checkout, status=RunStatus.FAILED, index=3, trace=TRACE, **options):
    outcome = Outcome(status, "x", "y", 1.0, CellError(index, "ZeroDivisionError", "division by zero", trace))
    return closing_words(checkout, [Ended(RUN, outcome)], **options)


def test_a_failed_cell_is_named_as_jupyterlab_does_with_its_line(checkout):
    assert "demo/01_x: failed in cell [2]: first / 0  # 33\n    ZeroDivisionError: division by zero" in words(checkout)


def test_a_cell_that_has_no_number_yet_is_named_by_the_one_it_would_get(checkout):
    assert "demo/01_x: died in cell [3]\n" in words(checkout, RunStatus.DIED, 4, "")


def test_without_a_notebook_the_cell_has_no_number(checkout):
    (RUN.folder(checkout) / "notebook.ipynb").write_text("{")
    assert "demo/01_x: failed: first / 0  # 33\n" in words(checkout)


def test_the_log_is_named_where_it_is_kept_and_the_traceback_shown_where_it_is_not(checkout):
    log = "log: reports/runs/quick/demo/01_x-0123456789ab/log.txt"
    assert log in words(checkout) and "deeper" not in words(checkout)
    gone = words(checkout, kept=False)
    assert "log:" not in gone and "    ----> 7     return deeper(x)" in gone
