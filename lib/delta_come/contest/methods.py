"""The contestants by name: how each spends a budget of true bytes.

`make` takes a setting and a budget and returns a StoredDelta. Ranks, densities and passes are the most that fit, matrix
by matrix; a method of which not even the least fits raises a DeltaError that says what it needs. LoRA is not among
them: it needs the training items and a learning rate (`lib.delta_come.contest.lora`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lib.delta_come.allocation import CLIPPED, MarginalGain
from lib.delta_come.baselines import (
    ScaleRecipe,
    StoredDelta,
    affordable_passes,
    affordable_ranks,
    distil_scales,
    drop_and_quantise,
    low_rank,
    on_calibration,
    sign_and_low_rank,
    sign_passes,
    sign_vectors,
    without_data,
)
from lib.delta_come.contest.budget import Budget, projection_shapes
from lib.delta_come.contest.setting import Setting
from lib.delta_come.equal_bytes import EqualBytes
from lib.delta_come.errors import DeltaError
from lib.delta_come.matrices import Rule
from lib.delta_come.options import IMPROVED, PAPER, SHARES, CompressOptions
from lib.delta_come.sequential import compress_blocks

Make = Callable[[Setting, Budget], StoredDelta]


@dataclass(frozen=True)
class Method:
    """A contestant.

    Attributes:
        name: Short name, used in records.
        label: What it is, for tables and figures.
        make: From a setting and a budget to what is stored.
        over_budget: Its least size may be a little above the budget: one bit a weight and a scale a row.
    """

    name: str
    label: str
    make: Make
    over_budget: bool = False

    def __repr__(self) -> str:
        return f"Method({self.name}: {self.label})"


def method_named(name: str) -> Method:
    """Return a contestant.

    Raises:
        DeltaError: There is none of that name; the message lists those that there are.
    """
    if name not in METHODS:
        raise DeltaError(f"there is no method {name!r}; choose from {', '.join(METHODS)}")
    return METHODS[name]


def _planned(name: str, rule: Callable[[Budget], Rule], options: CompressOptions) -> Make:
    """Make a plan of the method itself: SVD, groups of widths, V then U."""

    def make(setting: Setting, budget: Budget) -> StoredDelta:
        matrices = {}
        blocks = compress_blocks(
            setting.pair, setting.finetuned, rule(budget), budget.ratio, setting.calibration, options
        )
        for found in blocks:
            matrices |= found
        return StoredDelta(name, matrices)

    return make


def _plan(name: str, label: str, plan: str, options: CompressOptions = CompressOptions()) -> Method:
    return Method(name, label, _planned(name, lambda budget: EqualBytes(plan, budget.like), options))


def _signs(name: str, rows: bool) -> Make:
    def make(setting: Setting, budget: Budget) -> StoredDelta:
        def passes(weight: str, m: int, n: int) -> int:
            if rows:  # its least size is what it is
                return max(1, budget.bits(m, n, weight) // (m * n + 16 * m))
            return affordable_passes(m, n, budget.bits(m, n, weight), name=weight)

        return without_data(
            name, setting.pair, lambda own, delta: sign_passes(own, delta, passes(own, *delta.shape), rows)
        )

    return make


def _trained_signs(name: str, rows: bool) -> Make:
    def make(setting: Setting, budget: Budget) -> StoredDelta:
        stored = _signs(name, rows)(setting, budget)
        return distil_scales(
            stored, setting.base.model, setting.finetuned.model, setting.calibration, ScaleRecipe(), name
        )

    return make


def _low_rank(setting: Setting, budget: Budget) -> StoredDelta:
    ranks = affordable_ranks(projection_shapes(setting.pair), budget.bits)
    return without_data("low_rank", setting.pair, lambda own, delta: low_rank(own, delta, ranks[own]))


def _sign_low_rank(setting: Setting, budget: Budget) -> StoredDelta:
    def left(m: int, n: int) -> int:
        return budget.bits(m, n) - m * n - 16

    ranks = affordable_ranks(projection_shapes(setting.pair), left, "the residual of signs")
    return without_data("sign_low_rank", setting.pair, lambda own, delta: sign_and_low_rank(own, delta, ranks[own]))


def _by_matrix(name: str, make_matrix: Callable) -> Make:
    def make(setting: Setting, budget: Budget) -> StoredDelta:
        return without_data(
            name, setting.pair, lambda own, delta: make_matrix(own, delta, budget.bits(*delta.shape, own))
        )

    return make


def _dropping(name: str, bits: int) -> Make:
    def make(setting: Setting, budget: Budget) -> StoredDelta:
        return on_calibration(
            name,
            setting.pair,
            setting.finetuned,
            setting.calibration,
            lambda own, delta, hessian: drop_and_quantise(own, delta, hessian, bits, budget.bits(*delta.shape, own)),
        )

    return make


_RTN = CompressOptions(quantiser="rtn")
# The paper stores a scale for every row of U and group of ranks, which a small matrix cannot pay at 1/16. One a rank,
# to be folded into the singular values, and no permutation: the same codes' worth of plan in fewer bytes.
FOLDED = CompressOptions(static_groups=True, rank_scales=True)
_FOLDED_RTN = CompressOptions(quantiser="rtn", rank_scales=True)

_OURS = (
    _plan("delta_come", "8+3+2, shares of the budget", SHARES),
    _plan("delta_come_fixed", "8+3+2, 2 and 32 ranks", PAPER),
    _plan("delta_come_folded", "8+3+2, a scale a rank", SHARES, FOLDED),
    Method(
        "improved",
        "allocated bits, all improvements",
        _planned("improved", lambda budget: MarginalGain(like=budget.like, loss=CLIPPED), IMPROVED),
    ),
)
_SINGLE = (
    Method("low_rank", "low rank, fp16", _low_rank),
    *(_plan(f"gptq{bits}", f"{bits} bit, GPTQ", f"{bits}:rest") for bits in (8, 4, 3, 2)),
    *(_plan(f"rtn{bits}", f"{bits} bit, RTN", f"{bits}:rest", _RTN) for bits in (8, 4, 3, 2)),
    *(
        _plan(f"gptq{bits}_folded", f"{bits} bit, GPTQ, a scale a rank", f"{bits}:rest", FOLDED)
        for bits in (8, 4, 3, 2)
    ),
    *(_plan(f"rtn{bits}_folded", f"{bits} bit, RTN, a scale a rank", f"{bits}:rest", _FOLDED_RTN) for bits in (3, 2)),
    Method("sign_vectors", "1 bit, signs of vectors", _by_matrix("sign_vectors", sign_vectors)),
)
_OTHERS = (
    Method("bitdelta", "BitDelta", _signs("bitdelta", rows=False)),
    Method("bitdelta_trained", "BitDelta, trained scales", _trained_signs("bitdelta_trained", rows=False)),
    Method("bitdelta_rows", "BitDelta, a scale a row", _signs("bitdelta_rows", rows=True), over_budget=True),
    Method(
        "bitdelta_rows_trained",
        "BitDelta, a trained scale a row",
        _trained_signs("bitdelta_rows_trained", rows=True),
        over_budget=True,
    ),
    *(Method(f"dare{bits}", f"DARE, {bits} bit GPTQ", _dropping(f"dare{bits}", bits)) for bits in (4, 2)),
    Method("sign_low_rank", "signs and low rank", _sign_low_rank),
)

METHODS: dict[str, Method] = {method.name: method for method in (*_OURS, *_SINGLE, *_OTHERS)}


def fitting(names: Sequence[str], setting: Setting, budget: Budget) -> tuple[dict[str, StoredDelta], dict[str, str]]:
    """Return what methods make of a setting, and for those that do not fit into the budget, why.

    Args:
        names: Of METHODS.
        setting: Pair and calibration text.
        budget: True bytes.
    """
    made, refused = {}, {}
    for method in map(method_named, names):
        try:
            made[method.name] = method.make(setting, budget)
        except DeltaError as error:
            refused[method.name] = str(error)
    return made, refused
