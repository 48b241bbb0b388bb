"""Full fine-tunes on generated tasks, and tiny pairs for whatever needs a base and its fine-tune in seconds.

    pair = load_pair(tiny_recipe("chains", regime="large", shape="llama", seed=0))       # trained on first use
    pair.base, pair.finetuned, pair.task.test

    folder = finetuned_folder(FINETUNES["smollm2-arithmetic-large"])         # minutes; an interrupted run goes on
    recipe = FineTuneRecipe(base="owner/name", task="cards", steps=100, batch=8, learning_rate=1e-4, regime="large")

Importing this room imports no torch.
"""

from lib.models.finetuning.pairs import Pair, base_folder, checkpoint_sha256, finetuned_folder, load_pair
from lib.models.finetuning.recipe import (
    FINETUNES,
    REGIMES,
    FineTuneRecipe,
    Schedule,
    TinyBase,
    finetune_recipe,
    smollm2_recipe,
    tiny_recipe,
)
from lib.models.finetuning.shapes import SHAPES, TinyShape

__all__ = [
    "FINETUNES",
    "REGIMES",
    "SHAPES",
    "FineTuneRecipe",
    "Pair",
    "Schedule",
    "TinyBase",
    "TinyShape",
    "base_folder",
    "checkpoint_sha256",
    "finetune_recipe",
    "finetuned_folder",
    "load_pair",
    "smollm2_recipe",
    "tiny_recipe",
]
