"""The students that notebook 04 compares, by name: starts, losses, and learning rates."""

from collections.abc import Sequence
from dataclasses import replace

from lib.onebit.baselines.bitnet import BitNetForm
from lib.onebit.training.comparison import Form, Variant
from lib.onebit.training.conversion import OneBitForm
from lib.onebit.training.losses import LossWeights, released_weights
from lib.onebit.training.starts import COPY, COPY_SCALED, RANDOM_SIGNS, Start

RELEASED_RATE = 4e-4  # Table 1, LLaMA-7B and OPT-1.3B

_KEEPING = Start(latent="weight")  # the release's values, the teacher's own weights as latents

# "copy" is Fig. 5's: nothing is decomposed. Without a LayerNorm to hide the missing scale it needs one scalar.
START_FORMS: dict[str, OneBitForm] = {
    "SVID by NMF": OneBitForm(),
    "SVID by SVD, NMF's split": OneBitForm(Start(values="svd", split="nmf")),
    "SVID by SVD, balanced": OneBitForm(Start(values="svd", split="balanced")),
    "SVID by SVD, one-sided": OneBitForm(Start(values="svd", split="output")),
    "copy": OneBitForm(COPY),
    "SVID, original weights": OneBitForm(_KEEPING),
    "random signs": OneBitForm(RANDOM_SIGNS),
    "SVID by NMF, no LayerNorm": OneBitForm(post_norm=False),
    "copy with one scalar, no LayerNorm": OneBitForm(COPY_SCALED, post_norm=False),
    "SVID, original weights, no LayerNorm": OneBitForm(_KEEPING, post_norm=False),
    "random signs, no LayerNorm": OneBitForm(RANDOM_SIGNS, post_norm=False),
}
RATE_FORMS: dict[str, Form] = {
    "OneBit": OneBitForm(),
    "OneBit, no LayerNorm": OneBitForm(post_norm=False),
    "BitNet, paper's Eq. 2": BitNetForm("paper"),
    "BitNet, release": BitNetForm("repository"),
}
AT_RELEASED_RATE = ", released rate"
COMPARISONS = ("starts", "losses", "rates")


def check_comparisons(names: Sequence[str], start_names: Sequence[str], learning_rates: Sequence[float]) -> None:
    """Check what notebook 04 is asked to compare, before anything is loaded or trained.

    Args:
        names: Of COMPARISONS.
        start_names: Of START_FORMS; needed for "starts".
        learning_rates: Needed for "rates".

    Raises:
        ValueError: A name is unknown, or a comparison has nothing to compare; the message lists what there is.
    """
    unknown = [name for name in names if name not in COMPARISONS]
    if unknown or not names:
        got = repr(unknown[0]) if unknown else "none"
        raise ValueError(f"comparisons are some of {', '.join(COMPARISONS)}; got {got}")
    if "starts" in names and not start_names:
        raise ValueError(f"the comparison of starts needs one start or more; choose among {', '.join(START_FORMS)}")
    _start_forms(start_names, seed=0)
    if "rates" in names and not learning_rates:
        raise ValueError("the comparison of rates needs one learning rate or more, such as [1e-3, 1e-2]")


def starts(names: Sequence[str], constant_rate: float, weight_rate: float, seed: int = 0) -> list[Variant]:
    """Return students that differ in where they start, each at a learning rate that suits the size of its latents.

    Args:
        names: Of START_FORMS.
        constant_rate: Peak where all latents start at one small size.
        weight_rate: Peak where they start as the teacher's weights.
        seed: Of NMF's start and of random signs.

    Raises:
        ValueError: There is no such start.
    """
    return [
        Variant(name, form, weight_rate if form.start.latent == "weight" else constant_rate)
        for name, form in _start_forms(names, seed).items()
    ]


def starts_at_released_rate(names: Sequence[str], rate: float = RELEASED_RATE, seed: int = 0) -> list[Variant]:
    """Return the same students at the release's learning rate; their names say so."""
    return [Variant(name + AT_RELEASED_RATE, form, rate) for name, form in _start_forms(names, seed).items()]


