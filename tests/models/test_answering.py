from dataclasses import replace

import pytest
import torch

from lib.corpora.tasks import make_task
from lib.models.answer_divergence import answer_divergence, answer_states
from lib.models.answering import answer, score_answers
from lib.models.finetuning import SHAPES
from lib.models.finetuning.shapes import build_shape, character_tokenizer

TOKENIZER = character_tokenizer()
PROMPTS = ["7+5=", "a", "e=33 b=10 h=21>", "([{", "abcdefgh:", "0", "((", "a=1 b=22 c=33 d=4"]


@pytest.fixture(scope="module", params=["llama", "grouped", "qwen2"])
def model(request):
    """An untrained model whose next tokens depend on the prompt, and which sometimes ends an answer."""
    model = build_shape(replace(SHAPES[request.param], width=32, inner=48), seed=1).eval()
    head = model.get_output_embeddings().weight
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(6 if weight.ndim > 1 else 1)
        # The token that the first answer comes to soon becomes the end token.
        soon = TOKENIZER(alone(model, PROMPTS[0], 10))["input_ids"][2]
        head[[TOKENIZER.eos_token_id, soon]] = head[[soon, TOKENIZER.eos_token_id]]
    return model


def alone(model, prompt, new_tokens):
    """Greedy decoding of one prompt by the whole model at every step: no batch, no cache, no filling up."""
    ids, written = TOKENIZER(prompt)["input_ids"], []
    with torch.inference_mode():
        for _ in range(new_tokens):
            token = model(torch.tensor([ids + written])).logits[0, -1].argmax().item()
            if token == TOKENIZER.eos_token_id:
                break
            written.append(token)
    return TOKENIZER.decode(written)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_a_batch_answers_as_each_prompt_does_alone(model, batch):
    expected = [alone(model, prompt, 10) for prompt in PROMPTS]
    assert len({len(text) for text in expected}) > 1  # some end before the others
    assert answer(model, TOKENIZER, PROMPTS, 10, batch) == expected


def test_an_answer_has_at_most_the_tokens_asked_for(model):
    assert all(len(text) <= 3 for text in answer(model, TOKENIZER, PROMPTS, 3))


def test_the_models_mode_stays_as_it_was(model):
    model.train()
    answer(model, TOKENIZER, ["1"], 1)
    assert model.training
    model.eval()


def test_an_empty_prompt_is_refused(model):
    with pytest.raises(ValueError, match="prompt 1 is empty"):
        answer(model, TOKENIZER, ["1", ""], 1)


def test_answers_are_scored_in_the_order_of_the_items(model, monkeypatch):
    items = list(make_task("chains", train=1, test=9).test)
    told = [item["answer"] if number % 3 == 0 else "x" for number, item in enumerate(items)]
    monkeypatch.setattr("lib.models.answering.answer", lambda *given: told)
    score = score_answers(model, TOKENIZER, "chains", items)
    assert score.correct == (True, False, False) * 3
    assert score.style == (1.0, 0.0, 0.0) * 3
    assert score.accuracy == pytest.approx(1 / 3)
    assert repr(score) == "AnswerScore(chains: 3 of 9 right, 0.333; style 0.333)"


@pytest.fixture(scope="module")
def items():
    return list(make_task("brackets", train=1, test=12).test)


def test_a_model_is_at_no_distance_from_itself(model, items):
    divergence = answer_divergence(answer_states(model, TOKENIZER, items, batch=5), model)
    assert divergence.mean == pytest.approx(0, abs=1e-6)
    assert divergence.tokens == tuple(len(item["answer"]) + 1 for item in items)


def test_the_divergence_is_that_of_the_definition(model, items):
    other = build_shape(replace(SHAPES["llama"], width=32, inner=48), seed=2).eval()
    divergence = answer_divergence(answer_states(model, TOKENIZER, items, batch=5), other)
    expected = []
    for item in items:
        prompt, text = (TOKENIZER(item[column])["input_ids"] for column in ("prompt", "answer"))
        ids = torch.tensor([[*prompt, *text, TOKENIZER.eos_token_id]])
        with torch.inference_mode():
            p, q = (one(ids).logits[0, len(prompt) - 1 : -1].double().softmax(-1) for one in (model, other))
        expected.append((p * (p / q).log()).sum(-1).mean().item())
    assert divergence.per_item == pytest.approx(expected, rel=1e-3)
    weighted = sum(mean * count for mean, count in zip(expected, divergence.tokens, strict=True))
    assert divergence.mean == pytest.approx(weighted / sum(divergence.tokens), rel=1e-3)
