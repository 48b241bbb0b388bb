"""The board: verdicts on committed evidence, what is stale, what is fresh, what is wrong."""

import json

import pytest

from lib.ledger import freshness
from lib.ledger.boards import board
from lib.ledger.claim import Status
from lib.ledger.views import measured_text, to_markdown
from tests.ledger.toy import CLAIMS, METHOD, NOTEBOOK, commit, run, toy_record, write_notebook

LATER = "2026-02-02T00:00:00+00:00"


def first(checkout, **options):
    return board(checkout, **options).rows[0]


@pytest.fixture
def measured(checkout):
    """Three seeds with errors 0.2, 0.25, 0.3, committed."""
    commit(checkout, *(toy_record(checkout, seed=seed, error=0.2 + 0.05 * seed) for seed in range(3)))
    return checkout


def test_a_claim_is_judged_on_the_committed_records(measured):
    row = first(measured)
    assert row.verdict is Status.HOLDS
    assert row.measured == pytest.approx(0.25)
    assert row.interval[0] < 0.2 < 0.3 < row.interval[1]
    assert (row.paper, row.profile, row.model, row.unit, row.paper_value) == ("toy", "cpu", "small", "%", 0.3)
    assert len(row.records) == 3 and (row.stale, row.notes, row.fresh) == ((), (), None)


def test_what_nothing_measures_has_a_row_with_the_reason(measured):
    row = board(measured).rows[1]
    assert (row.id, row.verdict, row.reason) == ("toy.C2", Status.NOT_MEASURED, "needs a GPU")


def test_the_papers_unit_is_the_measured_one_if_no_other_is_given(measured):
    assert [row.paper_unit for row in board(measured).rows] == ["%", "s"]


def test_what_is_measured_may_have_another_unit_than_the_papers_number(measured):
    room = measured.lib / "toy" / "claims.py"
    room.write_text(room.read_text().replace("_small),)),", '_small),), paper_unit="points"),'))
    row = first(measured)
    assert (row.unit, row.paper_unit) == ("%", "points")
    assert measured_text(row).startswith("0.25 %") and "0.3 points" in to_markdown(board(measured))


def test_without_records_a_claim_is_not_measured(checkout):
    row = first(checkout)
    assert (row.verdict, row.reason, row.records) == (Status.NOT_MEASURED, "no record yet", ())


def test_a_checkout_without_rooms_has_an_empty_board(tmp_path):
    from lib.checkout import Checkout

    assert board(Checkout(tmp_path)).rows == ()


def test_changed_code_makes_the_evidence_stale_and_it_still_shows(measured):
    (measured.lib / "toy" / "method.py").write_text(METHOD.replace("x / 2", "x / 3"))
    row = first(measured)
    assert (row.stale, row.verdict) == (("lib/toy/method.py",), Status.HOLDS)


def test_a_changed_notebook_a_new_and_a_deleted_module_make_it_stale(measured):
    write_notebook(measured.notebooks / f"{NOTEBOOK}.ipynb", "from lib.toy import other, metrics")
    (measured.lib / "toy" / "other.py").write_text("")
    (measured.lib / "toy" / "method.py").unlink()
    assert first(measured).stale == ("lib/toy/method.py", "lib/toy/other.py", f"notebooks/{NOTEBOOK}.ipynb")


def test_a_file_that_is_no_longer_reached_does_not_make_it_stale(measured, monkeypatch):
    monkeypatch.setattr(freshness, "sources", lambda *_: {})
    (measured.lib / "toy" / "method.py").write_text(METHOD.replace("x / 2", "x / 3"))
    assert first(measured).stale == ()


def test_a_lost_notebook_makes_it_stale(measured):
    (measured.notebooks / f"{NOTEBOOK}.ipynb").unlink()
    assert first(measured).stale == (f"notebooks/{NOTEBOOK}.ipynb",)


@pytest.mark.parametrize("change", ["docstring", "judge", "lock"])
def test_what_cannot_change_the_result_does_not_make_it_stale(measured, change):
    if change == "docstring":
        (measured.lib / "toy" / "method.py").write_text(METHOD.replace("Half of x", "The half"))
    elif change == "judge":
        (measured.lib / "toy" / "claims.py").write_text(CLAIMS.replace("0.5, no", "0.6, no"))
    else:
        measured.lock.write_text("numpy==3.0\n")
    assert first(measured).stale == ()


def test_another_lock_is_mentioned(measured):
    measured.lock.write_text("numpy==3.0\n")
    assert first(measured).notes == ("measured with another requirements.lock",)


def test_a_changed_judge_judges_anew(measured):
    (measured.lib / "toy" / "claims.py").write_text(CLAIMS.replace("0.5, no", "0.1, no"))
    assert first(measured).verdict is Status.HOLDS_IN_DIRECTION


def test_what_was_measured_just_now_stands_beside_it(measured):
    run(measured, toy_record(measured, error=2.0, profile="quick", started=LATER))
    row = first(measured)
    assert (row.verdict, row.fresh.verdict) == (Status.HOLDS, Status.FAILS)
    assert (row.fresh.measured, row.fresh.profile, row.fresh.started) == (2.0, "quick", LATER)
    assert row.fresh.runs == ("reports/runs/quick/toy/01_measure-000000000000",)


def test_what_was_measured_just_now_shows_without_committed_records(checkout):
    run(checkout, toy_record(checkout, profile="quick"))
    row = first(checkout)
    assert (row.verdict, row.fresh.verdict) == (Status.NOT_MEASURED, Status.HOLDS)


