"""A pair small enough for tests: untrained, with a made-up delta and made-up scores of base and fine-tune."""

import copy
from pathlib import Path

import torch

from lib.corpora.tasks import make_task
from lib.delta_come import take_pair
from lib.delta_come.contest import Setting
from lib.models import LoadedModel
from lib.models.answer_divergence import answer_divergence, answer_states
from lib.models.finetuning import TinyShape
from lib.models.finetuning.shapes import build_shape, character_tokenizer
from tests.delta_come.conftest import finetuned_from

SHAPE = TinyShape(width=64, blocks=3, inner=96, heads=2, key_heads=1)
ITEMS = 6


def tiny_base() -> LoadedModel:
    """Return an untrained model with layers that differ from one another."""
    model = build_shape(SHAPE, seed=0).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(4)
    return _loaded("base", model)


def made_up_setting(answered: int = ITEMS) -> Setting:
    """Return a setting whose base answers nothing rightly and whose fine-tune `answered` items."""
    base = tiny_base()
    finetuned = _loaded("finetuned", finetuned_from(copy.deepcopy(base.model)))
    items = tuple(make_task("chains", 1, ITEMS).test)
    reference = answer_states(finetuned.model, finetuned.tokenizer, items)
    return Setting(
        base=base,
        finetuned=finetuned,
        pair=take_pair(base, finetuned),
        task="chains",
        items=items,
        calibration=torch.randint(0, 96, (12, 32), generator=torch.Generator().manual_seed(0), dtype=torch.int32),
        base_correct=(False,) * ITEMS,
        finetuned_correct=(True,) * answered + (False,) * (ITEMS - answered),
        base_divergence=answer_divergence(reference, base.model),
        reference=reference,
    )


def _loaded(name, model) -> LoadedModel:
    return LoadedModel(name, Path(), model, character_tokenizer())
