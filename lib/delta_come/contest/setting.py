"""One pair and one task: what every method is given, and what its model is measured by."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from lib.delta_come.baselines import StoredDelta
from lib.delta_come.checkpoint import EMBEDDING, HEAD
from lib.delta_come.delta import Pair, with_rows_of
from lib.delta_come.gain import LEAST_GAIN
from lib.delta_come.subject import Subject
from lib.models import LoadedModel
from lib.models.answer_divergence import AnswerStates, Divergence, answer_divergence, answer_states
from lib.models.answering import score_answers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Tasks that ask for a form; what is scored is still whether the answer is right.
STYLE_TASKS = ("cards", "records")


@dataclass(frozen=True)
class Setting:
    """Base, fine-tune, held-out items and calibration text.

    Attributes:
        base: The model before.
        finetuned: The model after.
        pair: Both, checked against each other, tensors by name.
        task: Name of the task; None for a pair of the reader's own, whose answers nobody can judge.
        items: Held-out items.
        calibration: Token blocks [sequences, T].
        base_correct: Which items the base answers rightly; () without a task.
        finetuned_correct: Which the fine-tune does.
        base_divergence: KL(fine-tune || base) on answers.
        reference: The fine-tune's states on answers.
    """

    base: LoadedModel
    finetuned: LoadedModel
    pair: Pair
    task: str | None
    items: tuple[Mapping[str, Any], ...] = field(repr=False)
    calibration: torch.Tensor = field(repr=False)
    base_correct: tuple[bool, ...] = field(repr=False)
    finetuned_correct: tuple[bool, ...] = field(repr=False)
    base_divergence: Divergence
    reference: AnswerStates = field(repr=False)

    @property
    def base_accuracy(self) -> float:
        """s_base, a share of items; not a number without a task."""
        return share(self.base_correct)

    @property
    def finetuned_accuracy(self) -> float:
        """s_ft, likewise."""
        return share(self.finetuned_correct)

    @property
    def gain(self) -> float:
        """s_ft - s_base."""
        return self.finetuned_accuracy - self.base_accuracy

    @property
    def gained(self) -> bool:
        """Whether there is enough to recover that a share of it says something."""
        return self.gain >= LEAST_GAIN

    def recovery(self, accuracy: float) -> float:
        """Return R = (s - s_base) / (s_ft - s_base); not a number where next to nothing was gained."""
        return (accuracy - self.base_accuracy) / self.gain if self.gained else math.nan

    def model(
        self, stored: StoredDelta | None, outside: str = "finetuned", base: "Mapping[str, torch.Tensor] | None" = None
    ) -> "PreTrainedModel":
        """Return a model of one's own: base + delta in every projection.

        Args:
            stored: The deltas; None: those of the fine-tune, exactly.
            outside: Whose norms and embeddings it has: "finetuned" (as the paper), "base" (as a LoRA), or "shared":
                the fine-tune's norms, and embedding and head of the base as far as it has rows.
            base: Other weights for the base's projections; those left out are the base's own.
        """
        model = copy.deepcopy(self.base.model if outside == "base" else self.finetuned.model)
        with torch.no_grad():
            if outside == "shared":
                for layer, name in ((model.get_input_embeddings(), EMBEDDING), (model.get_output_embeddings(), HEAD)):
                    if name in self.pair.base.weights:
                        layer.weight.copy_(with_rows_of(self.pair.base.weights[name], layer.weight))
            for name in self.pair.projections:
                delta = self.pair.delta(name) if stored is None else stored.matrices[name].delta()
                weight = (base or {}).get(name, self.pair.base.weights[name])
                model.get_parameter(name).copy_(weight.float() + delta)
        return model.eval()

    def correct(self, model: "PreTrainedModel") -> tuple[bool, ...]:
        """Return which held-out items a model answers rightly; () without a task."""
        if self.task is None:
            return ()
        return score_answers(model, self.finetuned.tokenizer, self.task, self.items).correct

    def divergence(self, model: "PreTrainedModel") -> Divergence:
        """Return KL(fine-tune || model) on answers."""
        return answer_divergence(self.reference, model)

    def __repr__(self) -> str:
        return (
            f"Setting({self.finetuned.name} on {self.task}, {len(self.items)} items: base "
            f"{self.base_accuracy:.3f}, fine-tune {self.finetuned_accuracy:.3f})"
        )


def load_setting(subject: Subject, window: int = 96, sequences: int = 64) -> Setting:
    """Return a pair with everything that is measured once.

    Args:
        subject: From `lib.delta_come.subject.load_subject`, with the held-out items to be judged on.
        window: Tokens in a calibration sequence, of the text that the fine-tune learnt from.
        sequences: Number of them, at most.

    Raises:
        DeltaError: There is too little text.
    """
    base, finetuned, items = subject.base, subject.finetuned, tuple(subject.items)
    reference = answer_states(finetuned.model, finetuned.tokenizer, items)
    correct = [
        score_answers(each.model, finetuned.tokenizer, subject.task, items).correct if subject.task else ()
        for each in (base, finetuned)
    ]
    return Setting(
        base=base,
        finetuned=finetuned,
        pair=subject.pair,
        task=subject.task,
        items=items,
        calibration=subject.blocks("task", window, sequences),
        base_correct=correct[0],
        finetuned_correct=correct[1],
        base_divergence=answer_divergence(reference, base.model),
        reference=reference,
    )


def share(correct: Sequence[bool]) -> float:
    """Return the share of right answers; not a number where none was judged."""
    return sum(correct) / len(correct) if correct else math.nan
