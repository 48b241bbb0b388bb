import re
from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from lib.batch.report.claim_rows import Reason
from lib.batch.report.index import Pages, index_page
from lib.batch.report.layout import duration, literal, moment, number
from lib.batch.report.marks import drawing
from lib.batch.report.run_rows import BuiltRun
from lib.batch.run import BatchEntry, BatchSummary, RunStatus
from lib.checkout import Checkout
from lib.ledger.boards import Board
from tests.batch.report import samples


@pytest.fixture
def index(report):
    return report.index.read_text()


def row_of(index, claim):
    return re.search(rf'<tr id="{re.escape(claim)}".*?</tr>', index, re.DOTALL)[0]


def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def an_index(tmp_path, *runs, batch=None, profile="quick"):
    checkout = Checkout(tmp_path)
    if batch:
        batch.save(checkout)
    return index_page(Board(()), Pages(list(runs), {}, {}), checkout, profile)


def a_built_run(letter="a", profile="quick", seconds=12.0, seed=0):
    run = samples.a_run(profile=profile, key=letter * 12, seed=seed)
    folder = f"reports/runs/{profile}/onebit/{run.name}-{run.key}"
    return BuiltRun(folder, f"{folder}/page.html", run, samples.an_outcome(seconds=seconds), "Title", "", False)


def a_batch(*entries):
    return BatchSummary("quick", "x", "y", 2, entries)


def entry(letter="a", cached=False, status=RunStatus.DONE, seconds=12.0, **before):
    return BatchEntry(f"quick/onebit/01_separate_sign_and_value-{letter * 12}", cached, status, seconds, **before)


def test_a_verdict_is_words_and_a_shape_beside_its_reason(index):
    row = row_of(index, "onebit.C4")
    assert '<use href="#shape-fails"/></svg>fails</span>' in row
    assert "two of seven sizes do not add up" in row


def test_a_long_reason_is_a_line_and_a_list_that_opens():
    found, line = [f"pair {count}: {count / 8} is above 1 (mean of 3 seeds)" for count in range(30)], "llama fails."
    assert Reason.of(f"{line} " + "; ".join(found)) == Reason(line, tuple(found))
    assert Reason.of("; ".join(found)) == Reason(found[0], tuple(found))
    assert Reason.of("; ".join(found[:3])) == Reason("; ".join(found[:3]))


def test_a_row_shows_the_line_and_all_findings_behind_it(tmp_path):
    found = [f"pair {count} is well above what the paper says" for count in range(20)]
    row = replace(samples.sample_board().rows[0], reason="llama fails. " + "; ".join(found))
    shown = row_of(index_page(Board((row,)), Pages([], {}, {}), Checkout(tmp_path), "quick"), row.id)
    assert '<p class="aside">llama fails.</p>' in shown
    assert "20 findings</summary>" in shown and all(f"<li>{one}</li>" in shown for one in found)


def test_each_verdict_has_a_shape_of_its_own(index):
    shapes = dict(re.findall(r'<use href="#(shape-[a-z]+)"/></svg>([a-z ]+)</span>', index))
    drawn = {word: shape for shape, word in shapes.items()}
    assert len({drawn[word] for word in ("holds in direction", "inconclusive", "not measured")}) == 3


def test_the_measured_number_its_interval_and_the_papers_stand_with_both_scales(index):
    row = text_of(row_of(index, "onebit.C1"))
    for part in ("0.3719", "0.3702 to 0.3741", "0.38", "LLaMA-7B", "all 210 matrices of a 135M model"):
        assert part in row


def test_a_number_has_as_many_digits_as_the_papers(tmp_path):
    row = replace(samples.sample_board().rows[0], measured=1.00731234, interval=None, paper_value=1.0073, fresh=None)
    html = index_page(Board((row,)), Pages([], {}, {}), Checkout(tmp_path), "quick")
    assert html.count('<span class="number">1.0073</span>') == 2


def test_a_verdict_links_to_its_record_and_to_the_cell_that_measured_it(index):
    row = row_of(index, "onebit.C1")
    assert 'href="runs/records/cpu/onebit/01_separate_sign_and_value-0a1b2c3d.html">record<' in row
    assert 'href="runs/quick/onebit/01_separate_sign_and_value-0123456789ab/page.html#record">run<' in row


