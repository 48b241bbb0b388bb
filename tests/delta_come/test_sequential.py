import copy

import pytest
import torch

from lib.delta_come import CompressOptions, DeltaError, compress_blocks, compress_delta, take_pair
from lib.delta_come.delta import grown, split_rows
from tests.delta_come.conftest import finetuned_from
from tests.delta_come.test_delta import qwen

RULE, RATIO = "8:2,3:4,2:rest", 1 / 8
RTN = CompressOptions(quantiser="rtn")


def merged(base, delta, finetuned):
    """The model that a delta makes of its base, in the fine-tune's class."""
    model = copy.deepcopy(finetuned)
    with torch.no_grad():
        for name, matrix in delta.matrices.items():
            model.get_parameter(name).copy_(base.get_parameter(name) + matrix.delta())
        for name, raw in delta.raw.items():
            whole, _ = split_rows(name)
            model.get_parameter(whole).copy_(grown(base.get_parameter(whole), name, raw))
    return model


def divergence(model, finetuned, blocks):
    with torch.no_grad():
        ours, theirs = (each(blocks.long()).logits.log_softmax(-1) for each in (model, finetuned))
    return torch.nn.functional.kl_div(ours, theirs, log_target=True, reduction="sum").item() / blocks.numel()


def same(first, second):
    return all(
        torch.equal(a.V.codes, b.V.codes) and torch.equal(a.U.codes, b.U.codes) and torch.equal(a.V.scales, b.V.scales)
        for name in first
        for a, b in zip(first[name].groups, second[name].groups, strict=True)
    )


@pytest.fixture(scope="module")
def compressed(base, finetuned, blocks):
    return compress_delta(base, finetuned, RULE, RATIO, blocks)


def test_every_projection_is_compressed_and_the_rest_is_raw(compressed, base, finetuned):
    assert tuple(compressed.matrices) == take_pair(base, finetuned).projections
    assert "model.norm.weight" in compressed.raw
    assert (compressed.plan, compressed.ratio, compressed.tied) == (RULE, RATIO, True)
    assert compressed.options == CompressOptions().as_dict()
    assert compressed.base_hash != compressed.finetuned_hash


def test_base_and_delta_come_near_the_fine_tune(compressed, base, finetuned, blocks):
    before = divergence(base, finetuned, blocks)
    assert divergence(merged(base, compressed, finetuned), finetuned, blocks) < 0.25 * before


def test_calibrated_compression_is_nearer_than_rounding(compressed, base, finetuned, blocks):
    rounded = compress_delta(base, finetuned, RULE, RATIO, options=RTN)
    near, far = (divergence(merged(base, delta, finetuned), finetuned, blocks) for delta in (compressed, rounded))
    assert near < 0.9 * far


def test_the_same_arguments_give_the_same_bits(compressed, base, finetuned, blocks):
    again = compress_delta(base, finetuned, RULE, RATIO, blocks)
    assert same(compressed.matrices, again.matrices)


@pytest.mark.parametrize("repeated", [False, True])
def test_it_goes_on_from_what_was_finished(base, finetuned, blocks, repeated):
    pair, options = take_pair(base, finetuned), CompressOptions(repeated_calibration=repeated)
    first, second = compress_blocks(pair, finetuned, RULE, RATIO, blocks, options)
    assert len(first) == 7
    resumed = list(compress_blocks(pair, finetuned, RULE, RATIO, blocks, options, finished=first))
    assert resumed[0] == first
    assert same(resumed[1], second)


def test_the_models_stay_as_they_were(base, finetuned, blocks):
    before = {name: weight.clone() for name, weight in finetuned.state_dict().items()}
    walk = compress_blocks(take_pair(base, finetuned), finetuned, RULE, RATIO, blocks)
    next(walk)
    assert torch.is_grad_enabled()
    assert all(torch.equal(weight, before[name]) for name, weight in finetuned.state_dict().items())


