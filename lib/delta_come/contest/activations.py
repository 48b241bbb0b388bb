"""How far a compressed model's activations are from the fine-tune's (Table 8, section 6.1).

    e = mean (y_finetuned - y)^2 over the tokens of the task's items and the outputs of a projection

Each model runs on its own activations, so errors of earlier layers are in the inputs of later ones. Blocks are taken in
thirds (low, middle, high), as the paper takes layers 1-11, 12-22 and the last 10 of 32. Outliers are the 1 % of a
matrix' outputs, at least one, whose delta is largest (mean |dW| over the inputs): columns of dW as the paper lays it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

import torch

from lib.delta_come.contest.setting import Setting
from lib.models.finetuning.examples import encode

if TYPE_CHECKING:
    from transformers import PreTrainedModel

THIRDS = ("low", "middle", "high")
COLUMNS = ("all", "outliers")
_AT_ONCE = 32
_OUTLIERS = 0.01
_PLACE = re.compile(r"layers\.(\d+)\..*\.(\w+)_proj")


@dataclass(frozen=True)
class ActivationError:
    """Mean squared errors of every projection's outputs.

    Attributes:
        all: By the weight's name.
        outliers: By the weight's name, over its outlier outputs.
        blocks: Number of blocks.
    """

    all: Mapping[str, float] = field(repr=False)
    outliers: Mapping[str, float] = field(repr=False)
    blocks: int

    def by_place(self) -> dict[tuple[str, str], float]:
        """Return the mean over projections by third and kind of columns."""
        return {
            (third, columns): _mean(own)
            for columns in COLUMNS
            for third in THIRDS
            if (own := [e for name, e in getattr(self, columns).items() if self._third(name) == third])
        }

    def by_type(self) -> dict[str, float]:
        """Return the mean over blocks, all columns, by type of projection."""
        found: dict[str, list[float]] = {}
        for name, error in self.all.items():
            found.setdefault(_PLACE.search(name)[2], []).append(error)
        return {kind: _mean(errors) for kind, errors in found.items()}

    def _third(self, name: str) -> str:
        return THIRDS[int(_PLACE.search(name)[1]) * 3 // self.blocks]

    def __repr__(self) -> str:
        places = (f"{third} {columns} {error:.3g}" for (third, columns), error in self.by_place().items())
        return f"ActivationError({', '.join(places)})"


def activation_error(setting: Setting, model: "PreTrainedModel", items: int = 64) -> ActivationError:
    """Return a model's activation errors on the first held-out items, prompt and answer.

    Args:
        setting: With the fine-tune.
        model: The compressed model.
        items: How many.
    """
    examples = encode(setting.items[:items], setting.finetuned.tokenizer)
    outliers = {name: _outliers(setting.pair.delta(name)) for name in setting.pair.projections}
    sums = {name: torch.zeros(2, dtype=torch.float64) for name in outliers}
    tokens = 0
    for start in range(0, len(examples), _AT_ONCE):
        chosen = range(start, min(start + _AT_ONCE, len(examples)))
        ids, _ = examples.batch(chosen)
        own = torch.arange(ids.shape[1]) < torch.tensor([[len(examples.ids[number])] for number in chosen])
        wanted, found = (_outputs(each, ids, own, sums) for each in (setting.finetuned.model, model))
        for name, outputs in wanted.items():
            squares = (outputs - found[name]).square().double().mean(0)  # [m]
            sums[name] += len(outputs) * torch.stack([squares.mean(), squares[outliers[name]].mean()])
        tokens += int(own.sum())
    means = {name: (total / tokens).tolist() for name, total in sums.items()}
    blocks = int(setting.pair.base.config["num_hidden_layers"])
    return ActivationError({n: m[0] for n, m in means.items()}, {n: m[1] for n, m in means.items()}, blocks)


def _outputs(
    model: "PreTrainedModel", ids: torch.Tensor, own: torch.Tensor, names: Mapping[str, object]
) -> dict[str, torch.Tensor]:
    """Return the outputs of projections at the tokens that are no filler, [tokens, m] each."""
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str):  # noqa: ANN202 - a hook
        return lambda _layer, _inputs, output: seen.update({name: output[own]})

    handles = [model.get_submodule(n.removesuffix(".weight")).register_forward_hook(keep(n)) for n in names]
    try:
        with torch.inference_mode():
            model.base_model(input_ids=ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _outliers(delta: torch.Tensor) -> torch.Tensor:
    return delta.abs().mean(1).topk(ceil(_OUTLIERS * len(delta))).indices


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)
