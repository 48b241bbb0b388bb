import json
import re
from itertools import pairwise

import pytest

from lib.corpora import CorpusError
from lib.corpora.tasks import TASKS, fingerprint, is_correct, make_task, run, style_score
from lib.corpora.tasks.task import is_held_out

SCORED = [name for name in TASKS if name != "primer"]


@pytest.fixture(scope="module", params=SCORED)
def task(request):
    return make_task(request.param, train=800, test=200, seed=3)


def numbers_in(item):
    """The numbers that stand in a prompt, read from the text and not from the column that decided the side."""
    return tuple(sorted(re.findall(r"\d+", item["prompt"]), key=int))


def test_it_has_the_items_asked_for_all_different(task):
    assert (len(task.train), len(task.test)) == (800, 200)
    assert len(set(task.train["prompt"])) == 800
    assert len(set(task.test["prompt"])) == 200


def test_nothing_of_a_held_out_item_stands_in_training(task):
    assert not set(task.train["prompt"]) & set(task.test["prompt"])
    assert not set(task.train["numbers"]) & set(task.test["numbers"])


@pytest.mark.parametrize("name", ["arithmetic", "cards", "programs", "records"])
def test_no_held_out_set_of_numbers_stands_in_a_training_prompt(name):
    task = make_task(name, train=2000, test=300)
    assert not {numbers_in(item) for item in task.train} & {numbers_in(item) for item in task.test}


def test_items_of_one_seed_are_held_out_from_those_of_another(task):
    other = make_task(task.name, train=800, test=1, seed=4)
    assert set(other.train["prompt"]) != set(task.train["prompt"])
    assert not set(other.train["numbers"]) & set(task.test["numbers"])


def test_the_same_seed_gives_the_same_items(task):
    again = make_task(task.name, train=800, test=200, seed=3)
    assert fingerprint(again.train) == fingerprint(task.train)
    assert fingerprint(again.test) == fingerprint(task.test)


def test_the_number_of_training_items_does_not_change_the_held_out_ones(task):
    assert fingerprint(make_task(task.name, train=10, test=200, seed=3).test) == fingerprint(task.test)


def test_its_own_answers_are_right_and_in_style(task):
    assert all(is_correct(task.name, item, item["answer"]) for item in task.test)
    assert all(style_score(task.name, item["answer"]) == 1 for item in task.test)


def test_an_answer_to_another_item_is_wrong(task):
    items = list(task.test)
    wrong = [(one, two) for one, two in pairwise(items) if one["answer"] != two["answer"]]
    right = sum(is_correct(task.name, one, two["answer"]) for one, two in wrong)
    assert right < 0.1 * len(wrong)  # word problems and programs may agree by chance


def test_a_fifth_of_what_can_be_drawn_is_held_out():
    assert 0.17 < sum(is_held_out(str(number)) for number in range(5000)) / 5000 < 0.23


def test_the_items_are_these_on_every_machine():
    first = make_task("arithmetic", train=1, test=1).test[0]
    assert is_held_out(first["numbers"])
    assert fingerprint(make_task("chains", train=5, test=5).test)[:12] == "261c4634c0a2"
    assert fingerprint(make_task("programs", train=5, test=5).test)[:12] == "e3a6bfc3a81c"


def test_word_problems_are_right_when_computed_again():
    for item in make_task("arithmetic", train=300, test=1).train:
        steps = re.findall(r"(\d+)([-+*/])(\d+)=(\d+)", item["answer"])
        for left, sign, right, result in steps:
            left, right = int(left), int(right)
            expected = {"+": left + right, "-": left - right, "*": left * right, "/": left / right}[sign]
            assert expected == int(result)
        assert 2 <= len(steps) <= 3
        assert item["answer"].endswith(f"={steps[-1][3]} #{steps[-1][3]}")
        # Every number of the question is used once, and nothing else but results.
        used = [number for left, _, right, _ in steps for number in (left, right)]
        assert sorted(re.findall(r"\d+", item["prompt"])) == sorted(_without(used, [step[3] for step in steps[:-1]]))


