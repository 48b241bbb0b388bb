"""The contestants by name: how each is made, and its stored bits a weight.

Untrained ones take a teacher and calibration text and return a model; trained ones say what takes a projection's place
and at which learning rate it is distilled. Every one leaves embedding, norms and output head as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from lib.onebit.approximations import sign_rank_one, sign_scalar, two_bit_fitted
from lib.onebit.baselines import MinMaxForm, SignScalarForm, bits_per_weight, gptq_copy, round_to_nearest, rounded_copy
from lib.onebit.training import (
    OFFICIAL,
    SVID_KEEPING_WEIGHTS,
    ExpertsForm,
    OneBitForm,
    RankKForm,
)
from lib.onebit.training.conversion import MakeLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Bits = Callable[[int, int], float]
_CALIBRATION = 128  # sequences that GPTQ sees, as in the paper (App. A.2)


@dataclass(frozen=True)
class Method:
    """A contestant; exactly one of `quantise` and `make_layer` is given.

    Attributes:
        name: Short name, used in records.
        label: What it is, for tables and figures.
        bits: (m, n) -> stored bits of an m x n matrix, divided by m n.
        quantise: Untrained: from a teacher and calibration token ids [blocks, T] to the quantised model.
        make_layer: Trained: what takes a dense layer's place in the student.
        learning_rate: Trained: the peak rate that `sweep` chose on the validation text.
    """

    name: str
    label: str
    bits: Bits
    quantise: "Callable[[PreTrainedModel, torch.Tensor], PreTrainedModel] | None" = None
    make_layer: MakeLayer | None = None
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        if (self.quantise is None) == (self.make_layer is None):
            raise ValueError(f"the method {self.name!r} is either quantised or trained: give it one of the two")
        if (self.make_layer is None) != (self.learning_rate is None):
            raise ValueError(f"the method {self.name!r}: a trained method has a learning rate, another has none")

    @property
    def trained(self) -> bool:
        """Whether it is distilled."""
        return self.make_layer is not None


def method_named(name: str) -> Method:
    """Return a contestant.

    Raises:
        ValueError: There is none of that name; the message lists those that there are.
    """
    if name not in METHODS:
        raise ValueError(f"there is no method {name!r}; choose from {', '.join(METHODS)}")
    return METHODS[name]


def _rounded(name: str, label: str, bits: Bits, approximate: Callable[[torch.Tensor], torch.Tensor]) -> Method:
    return Method(name, label, bits, quantise=lambda teacher, _calibration: rounded_copy(teacher, approximate))


def _to_nearest(bits: int) -> Method:
    return _rounded(
        f"rtn{bits}",
        f"RTN, {bits} bit",
        lambda _m, n: bits_per_weight(bits, n),
        lambda weight: round_to_nearest(weight, bits),
    )


def _gptq(teacher: "PreTrainedModel", calibration: torch.Tensor) -> "PreTrainedModel":
    return gptq_copy(teacher, calibration[:_CALIBRATION], bits=2, act_order=True)


def _vectors(m: int, n: int) -> float:
    return OneBitForm().bits_per_weight(m, n)


def _one_bit(name: str, label: str, form: OneBitForm, learning_rate: float) -> Method:
    return Method(name, label, form.bits_per_weight, make_layer=form.make_layer, learning_rate=learning_rate)


# From many bits to few. "rtn2_fitted" clips outliers, which OmniQuant learns to do; OmniQuant itself is not run here.
_UNTRAINED = (
    *(_to_nearest(bits) for bits in (4, 3, 2)),
    _rounded("rtn2_fitted", "RTN, 2 bit, clipped", lambda _m, n: 2 + 16 / n, two_bit_fitted),
    Method("gptq2", "GPTQ, 2 bit", lambda _m, n: bits_per_weight(2, n), quantise=_gptq),
    _to_nearest(1),
    _rounded("sign_scalar", "sign × scalar", SignScalarForm().bits_per_weight, sign_scalar),
    _rounded("svid", "SVID", _vectors, sign_rank_one),
)

_QAT, _SCALAR, _RANK, _EXPERTS = MinMaxForm(2), SignScalarForm(), RankKForm(2), ExpertsForm(4)

# Learning rates: `sweep`, seed 100, on the validation text of "narrow"; the notebook shows the whole sweep.
_TRAINED = (
    _one_bit("onebit", "OneBit, as the paper", OneBitForm(OFFICIAL), 4e-3),
    Method(
        "qat2",
        "QAT, 2 bit min-max",
        lambda _m, n: bits_per_weight(2, n, symmetric=True),
        make_layer=_QAT.make_layer,
        learning_rate=1e-3,
    ),
    Method(
        "qat2_asymmetric",
        "QAT, 2 bit, four levels",
        lambda _m, n: bits_per_weight(2, n),
        make_layer=MinMaxForm(2, symmetric=False).make_layer,
        learning_rate=1e-3,
    ),
    Method(
        "sign_scalar_trained",
        "sign × scalar, trained",
        _SCALAR.bits_per_weight,
        make_layer=_SCALAR.make_layer,
        learning_rate=2e-3,
    ),
    _one_bit("no_norm", "no LayerNorm", OneBitForm(OFFICIAL, post_norm=False), 4e-3),
    _one_bit("kept_latents", "latents = weights", OneBitForm(SVID_KEEPING_WEIGHTS), 4e-3),
    _one_bit("no_norm_kept_latents", "both", OneBitForm(SVID_KEEPING_WEIGHTS, post_norm=False), 4e-3),
    Method("rank2", "both, values of rank 2", _RANK.bits_per_weight, make_layer=_RANK.make_layer, learning_rate=4e-3),
    Method(
        "experts4",
        "both, 4 scaling experts",
        _EXPERTS.bits_per_weight,
        make_layer=_EXPERTS.make_layer,
        learning_rate=4e-3,
    ),
)

METHODS: dict[str, Method] = {method.name: method for method in (*_UNTRAINED, *_TRAINED)}
UNTRAINED: tuple[str, ...] = tuple(method.name for method in _UNTRAINED)
TRAINED: tuple[str, ...] = tuple(method.name for method in _TRAINED)
