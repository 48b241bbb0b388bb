"""Making a record, keeping it, showing it."""

import json
import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.ledger.evidence import read_record
from lib.ledger.faults import RecordError
from lib.ledger.metrics import Metrics
from lib.ledger.records import RECORD_FILE, RUN, Record, checksum, file_name, record, to_json
from lib.ledger.rooms import Rooms
from lib.ledger.typed import TypedError
from tests.ledger.toy import NOTEBOOK, errors, toy_record


@pytest.fixture
def run_folder(checkout, monkeypatch):
    folder = checkout.runs / "cpu" / "toy" / ".01_measure-0123456789ab"
    folder.mkdir(parents=True)
    run = {"notebook": NOTEBOOK, "profile": "cpu", "parameters": {"seed": 3, "layers": [1, 2]}, "threads": 2}
    (folder / "run.json").write_text(json.dumps(run | {"gpus": 0, "key": "0123456789ab"}))
    monkeypatch.setenv(RUN, str(folder))
    return folder


def test_exploring_stores_nothing(checkout, monkeypatch, tmp_path):
    monkeypatch.delenv(RUN, raising=False)
    monkeypatch.chdir(tmp_path)
    before, metrics = sorted(tmp_path.rglob("*")), errors(checkout)
    assert record(metrics).metrics == metrics
    assert sorted(tmp_path.rglob("*")) == before


def test_a_batch_stores_the_record_with_what_the_run_says(checkout, run_folder):
    made = record(errors(checkout))
    kept = read_record(run_folder / RECORD_FILE, Rooms(checkout))
    assert (kept.notebook, kept.profile, kept.parameters, kept.threads, kept.seed) == (
        NOTEBOOK,
        "cpu",
        {"seed": 3, "layers": [1, 2]},
        2,
        3,
    )
    assert to_json(kept) == to_json(made)


def test_the_provenance_names_the_code_that_was_reached(checkout, run_folder):
    provenance = record(errors(checkout)).provenance
    assert set(provenance.sources) == {"lib/toy/__init__.py", "lib/toy/method.py"}
    assert provenance.device.name.startswith("cpu-") and provenance.duration_s > 0


def test_a_second_record_in_one_run_is_an_error_that_says_so(checkout, run_folder):
    record(errors(checkout))
    with pytest.raises(RecordError, match="this run has a record already; a notebook records once"):
        record(errors(checkout))


def test_a_folder_that_is_none_of_a_run_is_an_error(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv(RUN, str(tmp_path))
    with pytest.raises(RecordError, match=r"names no folder of a run.*unset SIX_PAPERS_RUN"):
        record(errors(checkout))


@dataclass(frozen=True)
class Outside(Metrics):
    error: float


def test_metrics_that_nobody_could_read_again_are_not_stored(run_folder):
    with pytest.raises(RecordError, match=r"define it in its room's metrics\.py"):
        record(Outside("m", 1, 0.5))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, "0.5", None])
def test_a_metric_that_is_no_finite_number_is_refused_where_it_is_made(wrong):
    with pytest.raises(TypedError, match="error"):
        record(Outside("m", 1, wrong))


def test_the_text_and_the_table_show_metrics_without_timings(checkout):
    made = Record(errors(checkout, error=0.123456, seconds=9.87))
    assert repr(made) == (
        "Errors(model=small, model parameters=10, error=0.1235, by layer=0.1235, 0.5, by type: q=0.125, by type: k=1)"
    )
    html = made._repr_html_()
    assert '<th scope="row" style="text-align:left">by type: q</th>' in html and "0.1235" in html
    assert "seconds" not in repr(made) + html and "9.87" not in repr(made) + html


def test_the_text_and_the_table_are_the_same_inside_a_batch(checkout, run_folder):
    inside = record(errors(checkout))
    outside = Record(errors(checkout, seconds=77.0))
    assert (repr(inside), inside._repr_html_()) == (repr(outside), outside._repr_html_())


def test_names_are_escaped_in_the_table(checkout):
    assert "<script>" not in Record(errors(checkout, model="<script>"))._repr_html_()


def test_long_tuples_are_cut(checkout):
    made = Record(replace(errors(checkout), by_layer=tuple(map(float, range(100)))))
    assert "6, 7, … (100 in all)" in repr(made)


def test_two_runs_of_one_thing_differ_in_times_alone(checkout):
    one, two = (json.loads(to_json(toy_record(checkout, started=f"2026-01-0{day}T00:00:00+00:00"))) for day in (1, 2))
    one["provenance"]["started"] = two["provenance"]["started"]
    assert checksum(one) == two["checksum"]


def test_the_name_of_a_record_follows_notebook_parameters_and_threads():
    names = {
        file_name("toy/01_x", {"a": 1, "b": 2}, 1),
        file_name("toy/01_x", {"b": 2, "a": 1}, 1),
        file_name("toy/01_x", {"a": 1, "b": 3}, 1),
        file_name("toy/01_x", {"a": 1, "b": 2}, 2),
    }
    assert len(names) == 3
    assert all(name.startswith("01_x-") and len(name) == len("01_x-01234567.json") for name in names)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.lists(st.booleans())),
    st.text(),
)
def test_a_record_comes_back_as_it_was(checkout, tmp_path, error, parameters, model):
    rooms = Rooms(checkout)
    kind = rooms.metrics_type("lib.toy.metrics.Errors")
    made = replace(toy_record(checkout), metrics=kind(model, 1, error, (), {}, 0.0), parameters=parameters)
    path = tmp_path / "record.json"
    path.write_text(to_json(made), encoding="utf-8")
    assert read_record(path, rooms) == made
