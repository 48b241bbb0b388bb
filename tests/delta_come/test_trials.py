"""Plans at equal true bytes on a pair that is trained in a second."""

from types import SimpleNamespace

import pytest
import torch

from lib.delta_come.allocation import MarginalGain
from lib.delta_come.choices import by_rule, by_search, named_plan, searched
from lib.delta_come.errors import DeltaError
from lib.delta_come.search import greedy_search
from lib.delta_come.trials import SCALES, Trials, halves
from lib.models.answer_divergence import Divergence

RATIO = 1 / 4


@pytest.fixture(scope="module")
def trials(subject):
    calibration, held_out = subject.blocks("task", 16, 8), subject.blocks("task, held out", 16, 8)
    return Trials(subject, calibration, held_out, subject.blocks("plain, held out", 16, 8), RATIO, SCALES["rank"])


def test_every_plan_stays_within_the_same_bytes(trials):
    for text in ("3:rest", "8:1,2:rest", "8:10%,3:20%,2:rest"):
        score = trials.measure(trials.rule(text))
        assert 0.7 * RATIO < score.ratio <= RATIO


def test_shares_that_leave_no_room_for_scales_are_brought_down(trials):
    assert trials.measure(trials.rule("8:100%,2:rest")).ratio <= RATIO


def test_ranks_that_do_not_fit_are_refused(trials):
    with pytest.raises(DeltaError, match="does not fit"):
        trials.rule("8:50,2:rest")


def test_plans_that_do_not_fit_are_left_out(trials):
    assert list(trials.fitting({"few": "3:rest", "too many": "8:50,2:rest"})) == ["few"]


def test_nothing_is_compressed_twice(trials, monkeypatch):
    score = trials.measure(trials.rule("4:rest"))
    monkeypatch.setattr(trials, "matrices", None)
    assert trials.measure(trials.rule("4:rest")) is score


def test_another_way_to_compress_is_another_trial(trials):
    rounded = trials.measure(trials.rule("4:rest"), SCALES["row"])
    assert rounded is not trials.measure(trials.rule("4:rest"))


def test_without_a_delta_the_model_has_the_bases_projections(trials, subject):
    model = trials.model(None)
    name = subject.pair.projections[0]
    assert torch.equal(model.get_parameter(name), subject.base.model.get_parameter(name))
    assert torch.equal(model.model.norm.weight, subject.finetuned.model.model.norm.weight)


def test_no_delta_is_further_from_the_fine_tune_than_most_of_it(trials):
    generous = trials.measure(trials.rule("8:rest"))
    assert generous.chosen_by < trials.divergence(trials.model(None))[0]


def test_a_search_scores_plans_that_were_made_to_fit(trials):
    found = greedy_search(searched(trials, lambda score: -score.chosen_by), [8, 3], "1", "1")
    assert found.best.score == -trials.measure(trials.rule(found.best.plan)).chosen_by
    assert {trial.stage for trial in found.trials} >= {"single"}


def test_accuracy_is_that_of_the_second_half(trials, subject, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "lib.delta_come.trials.score_answers",
        lambda _model, _tokenizer, task, items: asked.append((task, items)) or SimpleNamespace(accuracy=0.5),
    )
    assert trials.accuracy(subject.finetuned.model) == 0.5
    assert asked == [("chains", subject.items[6:])]


def test_both_halves_of_the_plain_text_are_read(trials, subject):
    one, other = trials.perplexity(subject.base.model)
    assert 1 < one != other > 1


def test_a_search_ends_at_its_best_plan(trials):
    found = greedy_search(searched(trials, lambda score: -score.chosen_by), [8, 3], "1", "1")
    choice = by_search(trials, "greedy", found)
    assert choice.score.chosen_by == -found.best.score
    assert choice.compressions == sum(trial.score is not None for trial in found.trials)


def test_an_allocation_takes_one_compression_of_the_same_bytes(trials):
    choice = by_rule(trials, "marginal gain", MarginalGain())
    assert choice.compressions == 1
    assert 0.8 * RATIO < choice.score.ratio <= RATIO


def test_halves_weigh_items_by_their_tokens():
    assert halves(Divergence((1.0, 2.0, 3.0, 6.0), (1, 3, 2, 1))) == pytest.approx(((1 + 6) / 4, (6 + 6) / 3))


@pytest.mark.parametrize(
    ("name", "plan"),
    [("3", "3:rest"), ("8+3", "8:2,3:rest"), ("8+3+2", "8:2,3:32,2:rest")],
)
def test_plans_are_named_by_their_widths(name, plan):
    assert named_plan(name, "2", "32") == plan


def test_four_widths_have_no_such_name():
    with pytest.raises(DeltaError, match="one to three widths"):
        named_plan("16+8+3+2", "2", "32")
