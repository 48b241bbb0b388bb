"""Many plans for one pair, each given the same true bytes, each measured in the same ways.

    trials = Trials(subject, calibration, held_out, plain, ratio=1 / 16, options=SCALES["rank"])
    score = trials.measure(trials.rule("8:2,3:32,2:rest"))
    score.divergence, score.output_error, score.perplexity, score.true_bytes

Items and plain text come in two halves: the first is there to choose plans by, the second to report what was chosen.
"""

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from lib.delta_come.equal_bytes import EqualBytes
from lib.delta_come.errors import DeltaError
from lib.delta_come.factors import CompressedMatrix
from lib.delta_come.matrices import Rule
from lib.delta_come.moments import input_moments, mean_output_error
from lib.delta_come.options import CompressOptions
from lib.delta_come.plan import Plan, PlanRule, RulePart
from lib.delta_come.sequential import compress_blocks
from lib.delta_come.subject import Subject
from lib.models.answer_divergence import Divergence, answer_divergence, answer_states
from lib.models.answering import score_answers
from lib.models.quality import measure_quality

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# How the scales of U are stored: one for each row and 128 ranks, as the paper, or one for each rank.
SCALES = {"row": CompressOptions(), "rank": CompressOptions(static_groups=True, rank_scales=True)}

_STEPS_DOWN = 19  # shares are brought down by a twentieth at a time


@dataclass(frozen=True)
class PlanScore:
    """What a plan came to.

    Attributes:
        rule: As text.
        plan: Of the first matrix that changed.
        true_bytes: Of all matrices, scales, zeros and singular values counted.
        ratio: Of the bytes that the matrices that changed take in 16 bits.
        chosen_by: KL(fine-tune || model) on the first half of the items, in nats an answer token.
        divergence: The same on the second half.
        output_error: Mean over matrices of the relative squared error at their outputs, on held-out text.
        perplexity_chosen_by: On the first half of the plain text.
        perplexity: On the second half.
        seconds: Processor time of the compression.
    """

    rule: str
    plan: str
    true_bytes: int
    ratio: float
    chosen_by: float
    divergence: float
    output_error: float
    perplexity_chosen_by: float
    perplexity: float
    seconds: float = field(repr=False)


