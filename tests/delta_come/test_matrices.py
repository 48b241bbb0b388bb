from dataclasses import replace

import pytest
import torch

from lib.delta_come import CompressOptions, EqualBytes, MarginalGain, Plan
from lib.delta_come.allocation import CLIPPED
from lib.delta_come.factors import values
from lib.delta_come.gptq import gptq, prepare
from lib.delta_come.matrices import compress_matrices, make_task
from tests.delta_come.conftest import hessian_of, make_layer, output_error

RULE = Plan.parse("8:2,3:6,2:rest")
SMALL_GROUPS = CompressOptions(group_size=16)


def compressed(delta, inputs, options=SMALL_GROUPS, rule=RULE, ratio=0.2):
    hessian = hessian_of(inputs)
    task = make_task("q", delta, rule, ratio, options, hessian)
    return compress_matrices([task], hessian, options)["q"]


def mean_error(options, rule=RULE, seeds=range(4)):
    errors = [
        output_error(delta, compressed(delta, x, options, rule).delta(), x) for delta, x in map(make_layer, seeds)
    ]
    return sum(errors) / len(errors)


def test_groups_have_the_ranks_and_bits_of_the_plan():
    delta, inputs = make_layer(0)
    found = compressed(delta, inputs)
    plan = RULE.resolve(48, 40, 0.2)
    assert [(group.bits, group.ranks) for group in found.groups] == [(g.bits, g.ranks) for g in plan.groups]
    assert found.shape == (48, 40)


@pytest.mark.parametrize(
    "options",
    [
        SMALL_GROUPS,
        replace(SMALL_GROUPS, symmetric=True),
        replace(SMALL_GROUPS, static_groups=True),
        replace(SMALL_GROUPS, rank_scales=True),
        replace(SMALL_GROUPS, quantiser="rtn", rank_scales=True),
    ],
)
def test_its_bytes_are_those_of_the_plan(options):
    delta, inputs = make_layer(1)
    found = compressed(delta, inputs, options)
    assert found.true_bytes == -(-RULE.resolve(48, 40, 0.2).true_bits(48, 40, options.storage) // 8)


def test_U_is_calibrated_on_what_the_quantised_V_puts_out():
    delta, inputs = make_layer(2)
    rule, options = Plan.parse("3:12"), replace(SMALL_GROUPS, act_order=False)
    (found,) = compressed(delta, inputs, options, rule).groups
    task = make_task("q", delta, rule, 0.2, options)
    outputs = (inputs @ values(found.V).T) * found.singular_values.float()
    (expected,) = gptq([(task.directions.U, 3)], prepare(hessian_of(outputs), act_order=False), options.grid)
    assert (expected.codes == found.U.codes).float().mean() > 0.99


def test_calibrating_U_on_V_as_it_was_loses_more():
    rule, options = Plan.parse("2:20"), replace(SMALL_GROUPS, act_order=False)
    ours, others = 0.0, 0.0
    for seed in range(6):
        delta, inputs = make_layer(seed)
        matrix = compressed(delta, inputs, options, rule, 0.3)
        (group,) = matrix.groups
        task = make_task("q", delta, rule, 0.3, options)
        exact = (inputs @ task.directions.V.T) * task.directions.singular_values
        (other,) = gptq([(task.directions.U, 2)], prepare(hessian_of(exact), act_order=False), options.grid)
        ours += output_error(delta, matrix.delta(), inputs)
        others += output_error(delta, replace(group, U=other).delta(), inputs)
    assert ours < others


def test_the_order_of_ranks_of_U_is_taken_over_by_V():
    delta, inputs = make_layer(3)
    for group in compressed(delta, inputs).groups:
        assert group.U.permutation is None
        assert group.V.permutation is not None
    assert output_error(delta, compressed(delta, inputs).delta(), inputs) < 0.5


def test_matrices_with_the_same_inputs_are_compressed_as_each_alone():
    (first, inputs), (second, _) = make_layer(4), make_layer(5, m=30)
    hessian = hessian_of(inputs)
    tasks = [make_task(name, delta, RULE, 0.2, SMALL_GROUPS) for name, delta in (("q", first), ("k", second))]
    both = compress_matrices(tasks, hessian, SMALL_GROUPS)
    assert torch.equal(both["q"].delta(), compressed(first, inputs).delta())
    assert torch.equal(both["k"].delta(), compressed(second, inputs).delta())


def test_sixteen_bits_are_kept_as_they_are():
    delta, inputs = make_layer(6)
    found = compressed(delta, inputs, rule=Plan.parse("16:5"), ratio=0.4)
    best = make_task("q", delta, Plan.parse("16:5"), 0.4).directions.reconstruct()
    assert torch.allclose(found.delta(), best, atol=2e-3)
    assert isinstance(found.groups[0].U, torch.Tensor)


def test_a_zero_delta_has_no_groups():
    _, inputs = make_layer(0)
    assert compressed(torch.zeros(48, 40), inputs).groups == ()


def test_a_delta_of_few_ranks_takes_no_more():
    delta, inputs = make_layer(0)
    thin = make_task("q", delta, Plan.parse("16:3"), 0.4).directions.reconstruct()
    assert [group.ranks for group in compressed(thin, inputs).groups] == [2, 1]


def test_small_singular_values_are_kept_in_float32():
    delta, inputs = make_layer(0)
    assert compressed(delta, inputs).groups[0].singular_values.dtype == torch.float16
    tiny = compressed(delta * 1e-6, inputs)
    assert tiny.groups[0].singular_values.dtype == torch.float32
    assert output_error(delta * 1e-6, tiny.delta(), inputs) < 0.5


def test_gptq_keeps_the_outputs_better_than_rounding():
    assert mean_error(SMALL_GROUPS) < 0.8 * mean_error(replace(SMALL_GROUPS, quantiser="rtn"))


@pytest.mark.parametrize("better", [{"clip": True}, {"resolve_u": True}, {"whiten": True}])
def test_each_improvement_lowers_the_error_at_the_outputs(better):
    assert mean_error(replace(SMALL_GROUPS, **better)) < mean_error(SMALL_GROUPS)


def test_an_allocation_by_marginal_gain_lowers_it_at_no_more_bytes():
    options = CompressOptions(clip=True)
    gain = MarginalGain(like="8:2,3:6,2:rest", loss=CLIPPED)
    for seed in range(3):
        delta, inputs = make_layer(seed)
        plain, chosen = compressed(delta, inputs, options), compressed(delta, inputs, options, gain)
        assert chosen.true_bytes <= plain.true_bytes
        assert output_error(delta, chosen.delta(), inputs) < output_error(delta, plain.delta(), inputs)


def test_equal_bytes_are_spent_on_further_ranks_where_scales_cost_less():
    delta, inputs = make_layer(0)
    options, rule = CompressOptions(rank_scales=True), "8:2,3:6,2:rest"
    filled = compressed(delta, inputs, options, EqualBytes(rule, like=rule), 0.2)
    plain = compressed(delta, inputs, options, Plan.parse(rule), 0.2)
    assert sum(group.ranks for group in filled.groups) > sum(group.ranks for group in plain.groups)
