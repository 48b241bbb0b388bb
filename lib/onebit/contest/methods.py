"""The contestants by name: how each is made, and its stored bits a weight.

`make` takes a teacher and calibration text and returns a model. Where there is a learning rate, that model is a student
which is then distilled; else it is the result. Embedding, norms and output head stay as they are in all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lib.onebit.approximations import sign_rank_one, sign_scalar, two_bit_fitted
from lib.onebit.baselines import MinMaxForm, SignScalarForm, bits_per_weight, gptq_copy, round_to_nearest, rounded_copy
from lib.onebit.contest.compensated import compensated_student
from lib.onebit.contest.rates import best_rate
from lib.onebit.training import OFFICIAL, SVID_KEEPING_WEIGHTS, ExpertsForm, OneBitForm, RankKForm, student_of
from lib.onebit.training.conversion import MakeLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Bits = Callable[[int, int], float]
Make = Callable[["PreTrainedModel", torch.Tensor], "PreTrainedModel"]
_CALIBRATION = 128  # sequences that GPTQ sees, as in the paper (App. A.2)


@dataclass(frozen=True)
class Method:
    """A contestant.

    Attributes:
        name: Short name, used in records.
        label: What it is, for tables and figures.
        bits: (m, n) -> stored bits of an m x n matrix, divided by m n.
        make: From a teacher and calibration token ids [blocks, T] to the quantised model, or to the student.
        learning_rate: Peak rate of the student's distillation, which `sweep` chose; None: nothing is trained.
    """

    name: str
    label: str
    bits: Bits
    make: Make
    learning_rate: float | None = None

    def __repr__(self) -> str:
        how = "not trained" if self.learning_rate is None else f"learning rate {self.learning_rate:g}"
        return f"Method({self.name}: {self.label}, {how})"


def method_named(name: str) -> Method:
    """Return a contestant.

    Raises:
        ValueError: There is none of that name; the message lists those that there are.
    """
    if name not in METHODS:
        raise ValueError(f"there is no method {name!r}; choose from {', '.join(METHODS)}")
    return METHODS[name]


def _by_matrix(approximate: Callable[[torch.Tensor], torch.Tensor]) -> Make:
    return lambda teacher, _calibration: rounded_copy(teacher, approximate)


def _student(make_layer: MakeLayer) -> Make:
    return lambda teacher, _calibration: student_of(teacher, make_layer)


def _to_nearest(bits: int) -> Method:
    make = _by_matrix(lambda weight: round_to_nearest(weight, bits))
    return Method(f"rtn{bits}", f"RTN, {bits} bit", lambda _m, n: bits_per_weight(bits, n), make)


def _gptq(teacher: "PreTrainedModel", calibration: torch.Tensor) -> "PreTrainedModel":
    return gptq_copy(teacher, calibration[:_CALIBRATION], bits=2, act_order=True)


def _compensated(teacher: "PreTrainedModel", calibration: torch.Tensor) -> "PreTrainedModel":
    return compensated_student(teacher, calibration[:_CALIBRATION])


def _two_vectors(m: int, n: int) -> float:
    return OneBitForm().bits_per_weight(m, n)


def _symmetric(_m: int, n: int) -> float:
    return bits_per_weight(2, n, symmetric=True)


def _four_levels(_m: int, n: int) -> float:
    return bits_per_weight(2, n)


_SCALAR, _RANK, _EXPERTS = SignScalarForm(), RankKForm(2), ExpertsForm(4)

# From many bits to few. "rtn2_fitted" clips outliers, which OmniQuant learns to do; OmniQuant itself is not run here.
_UNTRAINED = (
    *(_to_nearest(bits) for bits in (4, 3, 2)),
    Method("rtn2_fitted", "RTN, 2 bit, clipped", lambda _m, n: 2 + 16 / n, _by_matrix(two_bit_fitted)),
    Method("gptq2", "GPTQ, 2 bit", _four_levels, _gptq),
    _to_nearest(1),
    Method("sign_scalar", "sign × scalar", _SCALAR.bits_per_weight, _by_matrix(sign_scalar)),
    Method("svid", "SVID", _two_vectors, _by_matrix(sign_rank_one)),
    Method("compensated", "compensated signs", _two_vectors, _compensated),
)

_NO_NORM = OneBitForm(OFFICIAL, post_norm=False)
_KEPT = OneBitForm(SVID_KEEPING_WEIGHTS)
_BOTH = OneBitForm(SVID_KEEPING_WEIGHTS, post_norm=False)


def _trained(name: str, label: str, bits: Bits, make: Make) -> Method:
    return Method(name, label, bits, make, best_rate(name))


_TRAINED = (
    _trained("onebit", "OneBit, as the paper", _two_vectors, _student(OneBitForm().make_layer)),
    _trained("qat2", "QAT, 2 bit min-max", _symmetric, _student(MinMaxForm(2).make_layer)),
    _trained(
        "qat2_four_levels", "QAT, 2 bit, four levels", _four_levels, _student(MinMaxForm(2, symmetric=False).make_layer)
    ),
    _trained("sign_scalar_trained", "sign × scalar, trained", _SCALAR.bits_per_weight, _student(_SCALAR.make_layer)),
    _trained("no_norm", "no LayerNorm", _two_vectors, _student(_NO_NORM.make_layer)),
    _trained("kept_latents", "latents = weights", _two_vectors, _student(_KEPT.make_layer)),
    _trained("both", "no LayerNorm, latents = weights", _two_vectors, _student(_BOTH.make_layer)),
    _trained("both_compensated", "both, compensated signs", _two_vectors, _compensated),
    _trained("both_rank2", "both, values of rank 2", _RANK.bits_per_weight, _student(_RANK.make_layer)),
    _trained("both_experts4", "both, 4 experts", _EXPERTS.bits_per_weight, _student(_EXPERTS.make_layer)),
)

METHODS: dict[str, Method] = {method.name: method for method in (*_UNTRAINED, *_TRAINED)}
UNTRAINED: tuple[str, ...] = tuple(method.name for method in _UNTRAINED)
TRAINED: tuple[str, ...] = tuple(method.name for method in _TRAINED)
