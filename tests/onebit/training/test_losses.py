import pytest
import torch
from torch.nn import functional
from transformers.modeling_outputs import CausalLMOutputWithPast

from lib.onebit.training import LossWeights, released_weights
from lib.onebit.training.losses import attention_distance, distillation_losses, hidden_distance, kl_divergence


def output(seed, batch=2, tokens=5, vocabulary=11, width=6, states=4, vocabulary_axis=None):
    generator = torch.Generator().manual_seed(seed)
    hidden = tuple(torch.randn(batch, tokens, width, generator=generator) for _ in range(states))
    maps = tuple(torch.rand(batch, 2, tokens, tokens, generator=generator) for _ in range(states - 1))
    logits = torch.randn(batch, tokens, vocabulary, generator=generator)
    return CausalLMOutputWithPast(logits=logits, hidden_states=hidden, attentions=maps)


def test_kl_is_its_definition_averaged_over_tokens():
    teacher, student = output(0).logits.double(), output(1).logits.double()
    p, log_q = teacher.softmax(-1), student.log_softmax(-1)
    expected = (p * (p.log() - log_q)).sum(-1).mean()
    assert kl_divergence(teacher, student).item() == pytest.approx(expected.item(), rel=1e-5)


def test_kl_has_the_gradient_of_the_papers_cross_entropy():
    teacher = output(0).logits
    gradients = []
    for loss in (kl_divergence, lambda t, s: -(t.softmax(-1) * s.log_softmax(-1)).sum(-1).mean()):
        student = output(1).logits.requires_grad_()
        loss(teacher, student).backward()
        gradients.append(student.grad)
    assert torch.allclose(*gradients, atol=1e-6)


@pytest.mark.parametrize("repeats", [2, 3])
def test_no_term_depends_on_the_length_of_the_sequences(repeats):
    def longer(out):
        return CausalLMOutputWithPast(
            logits=out.logits.repeat(1, repeats, 1),
            hidden_states=tuple(state.repeat(1, repeats, 1) for state in out.hidden_states),
        )

    teacher, student, ids = output(0), output(1), torch.zeros(2, 5, dtype=torch.long)
    once = distillation_losses(student, teacher, ids, LossWeights())
    often = distillation_losses(longer(student), longer(teacher), ids, LossWeights())
    assert often.total.item() == pytest.approx(once.total.item(), rel=1e-5)


def test_hidden_states_are_compared_by_direction_block_by_block():
    teacher, student = output(0).hidden_states, output(1).hidden_states
    expected = sum(
        (t / t.norm(dim=-1, keepdim=True) - s / s.norm(dim=-1, keepdim=True)).square().sum(-1).mean()
        for t, s in zip(teacher[1:], student[1:], strict=True)
    )
    assert hidden_distance(teacher, student).item() == pytest.approx(expected.item(), rel=1e-5)
    assert hidden_distance(teacher, tuple(7 * state for state in teacher)).item() == pytest.approx(0, abs=1e-6)


def test_the_release_leaves_the_last_block_out():
    teacher, student = output(0).hidden_states, output(1).hidden_states
    assert hidden_distance(teacher, student, last_block=False).equal(hidden_distance(teacher[:-1], student[:-1]))


def test_the_embeddings_do_not_count():
    teacher, student = output(0).hidden_states, output(1).hidden_states
    assert hidden_distance(teacher, student).equal(hidden_distance((student[0], *teacher[1:]), student))


def test_attention_rows_are_compared_by_squared_distance():
    teacher, student = output(0).attentions, output(1).attentions
    expected = sum((t - s).square().sum(-1).mean() for t, s in zip(teacher, student, strict=True))
    assert attention_distance(teacher, student).item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_total_is_the_weighted_sum_and_parts_without_weight_are_left_out():
    ids = torch.randint(0, 11, (2, 5))
    weights = LossWeights(logits=2, hidden=0.5, attention=3, labels=4)
    losses = distillation_losses(output(1), output(0), ids, weights)
    expected = 2 * losses.logits + 0.5 * losses.hidden + 3 * losses.attention + 4 * losses.labels
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-6)
    only = distillation_losses(output(1), output(0), ids, LossWeights(logits=1, hidden=0))
    assert set(only.floats()) == {"total", "logits"}


def test_the_hard_label_term_predicts_the_next_token():
    ids = torch.randint(0, 11, (2, 5))
    losses = distillation_losses(output(1), output(0), ids, LossWeights(logits=0, hidden=0, labels=1))
    expected = functional.cross_entropy(output(1).logits[:, :-1].transpose(1, 2), ids[:, 1:])
    assert losses.labels.item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_released_constants_weigh_logits_twenty_to_one():
    weights = released_weights()
    assert weights.hidden / weights.logits == pytest.approx(0.049, abs=1e-3)
    assert not weights.last_block
    assert released_weights(128).logits == pytest.approx(1.28)


def test_a_student_with_another_vocabulary_is_refused():
    with pytest.raises(ValueError, match=r"logits: the teacher's have shape \(2, 5, 11\), the student's \(2, 5, 12\)"):
        kl_divergence(output(0).logits, output(0, vocabulary=12).logits)


@pytest.mark.parametrize("weights", [{"logits": 0, "hidden": 0}, {"hidden": -1}])
def test_weights_that_make_no_loss_are_refused(weights):
    with pytest.raises(ValueError, match="0 or more, and not all 0"):
        LossWeights(**weights)
