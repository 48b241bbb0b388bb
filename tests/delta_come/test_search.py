import pytest

from lib.delta_come import DeltaError, search
from lib.delta_come.search import genetic_search, greedy_search

# As the paper found it on GSM8K: 3 bits alone, then 8 before it, then 2 after it.
ORDER = ["16:rest", "2:rest", "8:rest", "4:rest", "3:rest", "16:2,3:rest", "4:2,3:rest", "8:2,3:rest"]


def paper_score(rule):
    text = str(rule)
    return 100.0 if text == "8:2,3:32,2:rest" else float(ORDER.index(text))


def test_the_greedy_search_goes_the_papers_way():
    found = greedy_search(paper_score)
    assert found.best.plan == "8:2,3:32,2:rest"
    assert [found.best_of(stage).plan for stage in ("single", "double")] == ["3:rest", "8:2,3:rest"]
    assert [trial.stage for trial in found.trials] == ["single"] * 5 + ["double"] * 3 + ["triple"]


def test_shares_can_take_the_place_of_ranks():
    scores = {"3:rest": 1.0, "8:0.8%,3:rest": 2.0, "8:0.8%,3:4.7%,2:rest": 3.0}
    found = greedy_search(lambda rule: scores.get(str(rule), 0.0), (8, 3, 2), "0.8%", "4.7%")
    assert found.best.plan == "8:0.8%,3:4.7%,2:rest"


def test_a_plan_that_does_not_fit_is_tried_and_passed_over():
    def score(rule):
        if "16" in str(rule):
            raise DeltaError("too large")
        return 1.0

    found = greedy_search(score)
    assert found.trials[0].score is None
    assert "does not fit" in repr(found.trials[0])
    assert found.best.score == 1.0


def test_a_search_in_which_nothing_fits_says_so():
    def refuse(_rule):
        raise DeltaError("too large")

    with pytest.raises(DeltaError, match="no plan of the search fits"):
        _ = greedy_search(refuse).best


def towards(target):
    """Minus the distance of a rule's shares from a target."""

    def score(rule):
        shares = {part.bits: 100 * (part.share or 0) for part in rule.parts}
        return -sum(abs(shares.get(bits, 0) - share) for bits, share in target.items())

    return score


def test_the_genetic_search_comes_nearer_with_every_generation():
    score = towards({8: 10, 4: 20, 3: 30})
    short, long = (genetic_search(score, generations=generations) for generations in (1, 12))
    assert long.best.score > short.best.score + 10


def test_the_genetic_search_measures_every_plan_once_and_repeats_itself():
    measured = []

    def score(rule):
        measured.append(str(rule))
        return towards({8: 10})(rule)

    first = genetic_search(score, population=8, generations=4)
    assert len(measured) == len(set(measured)) == len(first.trials)
    assert genetic_search(towards({8: 10}), population=8, generations=4) == first


def test_the_genetic_search_starts_from_every_width_alone_and_the_papers_shares():
    found = genetic_search(towards({}), population=6, generations=1)
    alone = {"16:rest", "8:rest", "4:rest", "3:rest", "2:rest"}
    assert {trial.plan for trial in found.trials} == {"8:0.8%,3:4.7%,2:rest"} | alone


def test_shares_that_leave_nothing_give_the_rest_to_the_last_of_them():
    assert search._text((8, 4, 3, 2), (60.0, 39.9, 0.0)) == "8:60%,4:rest"
    assert search._text((8, 4, 3, 2), (60.0, 20.0, 0.0)) == "8:60%,4:20%,2:rest"


def test_every_plan_of_the_genetic_search_fits_the_budget():
    for trial in genetic_search(towards({16: 50, 8: 50, 4: 50}), generations=8).trials:
        shares = [float(part.split(":")[1][:-1]) for part in trial.plan.split(",")[:-1]]
        assert sum(shares) <= 100 + 1e-9
