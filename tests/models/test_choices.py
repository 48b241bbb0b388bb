import pytest
import torch

from lib.models.choices import choice_accuracy, choice_task, choose
from lib.models.tiny import TinyRecipe, build_tiny


@pytest.fixture
def blocks():
    return torch.arange(20 * 12, dtype=torch.int32).view(20, 12)


@pytest.fixture
def model():
    return build_tiny(TinyRecipe(width=32, blocks=1, inner=32, steps=1, vocabulary=240))


def test_the_answer_is_the_blocks_own_ending_and_the_others_are_not(blocks):
    task = choice_task(blocks, continuation=4, distractors=3)
    assert task.contexts.equal(blocks[:, :8])
    for question, (choices, answer) in enumerate(zip(task.choices, task.answers, strict=True)):
        assert choices[answer].equal(blocks[question, 8:])
        endings = {tuple(choice.tolist()) for choice in choices}
        assert len(endings) == 4
        assert endings <= {tuple(row.tolist()) for row in blocks[:, 8:]}


def test_answers_stand_anywhere_and_return_with_their_seed(blocks):
    assert set(choice_task(blocks, 4).answers.tolist()) == {0, 1, 2, 3}
    assert choice_task(blocks, 4).choices.equal(choice_task(blocks, 4).choices)
    assert not choice_task(blocks, 4).choices.equal(choice_task(blocks, 4, seed=1).choices)


def test_a_model_takes_the_choice_that_it_finds_likeliest_a_token(model, blocks):
    task = choice_task(blocks, 4, distractors=2)
    chosen = choose(model, task)
    for question in (0, 7, 19):
        scores = []
        for choice in task.choices[question]:
            ids = torch.cat([task.contexts[question], choice])[None].long()
            likelihoods = model(ids).logits.log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])
            scores.append(likelihoods[-4:].mean().item())
        assert chosen[question] == max(range(3), key=scores.__getitem__)


def test_accuracy_is_the_share_of_right_answers(model, blocks):
    task = choice_task(blocks, 4)
    assert choice_accuracy(model, task) == pytest.approx((choose(model, task) == task.answers).double().mean().item())


@pytest.mark.parametrize(("rows", "continuation"), [(3, 4), (20, 12)])
def test_too_little_text_is_an_error(blocks, rows, continuation):
    with pytest.raises(ValueError, match=f"{rows} blocks of 12 tokens leave no"):
        choice_task(blocks[:rows], continuation)


def test_a_context_is_read_once_for_all_of_its_choices(model, blocks):
    task, seen = choice_task(blocks, 4), []
    model.model.embed_tokens.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].numel()))
    choose(model, task)
    assert sum(seen) == 20 * (8 + 4 * 4)
