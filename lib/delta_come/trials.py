"""Many plans for one pair, each given the same true bytes, each measured in the same ways.

    trials = Trials(subject, calibration, held_out, ratio=1 / 16, options=options_of("rank"))
    score = trials.measure(trials.rule("8:2,3:32,2:rest"))
    score.divergence, score.output_error, score.true_bytes

Items come in two halves: the first is there to choose plans by, the second to report what was chosen.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from lib.delta_come.compress import compress_blocks
from lib.delta_come.equal_bytes import EqualBytes
from lib.delta_come.errors import DeltaError
from lib.delta_come.factors import CompressedMatrix
from lib.delta_come.matrices import Rule
from lib.delta_come.moments import input_moments, mean_output_error
from lib.delta_come.options import CompressOptions
from lib.delta_come.plan import Plan, PlanRule, RulePart
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
        plan: Of the first matrix.
        true_bytes: Of all matrices, scales, zeros and singular values counted.
        ratio: Of the bytes that those matrices take in 16 bits.
        chosen_by: KL(fine-tune || model) on the first half of the items, in nats an answer token.
        divergence: The same on the second half.
        output_error: Mean over matrices of the relative squared error at their outputs, on held-out text.
        seconds: Processor time of the compression.
    """

    rule: str
    plan: str
    true_bytes: int
    ratio: float
    chosen_by: float
    divergence: float
    output_error: float
    seconds: float = field(repr=False)


class Trials:
    """Compresses one pair again and again.

    Args:
        subject: The pair.
        calibration: Token blocks.
        held_out: Token blocks on which activations are compared.
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
        ratio: float,
        options: CompressOptions = SCALES["row"],
        like: str | None = None,
    ) -> None:
        self.subject, self.ratio, self.options, self.like = subject, ratio, options, like
        self.scores: dict[tuple[str, CompressOptions], PlanScore] = {}
        self._calibration = calibration
        model, pair = subject.finetuned.model, subject.pair
        self._reference = answer_states(model, subject.finetuned.tokenizer, subject.items)
        self._deltas = dict(pair.deltas())
        self._moments = input_moments(model, pair.projections, held_out)
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

    def compress(self, rule: Rule, options: CompressOptions | None = None) -> dict[str, CompressedMatrix]:
        """Return the compressed matrices of all projections."""
        matrices: dict[str, CompressedMatrix] = {}
        blocks = compress_blocks(
            self.subject.pair, self.subject.finetuned, rule, self.ratio, self._calibration, options or self.options
        )
        for found in blocks:
            matrices |= found
        return matrices

    def measure(self, rule: Rule, options: CompressOptions | None = None) -> PlanScore:
        """Return what a plan comes to, compressing only if it was not measured before."""
        options = options or self.options
        key = (str(rule), options)
        if key not in self.scores:
            started = time.process_time()
            matrices = self.compress(rule, options)
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

    def perplexity(self, model: "PreTrainedModel", blocks: torch.Tensor) -> float:
        """Return a model's perplexity on token blocks."""
        return measure_quality(model, blocks).perplexity

    def accuracy(self, model: "PreTrainedModel") -> float | None:
        """Return the share of the second half of the items that a model answers rightly; None without a task."""
        subject = self.subject
        if subject.task is None:
            return None
        items = subject.items[len(subject.items) // 2 :]
        return score_answers(model, subject.finetuned.tokenizer, subject.task, items).accuracy

    def _score(self, rule: str, matrices: dict[str, CompressedMatrix], seconds: float) -> PlanScore:
        first, second = self.divergence(self.model(matrices))
        true_bytes = sum(matrix.true_bytes for matrix in matrices.values())
        return PlanScore(
            rule=rule,
            plan=_plan_text(next(iter(matrices.values()))),
            true_bytes=true_bytes,
            ratio=true_bytes / sum(2 * delta.numel() for delta in self._deltas.values()),
            chosen_by=first,
            divergence=second,
            output_error=mean_output_error(self._deltas, matrices, self._moments),
            seconds=seconds,
        )


def named_plan(name: str, first: str, second: str) -> str:
    """Return the plan that a name such as "8+3+2" stands for: "8:2,3:32,2:rest" with `first` 2 and `second` 32.

    Args:
        name: Widths, joined by plus signs; one to three.
        first: Ranks, or share of the budget such as "0.8%", of the first of several widths.
        second: The same of the second of three.
    """
    *kept, last = name.split("+")
    if len(kept) > 2:
        raise DeltaError(f"a plan is named by one to three widths such as 8+3+2, got {name!r}")
    groups = [f"{bits}:{ranks}" for bits, ranks in zip(kept, (first, second), strict=False)]
    return ",".join([*groups, f"{last}:rest"])


def searched(trials: Trials, judge: Callable[[PlanScore, Rule], float]) -> Callable[[PlanRule], float]:
    """Return the score that the searches of `search` ask for: a plan made to fit, measured, and judged.

    Args:
        trials: Where it is measured.
        judge: From what was measured, and the rule, to a number of which higher is better.
    """

    def score(rule: PlanRule) -> float:
        fitting = trials.rule(str(rule))
        return judge(trials.measure(fitting), fitting)

    return score


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
