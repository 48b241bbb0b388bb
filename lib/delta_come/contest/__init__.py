"""A contest at equal bytes: what each method keeps of a fine-tune in the same true bytes.

setting = load_setting(load_pair(tiny_recipe("chains", "large", "wide")))
budget = Budget(1 / 16)                                  # of real bytes, all metadata counted
score = compete("delta_come", setting, budget, activations=True)
score.recovery, score.kl, score.bytes, score.activation.by_place()
lead(setting, score, compete("bitdelta", setting, budget))

trained = fit_lora(setting, pair.task.train, budget, recipe, learning_rate=2e-2)
measure(trained.stored, setting, budget, outside="base")
"""

from lib.delta_come.contest.activations import COLUMNS, THIRDS, ActivationError, activation_error
from lib.delta_come.contest.backbone import Backbones, compare_backbones, rounded_base
from lib.delta_come.contest.budget import Budget, projection_shapes, ratio_text
from lib.delta_come.contest.lora import TUNING_SEED, best_rate, fit_lora, lora_ranks, sweep, validation_items
from lib.delta_come.contest.measure import Lead, Score, compete, lead, measure, recovery_interval
from lib.delta_come.contest.methods import METHODS, Method, fitting, method_named
from lib.delta_come.contest.results import by_method, judged_method, metadata_share, of_backbones, of_curve, of_setting
from lib.delta_come.contest.setting import STYLE_TASKS, Setting, load_setting, task_text

__all__ = [
    "COLUMNS",
    "METHODS",
    "STYLE_TASKS",
    "THIRDS",
    "TUNING_SEED",
    "ActivationError",
    "Backbones",
    "Budget",
    "Lead",
    "Method",
    "Score",
    "Setting",
    "activation_error",
    "best_rate",
    "by_method",
    "compare_backbones",
    "compete",
    "fit_lora",
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
    "projection_shapes",
    "ratio_text",
    "recovery_interval",
    "rounded_base",
    "sweep",
    "task_text",
    "validation_items",
]
