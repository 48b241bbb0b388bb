"""A contest at equal bits: ways to store a model's projections, what each costs and how well the model then predicts.

    setting = load_setting("narrow", text="", length=128, train_blocks=4000, held_out_blocks=128)
    task = choice_task(setting.test)
    score = compete(METHODS["onebit"], setting, task, DistillationRecipe(steps=300, batch=8))

A trained method takes the recipe's steps, text and schedule; the learning rate is its own, tuned by `sweep` on the
validation text with a seed that no reported run has.
"""

from lib.onebit.contest.measure import Score, Sizes, compete, dense_score, sizes_of
from lib.onebit.contest.methods import METHODS, TRAINED, UNTRAINED, Method, method_named
from lib.onebit.contest.tuning import TUNING_SEED, sweep

__all__ = [
    "METHODS",
    "TRAINED",
    "TUNING_SEED",
    "UNTRAINED",
    "Method",
    "Score",
    "Sizes",
    "compete",
    "dense_score",
    "method_named",
    "sizes_of",
    "sweep",
]