def test_a_layer_is_calibrated_on_the_compressed_layers_before_it(base, finetuned, blocks, monkeypatch):
    from lib.delta_come.calibration import CalibrationInputs

    seen = []
    plain = CalibrationInputs.hessian
    monkeypatch.setattr(CalibrationInputs, "hessian", lambda *given: seen.append(plain(*given)) or seen[-1])
    delta = compress_delta(base, finetuned, RULE, RATIO, blocks)
    model = merged(base, delta, finetuned)
    assert len(seen) == 8  # q, k, v; o; gate, up; down: of two blocks
    with torch.no_grad():
        walk = CalibrationInputs(model, blocks)
        walk.advance(model.model.layers[0])
        expected = plain(walk, model.model.layers[1], model.model.layers[1].mlp.down_proj)
    assert torch.allclose(seen[-1], expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_the_released_order_passes_the_data_once_a_width(base, finetuned, blocks, monkeypatch, compressed):
    from lib.delta_come.calibration import CalibrationInputs

    passed = []
    plain = CalibrationInputs.advance
    monkeypatch.setattr(CalibrationInputs, "advance", lambda self, block: passed.append(block) or plain(self, block))
    released = compress_delta(base, finetuned, RULE, RATIO, blocks, CompressOptions(repeated_calibration=True))
    assert len(passed) == 6  # two blocks, three widths
    assert not same(released.matrices, compressed.matrices)
    assert divergence(merged(base, released, finetuned), finetuned, blocks) < divergence(base, finetuned, blocks)


def test_shared_embeddings_are_left_out_and_calibrated_with(base, finetuned, blocks, monkeypatch):
    options = CompressOptions(shared_embeddings=True)
    delta = compress_delta(base, finetuned, RULE, RATIO, blocks, options)
    assert not any("embed" in name for name in delta.raw)
    assert "model.norm.weight" in delta.raw
    served = copy.deepcopy(finetuned)
    with torch.no_grad():
        served.get_input_embeddings().weight.copy_(base.get_input_embeddings().weight)
    expected = compress_delta(base, served, RULE, RATIO, blocks)
    assert same(delta.matrices, expected.matrices)


def test_other_shapes_are_compressed_alike(blocks):
    base = qwen()
    with torch.no_grad():
        for weight in base.parameters():
            weight.mul_(8 if weight.ndim > 1 else 1)
    finetuned = finetuned_from(base)
    delta = compress_delta(base, finetuned, RULE, RATIO, blocks)
    assert not delta.tied
    assert delta.matrices["model.layers.0.self_attn.v_proj.weight"].shape == (32, 64)
    assert "model.layers.0.self_attn.q_proj.bias" in delta.raw
    assert divergence(merged(base, delta, finetuned), finetuned, blocks) < divergence(base, finetuned, blocks)


def test_untrained_layers_are_zero_deltas_and_cost_no_hessian(base, finetuned, blocks, monkeypatch):
    from lib.delta_come.calibration import CalibrationInputs

    seen = []
    plain = CalibrationInputs.hessian
    monkeypatch.setattr(CalibrationInputs, "hessian", lambda *given: seen.append(plain(*given)) or seen[-1])
    partly = copy.deepcopy(finetuned)
    with torch.no_grad():
        for name, weight in partly.named_parameters():
            if "layers.0" in name or "up_proj" in name:
                weight.copy_(base.get_parameter(name))
    delta = compress_delta(base, partly, RULE, RATIO, blocks)
    assert delta.matrices["model.layers.0.mlp.down_proj.weight"].groups == ()
    assert delta.matrices["model.layers.1.mlp.up_proj.weight"].groups == ()
    assert delta.matrices["model.layers.1.mlp.gate_proj.weight"].groups
    assert tuple(delta.matrices) == take_pair(base, partly).projections
    assert len(seen) == 4  # of the second block alone


def test_calibration_text_is_asked_for_where_it_is_needed(base, finetuned):
    with pytest.raises(DeltaError, match="need calibration text"):
        compress_delta(base, finetuned, RULE, RATIO)


def test_a_budget_too_small_names_the_matrix(base, finetuned):
    with pytest.raises(DeltaError, match=r"does not fit model.layers.0.self_attn.q_proj.weight \(64 x 64\)"):
        compress_delta(base, finetuned, RULE, 1 / 64, options=RTN)


def test_a_weight_that_is_not_finite_is_named(base, finetuned):
    broken = copy.deepcopy(finetuned)
    with torch.no_grad():
        broken.get_parameter("model.layers.1.mlp.up_proj.weight")[0, 0] = float("inf")
    with pytest.raises(DeltaError, match=r"layers.1.mlp.up_proj.weight of LlamaForCausalLM holds inf"):
        compress_delta(base, broken, RULE, RATIO, options=RTN)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"quantiser": "awq"}, "the quantiser is 'gptq' or 'rtn'"),
        ({"group_size": 0}, "a group has at least one column"),
        ({"damping": 1.5}, "damping is a share"),
        ({"repeated_calibration": True, "whiten": True}, "leave whiten and resolve_u off"),
    ],
)
def test_options_that_make_no_sense_are_refused(given, message):
    with pytest.raises(DeltaError, match=message):
        CompressOptions(**given)
