"""A contest at equal bytes: what each method keeps of a fine-tune in the same true bytes.

setting = load_setting(load_subject(find_sources("tiny", task="chains", regime="large"), items=500))
budget = Budget(1 / 16)                                  # of real bytes, all metadata counted
score = compete("delta_come", setting, budget, activations=True)
score.recovery, score.kl, score.bytes, score.activation.by_place()
lead(setting, score, compete("bitdelta", setting, budget))

best = best_trial(sweep(setting, learnt, budget, recipe, rates=[1e-2, 3e-2]))
measure(best.trained.stored, setting, budget, outside="base")
"""

from lib.delta_come.contest.activations import COLUMNS, THIRDS, ActivationError, activation_error
from lib.delta_come.contest.backbone import Backbones, compare_backbones, rounded_base
from lib.delta_come.contest.budget import Budget, projection_shapes, ratio_text
from lib.delta_come.contest.lora import Trial, best_trial, fit_lora, lora_ranks, sweep, validation_items
from lib.delta_come.contest.measure import Lead, Score, compete, lead, measure, recovery_interval
from lib.delta_come.contest.methods import METHODS, Method, fitting, method_named
from lib.delta_come.contest.results import (
    against_lora,
    by_method,
    fits_as_the_paper,
    judged_method,
    metadata_share,
    of_backbones,
    of_curve,
    of_setting,
    outside_bytes,
)
from lib.delta_come.contest.setting import STYLE_TASKS, Setting, load_setting

__all__ = [
    "COLUMNS",
    "METHODS",
    "STYLE_TASKS",
    "THIRDS",
    "ActivationError",
    "Backbones",
    "Budget",
    "Lead",
    "Method",
    "Score",
    "Setting",
    "Trial",
    "activation_error",
    "against_lora",
    "best_trial",
    "by_method",
    "compare_backbones",
    "compete",
    "fit_lora",
    "fits_as_the_paper",
    "fitting",
    "judged_method",
    "lead",
    "load_setting",
    "lora_ranks",
    "measure",
    "metadata_share",
    "method_named",
    "of_backbones",
    "of_curve",
    "of_setting",
    "outside_bytes",
    "projection_shapes",
    "ratio_text",
    "recovery_interval",
    "rounded_base",
    "sweep",
    "validation_items",
]
