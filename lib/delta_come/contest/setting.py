"""One pair and one task: what every method is given, and what its model is measured by."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from lib.delta_come.baselines import StoredDelta
from lib.delta_come.calibration import calibration_blocks
from lib.delta_come.checkpoint import EMBEDDING, HEAD
from lib.delta_come.delta import Pair, take_pair, with_rows_of
from lib.delta_come.errors import DeltaError
from lib.models import LoadedModel
from lib.models.answer_divergence import AnswerStates, Divergence, answer_divergence, answer_states
from lib.models.answering import AnswerScore, score_answers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from lib.corpora.tasks import Task
    from lib.models.finetuning import Pair as TrainedPair

# Tasks that ask for a form; what is scored is still whether the answer is right.
STYLE_TASKS = ("cards", "records")


@dataclass(frozen=True)
class Setting:
    """Base, fine-tune, held-out items and calibration text.

    Attributes:
        base: The model before.
        finetuned: The model after.
        pair: Both, checked against each other, tensors by name.
        task: Name of the task.
        items: Held-out items.
        calibration: Token blocks [sequences, T].
        base_score: How the base answers.
        finetuned_score: How the fine-tune answers.
        base_divergence: KL(fine-tune || base) on answers.
        reference: The fine-tune's states on answers.
    """

    base: LoadedModel
    finetuned: LoadedModel
    pair: Pair
    task: str
    items: tuple[Mapping[str, Any], ...] = field(repr=False)
    calibration: torch.Tensor = field(repr=False)
    base_score: AnswerScore
    finetuned_score: AnswerScore
    base_divergence: Divergence
    reference: AnswerStates = field(repr=False)

    @property
    def gain(self) -> float:
        """s_ft - s_base, in shares of items."""
        return self.finetuned_score.accuracy - self.base_score.accuracy

    def recovery(self, accuracy: float) -> float:
        """Return R = (s - s_base) / (s_ft - s_base).

        Raises:
            DeltaError: The fine-tune answers no better than the base, so there is nothing to recover.
        """
        if self.gain <= 0:
            raise DeltaError(
                f"{self.finetuned.name} answers {self.finetuned_score.accuracy:.3f} of {self.task} rightly and its "
                f"base {self.base_score.accuracy:.3f}: nothing was gained that could be recovered; train it longer"
            )
        return (accuracy - self.base_score.accuracy) / self.gain

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

    def score(self, model: "PreTrainedModel") -> AnswerScore:
        """Return how a model answers the held-out items."""
        return score_answers(model, self.finetuned.tokenizer, self.task, self.items)

    def divergence(self, model: "PreTrainedModel") -> Divergence:
        """Return KL(fine-tune || model) on answers."""
        return answer_divergence(self.reference, model)

    def __repr__(self) -> str:
        return (
            f"Setting({self.finetuned.name} on {self.task}, {len(self.items)} items: base "
            f"{self.base_score.accuracy:.3f}, fine-tune {self.finetuned_score.accuracy:.3f})"
        )


def load_setting(
    trained: "TrainedPair", calibration: torch.Tensor | None = None, window: int = 96, sequences: int = 64
) -> Setting:
    """Return a pair with everything that is measured once.

    Args:
        trained: From `lib.models.finetuning.load_pair`, with as many held-out items as are to be judged on.
        calibration: Token blocks; None: windows of the items that the fine-tune learnt from.
        window: Tokens in such a window.
        sequences: Number of them.

    Raises:
        DeltaError: The two do not belong together, or there is too little text.
    """
    base, finetuned = trained.base, trained.finetuned
    items = tuple(trained.task.test)
    reference = answer_states(finetuned.model, finetuned.tokenizer, items)
    scores = (score_answers(each.model, finetuned.tokenizer, trained.task.name, items) for each in (base, finetuned))
    base_score, finetuned_score = scores
    if calibration is None:
        calibration = calibration_blocks(task_text(trained.task), finetuned.tokenizer, window, sequences)
    return Setting(
        base=base,
        finetuned=finetuned,
        pair=take_pair(base, finetuned),
        task=trained.task.name,
        items=items,
        calibration=calibration,
        base_score=base_score,
        finetuned_score=finetuned_score,
        base_divergence=answer_divergence(reference, base.model),
        reference=reference,
    )


def task_text(task: "Task") -> Any:  # noqa: ANN401 - a data set
    """Return the items that are learnt from as texts, prompt and answer together, in a data set."""
    from datasets import Dataset

    columns = zip(task.train["prompt"], task.train["answer"], strict=True)
    return Dataset.from_dict({"text": [prompt + answer for prompt, answer in columns]})
