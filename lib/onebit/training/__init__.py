"""Training a OneBit model: the layer, where it starts, what it learns from its teacher.

    student = student_of(teacher, OneBitForm(start=OFFICIAL, post_norm=True).make_layer)
    result = distil(student, teacher, blocks, DistillationRecipe(steps=400))

Importing this room imports torch and transformers; `lib.onebit` itself does not. What becomes of a trained student is
in `lib.onebit.training.finished`, apart, because it takes the kernels along.
"""

from lib.onebit.training.conversion import (
    OneBitForm,
    flipped_by_kind,
    flipped_share,
    onebit_layers,
    packed_layers,
    sign_snapshot,
    student_of,
)
from lib.onebit.training.distillation import Distillation, distil
from lib.onebit.training.divergence import DivergedError
from lib.onebit.training.extensions import ExpertsForm, RankKForm
from lib.onebit.training.generation import GenerationRecipe, generate_blocks
from lib.onebit.training.layer import OneBitLinear
from lib.onebit.training.losses import LossWeights, released_weights
from lib.onebit.training.magnitudes import LayerMagnitude, layer_magnitudes
from lib.onebit.training.recipe import RELEASED, DistillationRecipe, released_recipe
from lib.onebit.training.setting import Setting, load_setting
from lib.onebit.training.starts import (
    COPY,
    COPY_SCALED,
    OFFICIAL,
    RANDOM_SIGNS,
    STARTS,
    SVID_KEEPING_WEIGHTS,
    Start,
    start_named,
)
from lib.onebit.training.trainer import Row

__all__ = [
    "COPY",
    "COPY_SCALED",
    "OFFICIAL",
    "RANDOM_SIGNS",
    "RELEASED",
    "STARTS",
    "SVID_KEEPING_WEIGHTS",
    "Distillation",
    "DistillationRecipe",
    "DivergedError",
    "ExpertsForm",
    "GenerationRecipe",
    "LayerMagnitude",
    "LossWeights",
    "OneBitForm",
    "OneBitLinear",
    "RankKForm",
    "Row",
    "Setting",
    "Start",
    "distil",
    "flipped_by_kind",
    "flipped_share",
    "generate_blocks",
    "layer_magnitudes",
    "load_setting",
    "onebit_layers",
    "packed_layers",
    "released_recipe",
    "released_weights",
    "sign_snapshot",
    "start_named",
    "student_of",
]
