"""What a way to choose the bits ended at, and what it took to get there.

found = greedy_search(searched(trials, lambda score: -score.chosen_by))
by_search(trials, "greedy", found).score.divergence
by_rule(trials, "marginal gain", MarginalGain()).score.divergence
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from lib.delta_come.errors import DeltaError
from lib.delta_come.matrices import Rule
from lib.delta_come.options import CompressOptions
from lib.delta_come.plan import PlanRule
from lib.delta_come.search import Search
from lib.delta_come.trials import PlanScore, Trials


@dataclass(frozen=True)
class Choice:
    """A plan with its score.

    Attributes:
        name: Of the way.
        plan: As text.
        score: What was measured.
        accuracy: Share of the second half of the items answered rightly; None without a task.
        compressions: How many it took to choose; a plan that did not fit took none.
        seconds: Processor time of those.
    """

    name: str
    plan: str
    score: PlanScore
    accuracy: float | None
    compressions: int
    seconds: float = field(repr=False)


def by_search(trials: Trials, name: str, search: Search) -> Choice:
    """Return where a search ended; its plans were measured in `trials`.

    Args:
        trials: Where they were.
        name: Of the search.
        search: From `greedy_search` or `genetic_search`, on the score that `trials.searched` makes.
    """
    scores = [trials.measure(trials.rule(trial.plan)) for trial in search.trials if trial.score is not None]
    rule = trials.rule(search.best.plan)
    accuracy = trials.accuracy(trials.model(trials.matrices(rule)))
    return Choice(name, rule.rule, trials.measure(rule), accuracy, len(scores), sum(each.seconds for each in scores))


def by_rule(trials: Trials, name: str, rule: Rule, options: CompressOptions | None = None) -> Choice:
    """Return what a rule comes to that needs no trial: one compression, which is the result."""
    score = trials.measure(rule, options)
    accuracy = trials.accuracy(trials.model(trials.matrices(rule, options)))
    return Choice(name, str(rule), score, accuracy, 1, score.seconds)


def named_plan(name: str, first: str, second: str) -> str:
    """Return the plan that a name such as "8+3+2" stands for: "8:2,3:32,2:rest" with `first` 2 and `second` 32.

    Args:
        name: Widths, joined by plus signs; one to three.
        first: Ranks, or share of the budget such as "0.8%", of the first of several widths.
        second: The same of the second of three.
    """
    *kept, last = name.split("+")
    if len(kept) > 2:
        raise DeltaError(f"a plan is named by one to three widths such as 8+3+2, got {name!r}")
    groups = [f"{bits}:{ranks}" for bits, ranks in zip(kept, (first, second), strict=False)]
    return ",".join([*groups, f"{last}:rest"])


def searched(trials: Trials, judge: Callable[[PlanScore], float]) -> Callable[[PlanRule], float]:
    """Return the score that the searches of `search` ask for: a plan made to fit, measured, and judged.

    Args:
        trials: Where it is measured.
        judge: From what was measured to a number of which higher is better.
    """
    return lambda rule: judge(trials.measure(trials.rule(str(rule))))