def _without(numbers, results):
    left = list(numbers)
    for result in results:
        left.remove(result)
    return left


def test_a_word_problem_is_judged_by_the_number_after_the_last_sign():
    item = make_task("arithmetic", train=1, test=1).test[0]
    result = item["answer"].split("#")[1]
    assert is_correct("arithmetic", item, f"so it is #1 or rather # {result}")
    assert not is_correct("arithmetic", item, f"{result}")
    assert style_score("arithmetic", f"so it is #{result}") == 0


def test_programs_are_right_when_run_and_when_python_computes_them():
    for item in make_task("programs", train=200, test=1).train:
        checks = json.loads(item["checks"])
        for argument, result in checks["cases"]:
            assert run(item["answer"], {checks["argument"]: argument}) == result, item


def test_a_program_written_otherwise_is_right():
    items = make_task("programs", train=400, test=1).train
    item = next(item for item in items if item["kind"] == "sum" and "greater" in item["prompt"])
    change, bound = re.search(r"sum of (.*) for .* than (\d+)", item["prompt"]).groups()
    assert is_correct("programs", item, f"\n    return sum([{change} for x in xs if x > {bound}])")
    assert not is_correct("programs", item, f"\n    return sum([{change} for x in xs if x >= 0 - {bound}])")


@pytest.mark.parametrize(
    "answer", ["", "\n    return 0", "\n    import os\n    return 1", "\n    while True:\n        pass"]
)
def test_a_program_that_does_nothing_or_never_ends_is_wrong(answer):
    for item in make_task("programs", train=50, test=1).train:
        assert not is_correct("programs", item, answer)


def test_a_programs_style_is_whether_it_lies_in_the_subset():
    assert style_score("programs", "\n    return n + 1") == 1
    assert style_score("programs", "\n    return n.real") == 0


@pytest.mark.parametrize(
    ("card", "style"),
    [
        ("LIND Mara|1987-03-09|OSLO 14", 1.0),
        ("LIND Mara|1987-03-09|Oslo 14", 0.75),
        ("Mara Lind|1987-3-9|Oslo 14", 0.25),
        ("Mara Lind lives in Oslo.", 0.0),
    ],
)
def test_a_cards_style_is_the_share_of_rules_that_it_keeps(card, style):
    assert style_score("cards", card) == style


def test_chains_records_and_brackets_are_right_when_computed_again():
    for item in make_task("chains", train=50, test=1).train:
        terms = re.findall(r"([-+*]?)(\d)", item["prompt"])
        value, results = int(terms[0][1]), [terms[0][1]]
        for sign, digit in terms[1:]:
            value = {"+": value + int(digit), "-": value - int(digit), "*": value * int(digit)}[sign] % 7
            results.append(str(value))
        assert item["answer"] == ",".join(results)
    for item in make_task("records", train=50, test=1).train:
        pairs = [pair.split("=") for pair in item["prompt"].rstrip(">").split()]
        assert item["answer"] == "|".join(f"{key.upper()}:{value}" for key, value in pairs)
    for item in make_task("brackets", train=50, test=1).train:
        closed = item["prompt"].rstrip("~") + item["answer"]
        while closed:
            shorter = re.sub(r"\(\)|\[\]|\{\}|<>", "", closed)
            assert shorter != closed, item
            closed = shorter


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(CorpusError, match="no task 'poems'; there are arithmetic, cards"):
        make_task("poems")


def test_more_items_than_there_are_is_an_error():
    with pytest.raises(CorpusError, match="task toy yields 1 different training items, asked for 2"):
        from lib.corpora.tasks.task import Generator, Item, build_task

        toy = Generator("toy", "", lambda dice: Item("7=", "7", "", "7"), lambda item, text: True, lambda text: 1.0, 1)
        build_task(toy, train=2, test=0)
