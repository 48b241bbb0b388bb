import random

import pytest

from lib.corpora.documents import Document, cap_groups, deduplicate

LONG = "a sentence with quite enough different words to count as a paragraph of its own, number {}; " * 3


def document(text, group="a", name="x"):
    return Document(text, group, name)


def test_a_document_said_twice_stays_once():
    kept = deduplicate([document(LONG.format(1, 1, 1), "a"), document(LONG.format(1, 1, 1), "b")])
    assert [one.group for one in kept] == ["a"]


def test_case_and_white_space_do_not_make_a_text_new():
    text = LONG.format(1, 1, 1)
    assert len(deduplicate([document(text), document(text.upper().replace(" ", "\n   "))])) == 1


def test_a_repeated_paragraph_goes_and_the_rest_of_its_document_stays():
    shared, own = LONG.format(1, 1, 1), LONG.format(2, 2, 2)
    kept = deduplicate([document(shared), document(f"{own}\n\n{shared}")])
    assert kept[1].text == own.strip()


def test_short_paragraphs_such_as_headings_may_repeat():
    texts = [f"Parameters\n\n{LONG.format(number, number, number)}" for number in range(2)]
    assert all(one.text.startswith("Parameters") for one in deduplicate(map(document, texts)))


def test_what_is_left_under_two_hundred_characters_is_dropped():
    assert deduplicate([document("too short to keep")]) == []


@pytest.mark.parametrize("sizes", [(50, 50, 3, 3, 3, 3, 3), (9, 1, 1, 1, 1, 1, 1), (30, 20, 10, 5, 5, 5, 5), (4,) * 6])
def test_no_group_gets_more_than_its_share(sizes):
    documents = [document(f"{group}{n:04d}" * 20, str(group)) for group, size in enumerate(sizes) for n in range(size)]
    kept = cap_groups(documents, 0.2)
    total = sum(len(one.text) for one in kept)
    for group in range(len(sizes)):
        size = sum(len(one.text) for one in kept if one.group == str(group))
        assert size <= 0.2 * total + 100  # within one document
    smallest = str(len(sizes) - 1)
    assert sum(one.group == smallest for one in kept) == sizes[-1]


def test_too_few_groups_to_cap_are_left_alone():
    documents = [document(f"{n}", group) for n in range(5) for group in "ab"]
    assert len(cap_groups(documents, 0.2)) == len(documents)


def test_what_is_cut_does_not_depend_on_the_order_of_reading():
    documents = [document(f"{group}{n}" * 9, str(group)) for group in range(6) for n in range(40 if group == 0 else 4)]
    shuffled = random.Random(0).sample(documents, len(documents))
    assert cap_groups(documents, 0.2) == cap_groups(shuffled, 0.2)
