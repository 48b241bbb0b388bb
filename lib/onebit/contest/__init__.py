"""A contest at equal bits: ways to store a model's projections, what each costs and how well the model then predicts.

    setting = load_setting("narrow", text="", length=128, train_blocks=4000, held_out_blocks=128)
    task = choice_task(setting.test)
    score = compete(METHODS["onebit"], setting, task, DistillationRecipe(steps=300, batch=8))

A trained method takes the recipe's steps, text and schedule; the learning rate is its own, tuned by `sweep` on the
validation text with a seed that no reported run has.
"""

from lib.onebit.contest.ladder import Ladder, check_names, dense_models, ladder_of
from lib.onebit.contest.measure import Divergence, Score, Sizes, attempt, by_method, compete, dense_score, sizes_of
from lib.onebit.contest.methods import METHODS, TRAINED, UNTRAINED, Method, method_named
from lib.onebit.contest.rates import SWEEP
from lib.onebit.contest.seeds import Gain, gains, recorded_runs
from lib.onebit.contest.side_by_side import side_by_side
from lib.onebit.contest.tuning import TUNING_SEED, sweep

__all__ = [
    "METHODS",
    "SWEEP",
    "TRAINED",
    "TUNING_SEED",
    "UNTRAINED",
    "Divergence",
    "Gain",
    "Ladder",
    "Method",
    "Score",
    "Sizes",
    "attempt",
    "by_method",
    "check_names",
    "compete",
    "dense_models",
    "dense_score",
    "gains",
    "ladder_of",
    "method_named",
    "recorded_runs",
    "side_by_side",
    "sizes_of",
    "sweep",
]
