import re
from inspect import getsource

import pytest

from lib.onebit import judges_training
from lib.onebit.training import LossWeights, variants


def all_names():
    found = variants.starts(list(variants.START_FORMS), 1e-3, 1e-2)
    found += variants.starts_at_released_rate(["SVID by NMF", "copy", "random signs"])
    return {each.name for each in found + variants.losses([1.0, 10.0], 1e-3)} | set(variants.RATE_FORMS)


def test_every_student_that_a_judge_asks_for_is_in_the_tables():
    source = getsource(judges_training)
    students = r'"((?:SVID|copy|random|logits|OneBit|BitNet)[^"{]*)"'
    asked = set(re.findall(students, source)) - {variants.ATTENTION}
    assert len(asked) > 10
    assert asked <= all_names()
    assert f'"{variants.AT_RELEASED_RATE}"' in source
    for name in (variants.ATTENTION, variants.CONTROL):
        assert {f"{name}, {precision}" for precision in ("fp32", "bf16")} <= all_names()
    assert f'pair = "{variants.ATTENTION}", "{variants.CONTROL}"' in source


def test_latents_of_either_size_have_their_own_rate_and_the_released_one_is_for_all():
    names = ["SVID by NMF", "copy"]
    assert [each.learning_rate for each in variants.starts(names, 1e-3, 1e-2)] == [1e-3, 1e-2]
    assert [each.learning_rate for each in variants.starts_at_released_rate(names)] == [4e-4, 4e-4]


def test_the_seed_reaches_the_start():
    assert {each.form.start.seed for each in variants.starts(list(variants.START_FORMS), 1e-3, 1e-2, seed=5)} == {5}
    assert variants.rates(["OneBit"], [1e-3], seed=5)[0].form.start.seed == 5


def test_the_released_loss_keeps_the_release_s_proportions():
    table = {each.name: each.weights for each in variants.losses([], 1e-3)}
    assert table[variants.RELEASED_LOSS] == LossWeights(hidden=1 / 20.48, last_block=False)
    assert table[variants.RELEASED_LOSS_TENFOLD].hidden == pytest.approx(10 / 20.48)


def test_attention_maps_are_matched_in_both_precisions():
    table = {each.name: each.bf16 for each in variants.losses([], 1e-3) if each.weights.attention}
    assert list(table.values()) == [False, True]


def test_each_student_that_matches_attention_maps_has_one_beside_it_in_its_precision():
    table = {each.name: each for each in variants.losses([], 1e-3)}
    for precision, bf16 in (("fp32", False), ("bf16", True)):
        maps, control = (table[f"{name}, {precision}"] for name in (variants.ATTENTION, variants.CONTROL))
        assert (maps.bf16, control.bf16, control.weights) == (bf16, bf16, LossWeights())
        assert (maps.form, maps.learning_rate) == (control.form, control.learning_rate)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((["start"], ["copy"], [1e-3]), "some of starts, losses, rates; got 'start'"),
        (([], ["copy"], [1e-3]), "some of starts, losses, rates; got none"),
        ((["starts"], [], [1e-3]), "needs one start or more; choose among SVID by NMF"),
        ((["starts"], ["svid"], [1e-3]), "no start 'svid'; choose among"),
        ((["rates"], ["copy"], []), "needs one learning rate or more"),
    ],
)
def test_what_is_to_be_compared_is_checked_first(asked, message):
    with pytest.raises(ValueError, match=message):
        variants.check_comparisons(*asked)
    variants.check_comparisons(["losses"], [], [])


@pytest.mark.parametrize(
    "table", [lambda name: variants.starts([name], 1, 1), lambda name: variants.rates([name], [1])]
)
def test_an_unknown_name_is_refused_with_those_there_are(table):
    with pytest.raises(ValueError, match="'svd'; choose among"):
        table("svd")
