"""Choosing each method's learning rate: on the validation text, with a seed that no reported run has."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lib.models.quality import measure_quality
from lib.onebit.contest.methods import Method, method_named
from lib.onebit.contest.rates import SWEEP
from lib.onebit.training import DistillationRecipe, DivergedError, distil
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
        if method.learning_rate is None:
            raise ValueError(f"the method {method.name!r} is not trained: it has no learning rate to choose")
    return {
        method.name: {
            rate: _perplexity(method, setting, replace(recipe, learning_rate=rate, seed=TUNING_SEED)) for rate in rates
        }
        for method in contestants
    }


def _perplexity(method: Method, setting: Setting, recipe: DistillationRecipe) -> float:
    student = method.make(setting.model, setting.train)
    try:
        distil(student, setting.model, setting.train, recipe)
    except DivergedError:
        return float("inf")
    return measure_quality(student, setting.validation).perplexity


def main() -> None:
    """Measure the table of `rates` anew: `python -m lib.onebit.contest.tuning`, about ten minutes."""
    from lib.onebit.training.setting import load_setting

    setting = load_setting("narrow", text="", length=128, train_blocks=4000, held_out_blocks=128)
    recipe = DistillationRecipe(steps=500, batch=2, warmup=50, bf16=True, log_every=50)
    for method, rates in SWEEP.items():
        for rate, perplexity in sweep([method], list(rates), setting, recipe)[method].items():
            print(f"{method:<13} {rate:g} {perplexity:.4g}", flush=True)


if __name__ == "__main__":
    main()