def _start_forms(names: Sequence[str], seed: int) -> dict[str, OneBitForm]:
    unknown = [name for name in names if name not in START_FORMS]
    if unknown:
        raise ValueError(f"there is no start {unknown[0]!r}; choose among {', '.join(START_FORMS)}")
    forms = {name: START_FORMS[name] for name in names}
    return {name: replace(form, start=replace(form.start, seed=seed)) for name, form in forms.items()}


def hidden_name(weight: float) -> str:
    """Return what a student with a weight on its hidden states is called; weights are per token."""
    return f"logits + {weight:g} hidden"


RELEASED_LOSS = "logits + hidden as released"
RELEASED_LOSS_TENFOLD = "logits + 10 times that hidden"


def losses(
    hidden_weights: Sequence[float], learning_rate: float, seed: int = 0, attention: float = 1.0
) -> list[Variant]:
    """Return students of the official start that differ in what they match.

    Args:
        hidden_weights: Weights of the hidden states (alpha) beside logits of weight 1, per token.
        learning_rate: Peak, for all of them.
        seed: Of NMF's start.
        attention: Weight of the attention maps, where they are matched; 0: nowhere. Each student that matches them has
            one beside it that does not, in the same precision.
    """
    form = OneBitForm(Start(seed=seed))
    bare = replace(form, post_norm=False)
    # The release's constants at its own 2,048 tokens, over the logits' weight, so that the loss keeps one scale.
    released = released_weights()
    as_released = LossWeights(hidden=released.hidden / released.logits, last_block=released.last_block)
    table: list[tuple[str, OneBitForm, LossWeights]] = [
        ("labels only", form, LossWeights(logits=0, hidden=0, labels=1)),
        ("logits only", form, LossWeights(hidden=0)),
        (RELEASED_LOSS, form, as_released),
        (RELEASED_LOSS_TENFOLD, form, replace(as_released, hidden=10 * as_released.hidden)),
        *((hidden_name(weight), form, LossWeights(hidden=weight)) for weight in hidden_weights),
        ("hidden only", form, LossWeights(logits=0)),
        ("logits only, no LayerNorm", bare, LossWeights(hidden=0)),
        ("logits + 1 hidden, no LayerNorm", bare, LossWeights()),
    ]
    found = [Variant(name, made, learning_rate, weights) for name, made, weights in table]
    if attention:
        pair = ((CONTROL, LossWeights()), (ATTENTION, LossWeights(attention=attention)))
        found += [
            Variant(f"{name}, {precision}", form, learning_rate, weights, bf16)
            for precision, bf16 in _PRECISIONS
            for name, weights in pair
        ]
    return found


CONTROL = "logits + 1 hidden"
ATTENTION = "logits + 1 hidden + attention maps"
_PRECISIONS = (("fp32", False), ("bf16", True))


def rates(names: Sequence[str], learning_rates: Sequence[float], seed: int = 0) -> list[Variant]:
    """Return students of OneBit's and of BitNet's form at several learning rates.

    Args:
        names: Of RATE_FORMS.
        learning_rates: Peaks.
        seed: Of NMF's start; BitNet's form starts from the teacher's weights and draws nothing.

    Raises:
        ValueError: There is no such form.
    """
    unknown = [name for name in names if name not in RATE_FORMS]
    if unknown:
        raise ValueError(f"there is no form {unknown[0]!r}; choose among {', '.join(RATE_FORMS)}")
    found = []
    for name in names:
        form = RATE_FORMS[name]
        if isinstance(form, OneBitForm):
            form = replace(form, start=Start(seed=seed))
        found += [Variant(rate_name(name, rate), form, rate) for rate in learning_rates]
    return found


def rate_name(form: str, learning_rate: float) -> str:
    """Return what a student of a form at a learning rate is called."""
    return f"{form} at {learning_rate:g}"