def test_the_accepted_run_itself_is_not_fresh(measured):
    run(measured, toy_record(measured, seed=0, error=0.2))
    assert first(measured).fresh is None


def test_an_older_run_is_not_fresh(measured):
    run(measured, toy_record(measured, error=2.0, started="2025-01-01T00:00:00+00:00"))
    assert first(measured).fresh is None


def test_a_run_of_other_code_is_not_fresh(measured):
    run(measured, toy_record(measured, error=2.0, started=LATER))
    (measured.lib / "toy" / "method.py").write_text("")
    assert first(measured).fresh is None


def test_of_two_fresh_profiles_the_last_counts(measured):
    run(measured, toy_record(measured, profile="gpu", model="large", size=99, started=LATER))
    run(measured, toy_record(measured, profile="quick", started=LATER.replace("-02-", "-03-")))
    assert first(measured).fresh.profile == "quick"


def test_committed_evidence_alone_can_be_asked_for(measured):
    run(measured, toy_record(measured, error=2.0, started=LATER))
    assert first(measured, fresh=False).fresh is None


def test_fresh_evidence_is_topped_up_with_committed_evidence_for_other_parts(checkout):
    two = CLAIMS.replace("Errors, _small),)", "Errors, _small), Part('other', Others, _small))").replace(
        "import Errors", "import Errors, Others"
    )
    (checkout.lib / "toy" / "claims.py").write_text(two)
    metrics = checkout.lib / "toy" / "metrics.py"
    metrics.write_text(metrics.read_text() + "\n@dataclass(frozen=True)\nclass Others(Errors):\n    '''O.'''\n")
    commit(checkout, toy_record(checkout, error=0.2))
    from dataclasses import fields, replace

    from lib.ledger.rooms import Rooms

    kind = Rooms(checkout).metrics_type("lib.toy.metrics.Others")
    made = toy_record(checkout, error=2.0, started=LATER)
    run(checkout, replace(made, metrics=kind(*(getattr(made.metrics, each.name) for each in fields(kind)))))
    row = first(checkout)
    assert (row.verdict, row.fresh.verdict) == (Status.HOLDS_IN_DIRECTION, Status.FAILS)
    assert "error: 0.2" in row.fresh.reason and len(row.fresh.runs) == 1


def test_a_judge_that_raises_leaves_the_claim_unmeasured_and_is_named(measured):
    (measured.lib / "toy" / "claims.py").write_text(CLAIMS.replace("each.error for", "each.eror for"))
    found = board(measured)
    assert found.rows[0].verdict is Status.NOT_MEASURED
    assert "AttributeError" in found.rows[0].reason
    assert (found.faults[0].where, len(found.rows)) == ("toy.C1", 2)


def test_a_judge_that_raises_on_fresh_evidence_alone_leaves_the_verdict(measured):
    text = CLAIMS.replace("def _small(metrics):", "def _small(metrics):\n    assert metrics[0].error < 1, 'too large'")
    (measured.lib / "toy" / "claims.py").write_text(text)
    run(measured, toy_record(measured, error=2.0, started=LATER))
    found = board(measured)
    assert (found.rows[0].verdict, found.rows[0].fresh) == (Status.HOLDS, None)
    assert "too large" in found.faults[0].problem


def test_a_broken_record_is_named_and_the_others_decide(measured):
    path = sorted(measured.records.rglob("*.json"))[0]
    path.write_text(path.read_text()[:100])
    found = board(measured)
    assert len(found.rows[0].records) == 2
    assert [fault.where for fault in found.faults] == [path.relative_to(measured.root).as_posix()]


def test_changes_that_were_not_committed_are_mentioned(checkout):
    from dataclasses import replace

    made = toy_record(checkout)
    commit(checkout, replace(made, provenance=replace(made.provenance, dirty=True)))
    assert first(checkout).notes == ("measured with changes that were not committed",)


def test_one_papers_rows_and_faults_can_be_chosen(measured):
    sorted(measured.records.rglob("*.json"))[0].write_text("{")
    found = board(measured)
    assert (len(found.of("toy").rows), len(found.of("toy").faults)) == (2, 1)
    assert (found.of("other").rows, found.of("other").faults) == ((), ())


def test_the_board_is_one_line_of_text(measured):
    assert repr(board(measured)) == "2 claims: 1 holds, 1 not measured"


def test_the_table_is_the_same_with_and_without_runs_here(measured):
    before = board(measured)._repr_html_()
    folder = run(measured, toy_record(measured, error=2.0, started=LATER))
    run(measured, toy_record(measured), key="1" * 12).joinpath("record.json").write_text("{")
    assert board(measured).rows[0].fresh is not None and folder.exists()
    assert board(measured)._repr_html_() == before


def test_the_table_names_what_is_wrong_with_committed_records(measured):
    sorted(measured.records.rglob("*.json"))[0].write_text("{")
    assert "cannot be read" in board(measured)._repr_html_()


def test_a_hand_written_outcome_does_not_stop_the_board(measured):
    folder = run(measured, toy_record(measured))
    for text in ("", "[]", json.dumps({"status": 3})):
        (folder / "outcome.json").write_text(text)
        assert len(board(measured).rows) == 2


def test_a_claim_whose_records_are_gone_says_which(measured):
    lost = sorted((measured.records / "cpu" / "toy").glob("*.json"))
    for path in lost:
        path.unlink()
    row = first(measured)
    assert row.verdict is Status.NOT_MEASURED
    assert all(path.name in row.reason for path in lost)
