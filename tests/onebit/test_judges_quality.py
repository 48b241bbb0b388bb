"""The judges of students' quality, on made-up runs: when each verdict is given."""

from dataclasses import replace

import pytest

from lib.ledger import Status, judge
from lib.onebit import judges_quality
from lib.onebit.claims import CLAIMS
from lib.onebit.metrics import CompareAtEqualBits

BY_NUMBER = {claim.id.removeprefix("onebit."): claim for claim in CLAIMS}


def run(teacher="small", seed=0, onebit=15.0, dense=10.0, parameters=100, **changes):
    """A run in which OneBit does all that it claims."""
    good = CompareAtEqualBits(
        model="ladder",
        model_parameters=300,
        teacher=teacher,
        teacher_parameters=parameters,
        seed=seed,
        perplexity={"teacher": dense, "onebit": onebit, "rtn2": 40, "rtn2_fitted": 30, "gptq2": 35, "qat2": 20},
        accuracy={"teacher": 0.4, "onebit": 0.36},
        choice_accuracy={"teacher": 0.7, "onebit": 0.65},
        right_with_teacher={"teacher": 0.7, "onebit": 0.6},
        questions=1024,
        bits={"teacher": 16, "onebit": 1.1},
        bytes={"teacher": 1000, "onebit": 100},
        tokens=1_000_000,
        teacher_tokens=100_000_000,
        dense_bytes={"tiny": 50, "half": 500},
        dense_perplexity={"tiny": 30, "half": 14},
        cpu_seconds={},
    )
    return replace(good, **changes)


def seeds(*perplexities, **changes):
    return [run(seed=seed, onebit=onebit, **changes) for seed, onebit in enumerate(perplexities)]


def changed(of, name, key, value):
    return replace(of, **{name: getattr(of, name) | {key: value}})


def status(number, runs):
    return judge(BY_NUMBER[number], runs).status


LADDER = [
    *seeds(16.0, 16.1, 15.9),
    *seeds(13.0, 13.1, 12.9, teacher="middle", dense=8.0, parameters=200),
    *seeds(9.0, 9.1, 8.9, teacher="large", dense=6.0, parameters=300),
]


@pytest.mark.parametrize("number", ["C7", "C8", "C9", "C10"])
def test_a_ladder_that_does_all_it_should_holds(number):
    assert status(number, LADDER) is Status.HOLDS


@pytest.mark.parametrize("baseline", ["rtn2", "rtn2_fitted", "gptq2", "qat2"])
def test_one_baseline_ahead_of_onebit_fails_c7(baseline):
    runs = [changed(each, "perplexity", baseline, 12.0) for each in seeds(15, 15.1, 14.9)]
    assert status("C7", runs) is Status.FAILS


def test_seeds_on_both_sides_of_a_baseline_leave_c7_open():
    assert status("C7", seeds(15, 25, 18)) is Status.INCONCLUSIVE


def test_a_run_without_the_trained_baseline_is_judged_on_the_others():
    one = run()
    perplexity = {name: value for name, value in one.perplexity.items() if name != "qat2"}
    verdict = judge(BY_NUMBER["C7"], [replace(one, perplexity=perplexity)])
    assert verdict.status is Status.HOLDS
    assert "QAT" not in verdict.reason


@pytest.mark.parametrize("task", ["accuracy", "choice_accuracy"])
def test_accuracy_below_81_percent_on_either_task_fails_c8(task):
    assert status("C8", [changed(each, task, "onebit", 0.2) for each in seeds(15, 15)]) is Status.FAILS


def test_a_ratio_above_1_8_fails_c9_and_names_the_teacher_and_the_budget():
    verdict = judge(BY_NUMBER["C9"], seeds(19, 19.1))
    assert verdict.status is Status.FAILS
    assert verdict.measured == pytest.approx(1.905)
    assert "1 M tokens" in verdict.reason


def test_one_teacher_that_misses_fails_the_claim_for_all():
    assert status("C9", [*LADDER, *seeds(30, 30, teacher="odd", parameters=50)]) is Status.FAILS


def test_of_two_budgets_the_larger_decides():
    assert status("C9", [*seeds(30, 30), *seeds(12, 12, tokens=2_000_000)]) is Status.HOLDS


def test_a_gap_that_grows_fails_c10():
    runs = [*LADDER[:6], *seeds(20, 20.1, 19.9, teacher="large", dense=6.0, parameters=300)]
    assert status("C10", runs) is Status.FAILS


def test_gaps_are_compared_seed_by_seed():
    shifted = [
        *seeds(18.0, 28.0),
        *seeds(13.0, 23.0, teacher="middle", dense=8.0, parameters=200)[::-1],
        *seeds(9.0, 19.0, teacher="large", dense=6.0, parameters=300),
    ]
    assert status("C10", shifted) is Status.HOLDS


