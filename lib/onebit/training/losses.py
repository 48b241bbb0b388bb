"""What a student is trained to match (section 3.4): the teacher's next-token probabilities and its hidden states.

All terms are means over tokens, so that no weight depends on the length of the sequences or the size of the batch:

    L = logits * KL(P_T || P_S) + hidden * sum_l ||t_l - s_l||^2 + attention * sum_l ||A_l - B_l||^2 + labels * NLL

with t_l and s_l the hidden states after block l, each divided by its length (Eq. 8). KL differs from the paper's
cross-entropy (Eq. 7) by the teacher's entropy, which has no gradient; so L = 0 means that nothing is left to learn.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from transformers.modeling_outputs import CausalLMOutputWithPast


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms, per token.

    Attributes:
        logits: Of the teacher's probabilities.
        hidden: Of each block's normalised hidden state (the paper's alpha); the blocks are summed.
        attention: Of each block's attention maps; both models are switched to attention that returns them (`eager`).
        labels: Of the text's own next tokens; 0 in the paper.
        last_block: Whether the last block's output is compared too. The release leaves it out by its indexing.
    """

    logits: float = 1.0
    hidden: float = 1.0
    attention: float = 0.0
    labels: float = 0.0
    last_block: bool = True

    def __post_init__(self) -> None:
        weights = (self.logits, self.hidden, self.attention, self.labels)
        if not all(0 <= weight < math.inf for weight in weights) or max(weights) == 0:  # NaN compares with nothing
            raise ValueError(f"the weights of a loss are finite, 0 or more, and not all 0; got {self}")


def released_weights(length: int = 2048) -> LossWeights:
    """Return the constants that the released code amounts to at a sequence length.

    Its KL sums over tokens and divides by the batch, times 0.01: 0.01 * length a token. Its hidden term is a mean over
    tokens, weight 1, without the last block. At 2,048 tokens that is 20.48 to 1; it shifts with the length.
    """
    return LossWeights(logits=0.01 * length, hidden=1.0, last_block=False)


@dataclass(frozen=True)
class Losses:
    """A batch's loss and its unweighted parts, each a scalar tensor; parts of weight 0 are not computed and None.

    Attributes:
        total: The weighted sum.
        logits: KL(P_T || P_S), nats a token.
        hidden: Squared distance of normalised hidden states, summed over blocks.
        attention: Squared distance of attention rows, mean over heads, summed over blocks.
        labels: Negative log-likelihood of the text, nats a token.
    """

    total: torch.Tensor
    logits: torch.Tensor | None = None
    hidden: torch.Tensor | None = None
    attention: torch.Tensor | None = None
    labels: torch.Tensor | None = None

    def floats(self) -> dict[str, float]:
        """Return the computed parts as numbers."""
        return {name: value.item() for name, value in vars(self).items() if value is not None}


def distillation_losses(
    student: "CausalLMOutputWithPast", teacher: "CausalLMOutputWithPast", ids: torch.Tensor, weights: LossWeights
) -> Losses:
    """Return the loss of a batch.

    Args:
        student: Output with logits [batch, T, vocabulary], hidden_states (L + 1 of [batch, T, width]) where they have a
            weight, and attentions (L of [batch, heads, T, T]) where they have one.
        teacher: The same.
        ids: Token ids, [batch, T].
        weights: Of the terms.

    Raises:
        ValueError: Logits or hidden states of the two differ in shape.
    """
    parts: dict[str, torch.Tensor] = {}
    if weights.logits:
        parts["logits"] = kl_divergence(teacher.logits, student.logits)
    if weights.hidden:
        parts["hidden"] = hidden_distance(teacher.hidden_states, student.hidden_states, weights.last_block)
    if weights.attention:
        parts["attention"] = attention_distance(teacher.attentions, student.attentions)
    if weights.labels:
        logits = student.logits[:, :-1].float().flatten(0, 1)
        parts["labels"] = functional.cross_entropy(logits, ids[:, 1:].flatten())
    total = sum(getattr(weights, name) * part for name, part in parts.items())
    return Losses(total, **parts)


def kl_divergence(teacher_logits: torch.Tensor, student_logits: torch.Tensor) -> torch.Tensor:
    """Return KL(P_T || P_S) in nats, mean over tokens, temperature 1; logits [..., vocabulary], taken in fp32."""
    _same_shape("logits", teacher_logits, student_logits)
    target = teacher_logits.float().log_softmax(-1).flatten(0, -2)
    predicted = student_logits.float().log_softmax(-1).flatten(0, -2)  # [tokens, vocabulary]: "batchmean" is per token
    return functional.kl_div(predicted, target, reduction="batchmean", log_target=True)


def hidden_distance(
    teacher_states: tuple[torch.Tensor, ...], student_states: tuple[torch.Tensor, ...], last_block: bool = True
) -> torch.Tensor:
    """Return sum over blocks of the mean over tokens of || t/||t|| - s/||s|| ||^2 (Eq. 8), in fp32.

    Args:
        teacher_states: Embeddings and the outputs of blocks 1 ... L, each [..., width]. The embeddings are left out:
            shared and frozen, they differ by nothing. transformers gives the last one after the final norm.
        student_states: The same of the student.
        last_block: Whether block L counts.
    """
    blocks = slice(1, None if last_block else -1)
    total = teacher_states[0].new_zeros((), dtype=torch.float32)
    for block, (t, s) in enumerate(zip(teacher_states[blocks], student_states[blocks], strict=True), start=1):
        _same_shape(f"hidden states after block {block}", t, s)
        apart = functional.normalize(t.float(), dim=-1) - functional.normalize(s.float(), dim=-1)
        total = total + apart.square().sum(-1).mean()
    return total


def attention_distance(teacher_maps: tuple[torch.Tensor, ...], student_maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return sum over blocks of the mean over heads and queries of the squared distance of attention rows [..., T, T].

    The release has such a term with weight 0; the paper reports that training with it diverges in fp16 (Table 6).
    """
    total = teacher_maps[0].new_zeros((), dtype=torch.float32)
    for block, (t, s) in enumerate(zip(teacher_maps, student_maps, strict=True), start=1):
        _same_shape(f"attention maps of block {block}", t, s)
        total = total + (t.float() - s.float()).square().sum(-1).mean()
    return total


def _same_shape(what: str, teacher: torch.Tensor, student: torch.Tensor) -> None:
    if teacher.shape != student.shape:
        raise ValueError(
            f"{what}: the teacher's have shape {tuple(teacher.shape)}, the student's {tuple(student.shape)}; "
            "a student is distilled from a teacher of its own shape and vocabulary"
        )
