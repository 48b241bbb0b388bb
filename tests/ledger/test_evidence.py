"""What counts as evidence, and what is named as a fault."""

import json
from dataclasses import replace

import pytest

from lib.ledger.evidence import best_group, committed, just_measured
from lib.ledger.records import RECORD_FILE, checksum
from lib.ledger.rooms import Rooms
from tests.ledger.toy import commit, run, toy_record


def found(checkout):
    return committed(checkout, Rooms(checkout))


def rewrite(path, change, seal=False):
    content = json.loads(path.read_text())
    change(content)
    if seal:
        content["checksum"] = checksum(content)
    path.write_text(json.dumps(content))


def only_fault(checkout):
    kept, faults = found(checkout)
    assert [each.record.seed for each in kept] == [1]
    assert len(faults) == 1
    return faults[0]


@pytest.fixture
def path(checkout):
    """The first of two committed records; the second is to stand, whatever happens to the first."""
    return commit(checkout, toy_record(checkout, seed=0), toy_record(checkout, seed=1))[0]


def test_committed_records_are_found_with_their_paths(checkout):
    paths = commit(checkout, toy_record(checkout, seed=0), toy_record(checkout, seed=1))
    kept, faults = found(checkout)
    assert [each.path for each in kept] == sorted(path.relative_to(checkout.root).as_posix() for path in paths)
    assert faults == []


def test_a_deleted_record_is_missed(checkout, path):
    path.unlink()
    fault = only_fault(checkout)
    assert fault.problem == "was accepted and is gone"
    assert f"git checkout -- {path.relative_to(checkout.root)}" in fault.remedy


def test_a_hand_edited_record_is_noticed(checkout, path):
    rewrite(path, lambda content: content["metrics"].update(error=0.001))
    fault = only_fault(checkout)
    assert "checksum does not match" in fault.problem and "git checkout" in fault.remedy


def test_an_edited_record_with_a_new_checksum_is_noticed_too(checkout, path):
    rewrite(path, lambda content: content["metrics"].update(error=0.001), seal=True)
    assert "not the file that was accepted" in only_fault(checkout).problem


@pytest.mark.parametrize("text", ["", '{"format": 1, "metr', "[1]", "null", "\x00"])
def test_a_broken_file_is_named(checkout, path, text):
    path.write_text(text)
    fault = only_fault(checkout)
    assert fault.where == path.relative_to(checkout.root).as_posix()
    assert "cannot be read" in fault.problem or "instead of an object" in fault.problem


@pytest.mark.parametrize("number", [0, 2, None, "1"])
def test_another_format_is_named(checkout, path, number):
    rewrite(path, lambda content: content.update(format=number), seal=True)
    assert f"has format {number!r} instead of 1" in only_fault(checkout).problem


def test_unknown_metrics_are_named(checkout, path):
    rewrite(path, lambda content: content.update(metrics_type="lib.toy.metrics.Gone"), seal=True)
    assert "lib.toy.metrics.Gone" in only_fault(checkout).problem


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda content: content["metrics"].pop("error"), "without error"),
        (lambda content: content["metrics"].update(more=1), "unknown more"),
        (lambda content: content["metrics"].update(error="0.1"), "metrics.error: expected float"),
        (lambda content: content.pop("threads"), "without threads"),
        (lambda content: content["provenance"].pop("commit"), "without commit"),
        (lambda content: content.update(parameters=[]), "parameters: expected"),
    ],
)
def test_a_record_that_no_longer_fits_is_named_with_the_field(checkout, path, change, says):
    rewrite(path, change, seal=True)
    fault = only_fault(checkout)
    assert says in fault.problem and "make accept" in fault.remedy


def test_a_copy_of_a_record_does_not_count_twice(checkout, path):
    path.rename(path.with_name("01_measure-copy.json"))
    kept, faults = found(checkout)
    assert [each.record.seed for each in kept] == [1]
    assert sorted(fault.problem.partition(" of ")[0] for fault in faults) == [
        "is the record",
        "was accepted and is gone",
    ]


def test_runs_that_are_done_are_evidence_and_others_are_not(checkout):
    for number, status in enumerate(["done", "failed", "interrupted"]):
        run(checkout, toy_record(checkout, seed=number, profile="quick"), status, key=str(number) * 12)
    kept, faults = just_measured(checkout, Rooms(checkout))
    assert ([each.record.seed for each in kept], faults) == ([0], [])
    assert kept[0].path == "reports/runs/quick/toy/01_measure-000000000000/record.json"


def test_a_run_being_written_is_not_evidence(checkout):
    folder = run(checkout, toy_record(checkout))
    folder.rename(folder.with_name("." + folder.name))
    assert just_measured(checkout, Rooms(checkout)) == ([], [])


def test_a_broken_record_of_a_run_says_to_run_again(checkout):
    (run(checkout, toy_record(checkout)) / RECORD_FILE).write_text("{")
    _, (fault,) = just_measured(checkout, Rooms(checkout))
    assert fault.remedy == "delete the run's folder and run make reports again"


def weigh(checkout, *records):
    commit(checkout, *records)
    return [each.record for each in best_group(found(checkout)[0])]


def test_the_larger_model_weighs_more_than_seeds(checkout):
    small = [toy_record(checkout, seed=seed) for seed in range(3)]
    large = toy_record(checkout, seed=7, model="large", size=1000)
    assert [each.seed for each in weigh(checkout, *small, large)] == [7]


def test_more_seeds_weigh_more_than_more_records(checkout):
    one_seed = [
        replace(toy_record(checkout, profile="quick"), parameters={"seed": 0, "rank": rank}) for rank in range(5)
    ]
    two_seeds = [toy_record(checkout, seed=seed) for seed in range(2)]
    assert {each.seed for each in weigh(checkout, *one_seed, *two_seeds)} == {0, 1}


def test_profiles_are_not_mixed(checkout):
    records = [toy_record(checkout, seed=seed, profile=profile) for seed in (0, 1) for profile in ("cpu", "gpu")]
    assert len({each.profile for each in weigh(checkout, *records)}) == 1
