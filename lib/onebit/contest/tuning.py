"""Choosing each method's learning rate: on the validation text, with a seed that no reported run has."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lib.models.quality import measure_quality
from lib.onebit.contest.methods import method_named
from lib.onebit.training import DistillationRecipe, DivergedError, distil, student_of
from lib.onebit.training.conversion import MakeLayer
from lib.onebit.training.setting import Setting

TUNING_SEED = 100


def sweep(
    methods: Iterable[str], rates: Sequence[float], setting: Setting, recipe: DistillationRecipe
) -> dict[str, dict[float, float]]:
    """Return the validation perplexity of trained methods at several learning rates, by method and rate.

    A training that diverges has perplexity infinity. The test text is not touched.

    Args:
        methods: Names of trained methods.
        rates: Peak learning rates.
        setting: Teacher and text.
        recipe: The budget of the reported runs; its learning rate and seed are replaced.

    Raises:
        ValueError: A method is unknown, or is not trained.
    """
    contestants = [method_named(name) for name in methods]
    for method in contestants:
        if not method.trained:
            raise ValueError(f"the method {method.name!r} is not trained: it has no learning rate to choose")
    return {
        method.name: {
            rate: _perplexity(method.make_layer, setting, replace(recipe, learning_rate=rate, seed=TUNING_SEED))
            for rate in rates
        }
        for method in contestants
    }


def _perplexity(make_layer: MakeLayer, setting: Setting, recipe: DistillationRecipe) -> float:
    student = student_of(setting.model, make_layer)
    try:
        distil(student, setting.model, setting.train, recipe)
    except DivergedError:
        return float("inf")
    return measure_quality(student, setting.validation).perplexity
