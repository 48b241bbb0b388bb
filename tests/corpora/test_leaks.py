import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.corpora.leaks import GRAM, leak_rate


def words(first, count):
    return " ".join(f"w{number}" for number in range(first, first + count))


def plain_leak_rate(train, held_out):
    def grams(text):
        tokens = text.casefold().split()
        return [tuple(tokens[start : start + GRAM]) for start in range(len(tokens) - GRAM + 1)]

    seen = {gram for text in train for gram in grams(text)}
    wanted = [gram for text in held_out for gram in grams(text)]
    return sum(gram in seen for gram in wanted) / len(wanted) if wanted else math.nan


def test_other_text_leaks_nothing_and_the_same_text_leaks_all():
    assert leak_rate([words(0, 50)], [words(100, 50)]) == 0
    assert leak_rate([words(0, 50)], [words(0, 50).upper() + "!"]) == 1


def test_a_shared_run_of_fifteen_words_is_three_leaks():
    held_out = f"{words(100, 10)} {words(0, 15)} {words(200, 10)}"
    assert leak_rate([words(0, 15)], [held_out]) == pytest.approx(3 / (35 - 12))


def test_runs_do_not_cross_documents():
    assert leak_rate([words(0, 7), words(7, 7)], [words(0, 14)]) == 0


def test_too_short_a_text_has_no_rate():
    assert math.isnan(leak_rate([words(0, 50)], ["a few words"]))


texts = st.lists(st.lists(st.sampled_from("ab"), min_size=10, max_size=30).map(" ".join), max_size=4)


@given(texts, texts)
def test_it_counts_what_plain_sets_of_tuples_count(train, held_out):
    assert leak_rate(train, held_out) == pytest.approx(plain_leak_rate(train, held_out), nan_ok=True)
