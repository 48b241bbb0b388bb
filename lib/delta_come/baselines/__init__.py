"""What Delta-CoMe is held against: other ways to keep a delta, each with its true bytes.

    without_data("bitdelta", pair, sign_passes)                       # one bit a weight and a scale
    distil_scales(stored, base, finetuned, tokens)                    # ... with trained scales
    train_lora(base, task.train, ranks, schedule)                     # no compression: a small training

Single widths are plans of the method itself ("3:rest"). Which rank, width or density fits
a budget is decided in `lib.delta_come.contest`. Importing this room imports torch, but not peft.
"""

from lib.delta_come.baselines.dropping import DroppedMatrix, drop_and_quantise
from lib.delta_come.baselines.lora import TrainedLora, train_lora
from lib.delta_come.baselines.low_rank import LowRankMatrix, affordable_ranks, low_rank
from lib.delta_come.baselines.scale_distillation import ScaleRecipe, distil_scales
from lib.delta_come.baselines.sign_low_rank import SignLowRankMatrix, sign_and_low_rank
from lib.delta_come.baselines.sign_vectors import SignVectors, sign_vectors
from lib.delta_come.baselines.signs import SignMatrix, affordable_passes, sign_passes
from lib.delta_come.baselines.stored import MatrixDelta, StoredDelta, on_calibration, without_data

__all__ = [
    "DroppedMatrix",
    "LowRankMatrix",
    "MatrixDelta",
    "ScaleRecipe",
    "SignLowRankMatrix",
    "SignMatrix",
    "SignVectors",
    "StoredDelta",
    "TrainedLora",
    "affordable_passes",
    "affordable_ranks",
    "distil_scales",
    "drop_and_quantise",
    "low_rank",
    "on_calibration",
    "sign_and_low_rank",
    "sign_passes",
    "sign_vectors",
    "train_lora",
    "without_data",
]