def test_two_sizes_are_no_measurement_of_c10_and_are_named():
    verdict = judge(BY_NUMBER["C10"], LADDER[:6])
    assert verdict.status is Status.NOT_MEASURED
    assert "small, middle" in verdict.reason


def test_sizes_of_another_budget_do_not_count_for_c10():
    assert status("C10", [*LADDER[:6], *seeds(9, 9, teacher="large", parameters=300, tokens=5)]) is Status.NOT_MEASURED


def test_the_dense_size_of_equal_quality_lies_between_its_neighbours():
    one = changed(run(onebit=14.0), "bytes", "onebit", 100)
    assert judges_quality.equal_quality_size(one) == pytest.approx(100 / 500)


def test_a_student_at_a_fifth_of_the_size_holds_c18():
    assert status("C18", seeds(14, 14, 14)) is Status.HOLDS


def test_a_student_at_less_than_its_equals_size_holds_c18_in_direction():
    assert status("C18", seeds(20, 20, 20)) is Status.HOLDS_IN_DIRECTION


def test_a_student_worse_than_a_dense_model_of_its_own_bytes_fails_c18():
    verdict = judge(BY_NUMBER["C18"], seeds(99, 99, 99))
    assert verdict.status is Status.FAILS
    assert "3 of 3 worse than the smallest dense model" in verdict.reason


def test_a_lower_bound_under_the_papers_size_leaves_c18_open():
    runs = [changed(each, "bytes", "onebit", 5) for each in seeds(99, 99, 99)]  # a tenth of the smallest's bytes
    verdict = judge(BY_NUMBER["C18"], runs)
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.measured == pytest.approx(0.1)
    assert "only a lower bound" in verdict.reason


def test_a_lower_bound_between_the_papers_size_and_the_dense_models_own_fails_c18():
    runs = [changed(each, "bytes", "onebit", 25) for each in seeds(99, 99, 99)]
    assert status("C18", runs) is Status.FAILS


def test_seeds_that_agree_on_few_questions_leave_c8_open():
    runs = [replace(changed(each, "choice_accuracy", "onebit", 0.6), questions=128) for each in seeds(15, 15, 15)]
    runs = [changed(each, "right_with_teacher", "onebit", 0.5) for each in runs]
    verdict = judge(BY_NUMBER["C8"], runs)
    assert verdict.status is Status.INCONCLUSIVE
    assert "128 questions that all seeds share" in verdict.reason
    assert judge(BY_NUMBER["C8"], [replace(each, questions=12_800) for each in runs]).status is Status.HOLDS


def lose(of, name):
    perplexity = {key: value for key, value in of.perplexity.items() if key != name}
    return replace(of, perplexity=perplexity, diverged={name: 40.0})


@pytest.mark.parametrize("number", ["C7", "C8", "C9", "C10", "C18"])
def test_a_onebit_student_that_diverged_in_one_seed_fails_the_claim(number):
    verdict = judge(BY_NUMBER[number], [*LADDER[:-1], lose(LADDER[-1], "onebit")])
    assert verdict.status is Status.FAILS
    assert "diverged in 1 of 3 runs" in verdict.reason


def test_a_baseline_that_diverged_in_every_seed_is_beaten():
    verdict = judge(BY_NUMBER["C7"], [lose(each, "qat2") for each in seeds(15, 15)])
    assert verdict.status is Status.HOLDS
    assert "the baseline's in 2" in verdict.reason


def test_two_that_diverged_have_no_winner():
    both = [replace(lose(lose(each, "qat2"), "onebit"), diverged={"qat2": 4, "onebit": 4}) for each in seeds(15, 15)]
    runs = [replace(each, perplexity={"teacher": 10.0}) for each in both]
    assert status("C7", runs) is Status.NOT_MEASURED


def test_without_smaller_dense_models_c18_is_not_measured():
    assert status("C18", [replace(run(), dense_bytes={}, dense_perplexity={})]) is Status.NOT_MEASURED


def test_a_tiny_teachers_cost_is_reported_and_not_judged():
    verdict = judge(BY_NUMBER["C19"], [run()])
    assert verdict.status is Status.NOT_MEASURED
    assert "1 % of the tokens" in verdict.reason


@pytest.mark.parametrize(("teacher_tokens", "expected"), [(10**10, Status.HOLDS), (2 * 10**9, Status.FAILS)])
def test_a_real_teachers_cost_is_judged(teacher_tokens, expected):
    assert status("C19", [run(tokens=100_000_000, teacher_tokens=teacher_tokens)]) is expected


@pytest.mark.parametrize("number", ["C7", "C8", "C9", "C10", "C18", "C19"])
def test_runs_without_a_onebit_student_measure_nothing(number):
    one = run()
    without = {
        name: {key: value for key, value in getattr(one, name).items() if key != "onebit"}
        for name in ("perplexity", "accuracy", "choice_accuracy", "bits", "bytes")
    }
    assert status(number, [replace(one, **without)]) is Status.NOT_MEASURED
