import types

import pytest
import torch

from lib.onebit.training.generation import GenerationRecipe, generate_blocks, generate_sequences

ENDS = 0
TOKENIZER = types.SimpleNamespace(eos_token_id=ENDS, all_special_ids=[ENDS])


def sequences(teacher, **settings):
    return generate_sequences(teacher, ENDS, GenerationRecipe(**{"sequences": 40, "longest": 20, **settings}), {ENDS})


def test_the_same_seed_writes_the_same_text_and_another_another(teacher):
    assert sequences(teacher) == sequences(teacher) != sequences(teacher, seed=1)


def test_first_tokens_come_from_the_whole_vocabulary_but_the_end_of_text(teacher):
    first = {sequence[0] for sequence in sequences(teacher, sequences=600, longest=2)}
    assert first == set(range(1, 64))


def test_after_the_first_token_the_likeliest_ones_follow_and_then_samples(teacher):
    for sequence in sequences(teacher, greedy=(4, 4)):
        ids = torch.tensor([sequence[:5]])
        with torch.no_grad():
            likeliest = teacher(ids).logits.argmax(-1)[0]
        assert sequence[1:5] == likeliest[: len(sequence) - 1].tolist()[:4]
    after_greedy = {tuple(one[5:]) for one in sequences(teacher, sequences=200, greedy=(4, 4)) if one[0] == 7}
    assert len(after_greedy) != 1


def test_a_sequence_ends_where_the_teacher_ends_the_text(teacher):
    teacher.lm_head.weight = torch.nn.Parameter(teacher.lm_head.weight.clone())  # untied
    teacher.lm_head.weight.data[ENDS] = 0
    lengths = {len(sequence) for sequence in sequences(teacher)}
    assert max(lengths) <= 20
    assert len(lengths) > 1
    assert all(ENDS not in sequence for sequence in sequences(teacher))


def test_blocks_hold_the_sequences_between_ends_of_text(teacher):
    recipe = GenerationRecipe(sequences=10, longest=9, seed=2)
    written = generate_sequences(teacher, ENDS, recipe, {ENDS})
    stream = [token for sequence in written for token in (ENDS, *sequence)] + [ENDS]
    blocks = generate_blocks(teacher, TOKENIZER, recipe, 8)
    assert blocks.dtype == torch.int32
    assert blocks.flatten().tolist() == stream[: blocks.numel()]
    assert len(stream) - blocks.numel() < 8


def test_too_little_for_one_block_is_an_error(teacher):
    with pytest.raises(ValueError, match=r"2 sequences gave .* fewer than one block of 1000"):
        generate_blocks(teacher, TOKENIZER, GenerationRecipe(sequences=2, longest=3), 1000)