def test_what_was_measured_just_now_stands_beside_the_committed_verdict(index):
    fresh = re.search(r'<div class="fresh">.*', row_of(index, "onebit.C1"), re.DOTALL)[0]
    day = samples.sample_board().rows[0].fresh.started[:10]
    assert text_of(fresh).startswith(f"measured here {day} holds 0.3722 0.37 to 0.3744")
    assert index.count("measured here 2") == 1


def test_stale_evidence_says_what_changed(index):
    assert "stale 1 file changed since lib/onebit/svid.py" in text_of(row_of(index, "onebit.C5"))


def test_a_drawing_needs_one_number_of_the_paper(index):
    assert '<svg class="drawing"' in row_of(index, "onebit.C1")
    assert '<svg class="drawing"' not in row_of(index, "onebit.C6")
    assert drawing(1.0, None, None) == ""
    assert drawing(None, None, 1.0) == ""


@pytest.mark.parametrize("paper", [0, 0.0])
def test_nothing_is_drawn_beside_a_paper_that_says_0_for_there_is_no_scale(paper):
    assert drawing(2e-15, None, paper) == ""
    assert drawing(0.0, (-1.0, 1.0), paper) == ""


def test_nothing_is_drawn_where_the_numbers_are_the_same_to_a_tenth_of_a_per_cent():
    assert drawing(1.0005, None, 1.0) == drawing(-1.0005, None, -1.0) == ""
    assert drawing(1.0005, (0.9, 1.1), 1.0) != ""
    assert drawing(1.002, None, 1.0) != ""


@pytest.mark.parametrize("measured", [1.05, 0.95, -1.05])
def test_a_twentieth_of_a_number_is_drawn_as_a_small_difference(measured):
    paper = 1.0 if measured > 0 else -1.0
    dot, tick = re.search(r'cx="([\d.]+)".*M([\d.]+) 2V', drawing(measured, None, paper)).groups()
    assert 2 < abs(float(tick) - float(dot)) < 15


@pytest.mark.parametrize("values", [(0.0, None, 5.0), (-3.0, (-4.0, -2.0), 5.0), (1e-9, None, 1e9), (5, (5, 5), 5)])
def test_a_drawing_stays_inside_its_box(values):
    places = [
        float(place)
        for place in re.findall(r'cx="([\d.-]+)|M([\d.-]+) 2V', drawing(*values))
        for place in place
        if place
    ]
    assert all(0 <= place <= 136 for place in places)
    assert len(places) == 2


def test_numbers_that_agree_to_a_per_cent_are_drawn_side_by_side():
    dot, tick = re.search(r'cx="([\d.]+)".*M([\d.]+) 2V', drawing(0.99, None, 1.0)).groups()
    assert 0 < float(tick) - float(dot) < 10


def test_the_summary_counts_each_papers_verdicts(index):
    summary = re.search(r'<div class="table summary">.*?</table>', index, re.DOTALL)[0]
    assert re.findall(r">(\d+)</td>", summary) == ["2", "1", "1", "1", "1", "0", "0", "0", "0", "1"]
    assert "OneBit (Xu et al., NeurIPS 2024): one sign a weight and two vectors." in summary


def test_what_is_wrong_with_a_record_stands_on_top(index):
    assert "its checksum does not match. Remedy: measure again." in index


def test_a_run_shows_status_time_parameters_figure_and_error(index):
    row = text_of(re.search(r'<tr id="onebit/02_count_the_bits">.*?</tr>', index, re.DOTALL)[0])
    for part in (
        "failed",
        "was done",
        "3.0 s",
        "was 2.4 s (+25 %)",
        "seed = 0",
        "ValueError: rank must be 1, got 7",
        "fresh",
    ):
        assert part in row.replace("\u00a0", " ")
    assert index.count('<img src="data:image/webp;base64,') == 3


def test_thumbnails_keep_the_index_small(index):
    assert len(index.encode()) < 80_000


def test_a_notebooks_first_run_has_the_anchor_that_pages_link_to(tmp_path):
    html = an_index(tmp_path, a_built_run("a"), a_built_run("b", "cpu"), a_built_run("c", seed=1))
    assert html.count('id="onebit/01_separate_sign_and_value"') == 1


