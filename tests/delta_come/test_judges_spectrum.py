"""The judges of spectra and of determinism, on made-up runs."""

from dataclasses import replace

from lib.delta_come.claims import CLAIMS
from lib.delta_come.metrics import CompressOneLayer, LookAtTheSpectrum
from lib.ledger import Status, judge

BY_NUMBER = {claim.id.removeprefix("delta_come."): claim for claim in CLAIMS}

LONG_TAILED = LookAtTheSpectrum(
    model="tiny",
    model_parameters=100,
    pair="tiny llama",
    task="chains",
    regime="large",
    seed=0,
    matrices=14,
    head={"q": 0.3, "down": 0.2},
    control_head={"q": 0.1, "down": 0.1},
    tail={"q": 0.5, "down": 0.6},
    control_tail={"q": 0.7, "down": 0.7},
    structured={"q": 0.1, "down": 0.1},
)
COMPRESSED = CompressOneLayer(
    model="tiny",
    model_parameters=100,
    pair="tiny llama",
    regime="large",
    seed=0,
    matrix="model.layers.0.mlp.down_proj.weight",
    outputs=64,
    inputs=176,
    nominal=1 / 16,
    true=1 / 12,
    output_error={},
    weight_error={},
    true_by_variant={},
    differing_bytes=0,
    file_bytes=5000,
)


def spectra(**changes):
    return judge(BY_NUMBER["C1"], [replace(LONG_TAILED, seed=seed, **changes) for seed in range(3)]).status


def test_a_heavy_head_and_a_long_tail_hold():
    assert spectra() is Status.HOLDS


def test_one_type_with_a_light_head_is_enough_to_fail():
    assert spectra(head={"q": 0.3, "down": 0.12}) is Status.FAILS


def test_a_low_rank_delta_fails():
    assert spectra(tail={"q": 0.1, "down": 0.6}) is Status.FAILS


def test_a_head_that_random_signs_have_too_fails():
    assert spectra(control_head={"q": 0.1, "down": 0.25}) is Status.FAILS


def test_each_regime_has_to_hold():
    small = replace(LONG_TAILED, regime="small", tail={"q": 0.1, "down": 0.1})
    judged = judge(BY_NUMBER["C1"], [LONG_TAILED, small])
    assert judged.status is Status.FAILS
    assert "tiny chains large" in judged.reason
    assert "tiny chains small" in judged.reason


def test_a_base_is_judged_by_itself_and_named():
    low_rank = replace(LONG_TAILED, base="smollm2-135m-instruct", task="arithmetic", tail={"q": 0.24, "down": 0.6})
    judged = judge(BY_NUMBER["C1"], [*(replace(LONG_TAILED, seed=seed) for seed in range(3)), low_rank])
    assert judged.status is Status.FAILS
    assert "smollm2-135m-instruct arithmetic large" in judged.reason
    assert judge(BY_NUMBER["C1"], [low_rank]).status is Status.FAILS


def test_each_artifact_is_judged_by_itself_and_named():
    other = replace(COMPRESSED, base="smollm2-135m-instruct", differing_bytes=3)
    judged = judge(BY_NUMBER["C17"], [COMPRESSED, other])
    assert (judged.status, judged.measured) == (Status.FAILS, 3.0)
    assert "smollm2-135m-instruct large: 3 violations" in judged.reason


def test_equal_files_hold():
    assert judge(BY_NUMBER["C17"], [COMPRESSED]).status is Status.HOLDS


def test_a_single_other_byte_fails():
    assert judge(BY_NUMBER["C17"], [COMPRESSED, replace(COMPRESSED, differing_bytes=1)]).status is Status.FAILS