class Trials:
    """Compresses one pair again and again.

    Args:
        subject: The pair.
        calibration: Token blocks.
        held_out: Token blocks on which activations are compared.
        plain: Token blocks of the base's own kind of text.
        ratio: alpha.
        options: How.
        like: A plan whose true bytes are the budget; None: 16 alpha m n bits.

    Attributes:
        scores: What was measured, by rule and options; nothing is compressed twice.
    """

    def __init__(
        self,
        subject: Subject,
        calibration: torch.Tensor,
        held_out: torch.Tensor,
        plain: torch.Tensor,
        ratio: float,
        options: CompressOptions = SCALES["row"],
        like: str | None = None,
    ) -> None:
        self.subject, self.ratio, self.options, self.like = subject, ratio, options, like
        self.scores: dict[tuple[str, CompressOptions], PlanScore] = {}
        self._calibration, self._plain = calibration, plain
        self._matrices: dict[tuple[str, CompressOptions], dict[str, CompressedMatrix]] = {}
        model, pair = subject.finetuned.model, subject.pair
        self._reference = answer_states(model, subject.finetuned.tokenizer, subject.items)
        self._deltas = {name: delta for name, delta in pair.deltas() if delta.any()}
        self._moments = input_moments(model, list(self._deltas), held_out)
        self._model = copy.deepcopy(model)

    def rule(self, text: str) -> EqualBytes:
        """Return a plan that fits every matrix by its true bytes; shares of the budget are brought down if they must.

        Raises:
            DeltaError: It does not fit with the smallest shares either.
        """
        parts, problem = Plan.parse(text).parts, None
        for step in range(_STEPS_DOWN + 1):
            rule = EqualBytes(str(PlanRule(tuple(_less(part, step) for part in parts))), self.like)
            try:
                for m, n in {tuple(delta.shape) for delta in self._deltas.values()}:
                    rule.resolve(m, n, self.ratio, self.options.storage)
            except DeltaError as error:
                problem = error
                if all(part.share is None for part in parts):
                    break
            else:
                return rule
        raise problem

    def fitting(self, plans: Mapping[str, str]) -> dict[str, EqualBytes]:
        """Return the rules of those plans that fit, by name."""
        rules = {}
        for name, text in plans.items():
            try:
                rules[name] = self.rule(text)
            except DeltaError:
                continue
        return rules

    def matrices(self, rule: Rule, options: CompressOptions | None = None) -> dict[str, CompressedMatrix]:
        """Return the compressed matrices of all projections, compressing only if that was not done before."""
        options = options or self.options
        key = (str(rule), options)
        if key not in self._matrices:
            subject, found = self.subject, {}
            for block in compress_blocks(subject.pair, subject.finetuned, rule, self.ratio, self._calibration, options):
                found |= block
            self._matrices[key] = found
        return self._matrices[key]

    def measure(self, rule: Rule, options: CompressOptions | None = None) -> PlanScore:
        """Return what a plan comes to, measuring only what was not measured before."""
        options = options or self.options
        key = (str(rule), options)
        if key not in self.scores:
            started = time.process_time()
            matrices = self.matrices(rule, options)
            self.scores[key] = self._score(str(rule), matrices, time.process_time() - started)
        return self.scores[key]

    def model(self, matrices: dict[str, CompressedMatrix] | None) -> "PreTrainedModel":
        """Return the base's projections with these deltas, everything else the fine-tune's; one model for all calls.

        Args:
            matrices: None: no delta at all.
        """
        with torch.no_grad():
            for name in self._deltas:
                weight = self.subject.pair.base.weights[name].float()
                self._model.get_parameter(name).copy_(weight if matrices is None else weight + matrices[name].delta())
        return self._model

    def divergence(self, model: "PreTrainedModel") -> tuple[float, float]:
        """Return KL(fine-tune || model) on the first and on the second half of the items."""
        return halves(answer_divergence(self._reference, model))

    def perplexity(self, model: "PreTrainedModel") -> tuple[float, float]:
        """Return a model's perplexity on the first and on the second half of the plain text."""
        one, other = self._plain.tensor_split(2)
        return measure_quality(model, one).perplexity, measure_quality(model, other).perplexity

    def accuracy(self, model: "PreTrainedModel") -> float | None:
        """Return the share of the second half of the items that a model answers rightly; None without a task."""
        subject = self.subject
        if subject.task is None:
            return None
        items = subject.items[len(subject.items) // 2 :]
        return score_answers(model, subject.finetuned.tokenizer, subject.task, items).accuracy

    def _score(self, rule: str, matrices: dict[str, CompressedMatrix], seconds: float) -> PlanScore:
        model = self.model(matrices)
        first, second = self.divergence(model)
        perplexity_chosen_by, perplexity = self.perplexity(model)
        true_bytes = sum(matrix.true_bytes for matrix in matrices.values())
        return PlanScore(
            rule=rule,
            plan=_plan_text(matrices[next(iter(self._deltas))]),
            true_bytes=true_bytes,
            ratio=true_bytes / sum(2 * delta.numel() for delta in self._deltas.values()),
            chosen_by=first,
            divergence=second,
            output_error=mean_output_error(self._deltas, matrices, self._moments),
            perplexity_chosen_by=perplexity_chosen_by,
            perplexity=perplexity,
            seconds=seconds,
        )


def halves(divergence: Divergence) -> tuple[float, float]:
    """Return the mean KL on the first and on the second half of the items, each over its answer tokens."""
    middle = len(divergence.tokens) // 2
    parts = (slice(0, middle), slice(middle, None))
    one, other = (replace(divergence, per_item=divergence.per_item[p], tokens=divergence.tokens[p]) for p in parts)
    return one.mean, other.mean


def _less(part: RulePart, step: int) -> RulePart:
    return part if part.share is None else replace(part, share=part.share * (1 - step / (_STEPS_DOWN + 1)))


def _plan_text(matrix: CompressedMatrix) -> str:
    return ",".join(f"{group.bits}:{group.ranks}" for group in matrix.groups)