def test_the_wanted_profile_comes_first(tmp_path):
    html = an_index(tmp_path, a_built_run("a"), a_built_run("b", "cpu"), a_built_run("c", "night"), profile="cpu")
    assert re.findall(r"<h3>Profile (\w+)</h3>", html) == ["cpu", "quick", "night"]


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ([entry()], "fresh"),
        ([entry(cached=True)], "cached"),
        ([], "not in the plan"),
    ],
)
def test_a_run_says_whether_the_last_batch_ran_it(tmp_path, known, words):
    html = an_index(tmp_path, a_built_run(), batch=a_batch(*known))
    assert f"<span>{words}</span>" in html


def a_plan(tmp_path, batch=""):
    folder = tmp_path / "notebooks" / "onebit"
    folder.mkdir(parents=True)
    source = "seed: int = 0\nrank: int = 1\nnote: str | None = None"
    cell = new_code_cell(source, metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[cell]), folder / "01_separate_sign_and_value.ipynb")
    (folder / "batch.yaml").write_text(batch)


def test_a_run_that_the_plan_still_has_is_of_an_earlier_batch_whatever_its_code_was(tmp_path):
    a_plan(tmp_path)
    html = an_index(tmp_path, a_built_run(), a_built_run("b", seed=7))
    assert html.count("<span>earlier batch</span>") == 1
    assert html.count("<span>not in the plan</span>") == 1


def test_a_profile_that_no_batch_file_has_any_more_is_not_in_the_plan(tmp_path):
    a_plan(tmp_path)
    assert "<span>not in the plan</span>" in an_index(tmp_path, a_built_run(profile="night"))


def test_with_a_batch_file_that_cannot_be_read_nothing_is_said_of_the_plan(tmp_path):
    a_plan(tmp_path, "quick: [")
    assert "<span>earlier batch</span>" in an_index(tmp_path, a_built_run())


def test_a_cached_run_is_not_compared_with_itself(tmp_path):
    html = an_index(tmp_path, a_built_run(), batch=a_batch(entry(cached=True, previous_duration_s=6.0)))
    assert "was 6" not in html


def test_the_last_batch_says_which_runs_changed_for_better_or_worse(tmp_path):
    failed = replace(a_built_run("b"), outcome=samples.an_outcome(RunStatus.FAILED))
    batch = a_batch(
        entry("a", previous_status=RunStatus.FAILED),
        entry("b", status=RunStatus.FAILED, previous_status=RunStatus.DONE),
    )
    html = an_index(tmp_path, a_built_run("a"), failed, batch=batch)
    assert "1 run newly failing, 1 run mended" in html
    assert "2 runs in the last batch, 2 fresh and 0 cached, with 2 workers" in html


@pytest.mark.parametrize("damage", ["", "{}", '{"profile": "quick"}'])
def test_a_damaged_account_of_the_batch_does_not_hide_the_runs(tmp_path, damage):
    path = tmp_path / "reports" / "runs" / "quick" / "batch.json"
    path.parent.mkdir(parents=True)
    path.write_text(damage)
    assert "Title" in an_index(tmp_path, a_built_run())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.37190123, "0.3719"),
        (0, "0"),
        (-0.02, "−0.02"),
        (210, "210"),
        (134515008, "134\u202f515\u202f008"),
        (16908.288, "16\u202f908"),
        (1.8e-6, "1.8\u202f×\u202f10⁻⁶"),
        (True, "1"),
        (0.99996, "1"),
        (-7, "−7"),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 00 s"), (125, "2 min 05 s"), (3720, "1 h 02 min")],
)
def test_durations_are_said_as_people_say_them(seconds, text):
    assert duration(seconds).replace("\u00a0", " ") == text


def test_times_are_utc_and_what_is_no_time_stays():
    assert moment("2026-11-23T02:20:03+01:00").replace("\u00a0", " ") == "2026-11-23 01:20 UTC"
    assert moment("yesterday") == "yesterday"


def test_parameters_are_written_as_in_python():
    assert [literal(value) for value in (None, True, 3, 0.5, "a", [1, 2])] == [
        "None",
        "True",
        "3",
        "0.5",
        '"a"',
        "[1, 2]",
    ]
