"""Bits by trial: the paper's greedy search over plans, and its appendix' genetic search over counts.

Both judge a plan by a score that the caller measures on a compressed model: task accuracy in section 5.1, minus the
perplexity on plain text in appendix B. Every plan is measured once.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lib.delta_come.errors import DeltaError
from lib.delta_come.options import SHARES
from lib.delta_come.plan import Plan, PlanRule
from lib.progress import progress

Score = Callable[[PlanRule], float]

_WIDTHS = (16, 8, 4, 3, 2)
_FINEST = 0.1  # percent: what two shares have to differ by to be two plans
_MUTATED = 0.4  # of the shares of a child


@dataclass(frozen=True)
class Trial:
    """One plan that was measured.

    Attributes:
        plan: As text.
        score: Higher is better; None where the plan does not fit the budget.
        stage: "single", "double" or "triple"; of a genetic search "generation 0", ...
    """

    plan: str
    score: float | None
    stage: str

    def __repr__(self) -> str:
        return f"Trial({self.plan}, {'does not fit' if self.score is None else f'{self.score:.6g}'}, {self.stage})"


@dataclass(frozen=True)
class Search:
    """What a search tried.

    Attributes:
        trials: In the order measured.
    """

    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """The trial of the highest score, the first of equals."""
        return max(self._fitting(), key=lambda trial: trial.score)

    def best_of(self, stage: str) -> Trial | None:
        """Return the best trial of a stage, None where none fitted."""
        return max((trial for trial in self._fitting() if trial.stage == stage), key=lambda t: t.score, default=None)

    def _fitting(self) -> list[Trial]:
        fitting = [trial for trial in self.trials if trial.score is not None]
        if not fitting:
            raise DeltaError("no plan of the search fits the budget; take a larger ratio")
        return fitting

    def __repr__(self) -> str:
        return f"Search(best {self.best.plan} of {len(self.trials)} plans)"


def greedy_search(score: Score, widths: Sequence[int] = _WIDTHS, first: str = "2", second: str = "32") -> Search:
    """Return the paper's search: the best single width, then a wider one before it, then a narrower one after it.

    Args:
        score: Measures a plan; higher is better. A plan that does not fit (DeltaError) counts as tried.
        widths: Bits to choose from.
        first: Ranks, or share of the budget such as "0.8%", of the widest group.
        second: Ranks, or share, of the middle group.
    """
    trials: list[Trial] = []

    def best_of(stage: str, bits: Sequence[int], text: str) -> int | None:
        plans = {each: text.format(each) for each in bits}
        tried = {each: _measure(score, plan, stage) for each, plan in plans.items()}
        trials.extend(tried.values())
        return max(
            (each for each in tried if tried[each].score is not None), key=lambda b: tried[b].score, default=None
        )

    single = best_of("single", widths, "{}:rest")
    if single is None:
        return Search(tuple(trials))
    wider = best_of("double", [bits for bits in widths if bits > single], f"{{}}:{first},{single}:rest")
    if wider is not None:
        narrower = [bits for bits in widths if bits < single]
        best_of("triple", narrower, f"{wider}:{first},{single}:{second},{{}}:rest")
    return Search(tuple(trials))


def genetic_search(
    score: Score,
    widths: Sequence[int] = _WIDTHS,
    population: int = 12,
    generations: int = 6,
    seed: int = 0,
) -> Search:
    """Return a genetic search over the shares of the budget of every width but the last, which takes the rest.

    Shares instead of counts make one plan for matrices of all shapes, and every plan fills the budget, so that none is
    against its constraint. A generation keeps the better half and adds children of two of them: each share from one
    parent, some of them changed by a factor, set to nothing, or started.

    Args:
        score: Measures a plan; higher is better.
        widths: Bits, decreasing.
        population: Plans a generation.
        generations: How many.
        seed: Of all choices.
    """
    chance, trials = random.Random(seed), {}
    individuals = _first(widths, population, chance)
    for generation in progress(range(generations), "genetic search"):
        for shares in individuals:
            plan = _text(widths, shares)
            if plan not in trials:
                trials[plan] = _measure(score, plan, f"generation {generation}")
        ranked = sorted(individuals, key=lambda shares: _rank(trials[_text(widths, shares)]))
        parents = ranked[: max(2, population // 2)]
        children = [_child(*chance.sample(parents, 2), chance) for _ in range(population - len(parents))]
        individuals = parents + children
    return Search(tuple(trials.values()))


def _measure(score: Score, plan: str, stage: str) -> Trial:
    try:
        return Trial(plan, score(Plan.parse(plan)), stage)
    except DeltaError:
        return Trial(plan, None, stage)


def _rank(trial: Trial) -> float:
    return float("inf") if trial.score is None else -trial.score


def _first(widths: Sequence[int], population: int, chance: random.Random) -> list[tuple[float, ...]]:
    """The paper's shares, every width alone, and random ones."""
    named = {part.bits: 100 * part.share for part in Plan.parse(SHARES).parts if part.share}
    known = [tuple(round(named.get(bits, 0.0), 1) for bits in widths[:-1])]
    known += [tuple(100.0 * (bits == alone) for bits in widths[:-1]) for alone in widths]
    while len(known) < population:
        known.append(_allowed([chance.choice([0.0, chance.uniform(0, 60)]) for _ in widths[:-1]]))
    return known[:population]


def _child(one: tuple[float, ...], other: tuple[float, ...], chance: random.Random) -> tuple[float, ...]:
    shares = [chance.choice(pair) for pair in zip(one, other, strict=True)]
    for place, share in enumerate(shares):
        if chance.random() < _MUTATED:
            changed = share * chance.uniform(0.4, 2.0) if share else chance.uniform(0, 20)
            shares[place] = chance.choice([0.0, changed, changed, changed])
    return _allowed(shares)


def _allowed(shares: Sequence[float]) -> tuple[float, ...]:
    """Bring shares down to a sum of at most 100 %, in steps of a tenth."""
    total = max(100.0, sum(shares))
    steps = [int(100 * share / total / _FINEST + 1e-9) for share in shares]
    return tuple(round(step * _FINEST, 1) for step in steps)


def _text(widths: Sequence[int], shares: Sequence[float]) -> str:
    """Return shares as a plan; where they leave nothing to the last width, the last that has a share takes the rest.

    Shares are of codes. Were all of them written out, scales would have to be paid for by cutting them down, and what
    the cut leaves over would go to a width that the plan is not meant to have: no width could ever stand alone.
    """
    parts = [(bits, share) for bits, share in zip(widths[:-1], shares, strict=True) if share]
    rest = widths[-1]
    if sum(shares) > 100 - _FINEST * len(widths):
        *parts, (rest, _) = parts
    return ",".join([*(f"{bits}:{share:g}%" for bits, share in parts), f"{rest}:rest"])
