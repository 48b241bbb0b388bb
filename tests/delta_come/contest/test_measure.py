import math
from dataclasses import replace

import pytest
import torch

from lib.delta_come.baselines import StoredDelta, low_rank, without_data
from lib.delta_come.contest import (
    METHODS,
    Budget,
    Method,
    activation_error,
    against_lora,
    by_method,
    compare_backbones,
    compete,
    fits_as_the_paper,
    judged_method,
    lead,
    measure,
    metadata_share,
    of_backbones,
    of_curve,
    of_setting,
    recovery_interval,
    rounded_base,
)
from lib.delta_come.errors import DeltaError
from lib.delta_come.metrics import CompareAtEqualBytes
from tests.delta_come.contest.pairs import ITEMS, made_up_setting

BUDGET = Budget(1 / 4)
FEW, MOST = 2, 40  # ranks


def truncated(setting, ranks):
    return without_data(f"rank {ranks}", setting.pair, lambda name, delta: low_rank(name, delta, ranks))


@pytest.fixture(scope="module")
def few(setting):
    return measure(truncated(setting, FEW), setting, BUDGET, activations=True)


@pytest.fixture(scope="module")
def most(setting):
    return measure(truncated(setting, MOST), setting, BUDGET, activations=True)


def test_the_exact_delta_gives_the_finetune_back(setting):
    model = setting.model(None)
    assert setting.divergence(model).mean == pytest.approx(0, abs=1e-6)


def test_no_delta_with_the_bases_own_parts_is_the_base(setting):
    nothing = StoredDelta("nothing", {name: low_rank(name, 0 * d, 1) for name, d in setting.pair.deltas()})
    assert setting.divergence(setting.model(nothing, "base")).mean == pytest.approx(setting.base_divergence.mean)


def test_shared_embeddings_are_the_bases_and_norms_the_finetunes(setting):
    own = setting.model(None, "shared").state_dict()
    base, finetuned = setting.base.model.state_dict(), setting.finetuned.model.state_dict()
    assert torch.equal(own["model.embed_tokens.weight"], base["model.embed_tokens.weight"])
    assert torch.equal(own["model.norm.weight"], finetuned["model.norm.weight"])


def test_recovery_is_the_share_of_the_gain(setting):
    assert setting.recovery(0.25) == 0.25
    assert made_up_setting(answered=3).recovery(0.25) == 0.5


def test_without_a_gain_there_is_no_share_of_it(setting, few, most):
    flat = replace(setting, finetuned_correct=setting.base_correct)
    assert not flat.gained
    assert math.isnan(flat.recovery(0.5))
    assert math.isnan(recovery_interval(flat, few)[0])
    ahead = lead(flat, most, few)
    assert math.isnan(ahead.recovery)
    assert ahead.kl > 0


def test_without_a_gain_a_record_has_no_shares_and_still_has_the_divergences(setting, few, most):
    flat = replace(setting, finetuned_correct=setting.base_correct)
    found = by_method(flat, [replace(most, name="ours"), replace(few, name="other")], "ours")
    assert not {"recovery", "lead"} & set(found)
    assert set(found["kl_lead"]) == {"other"}
    assert "late_lead" not in of_curve(flat, {1 / 20: most, 1 / 32: most}, most, [few])
    with pytest.raises(DeltaError, match="gained next to nothing"):
        compare_backbones(flat, truncated(setting, 1), ())


def test_a_pair_without_a_task_is_measured_by_its_divergence_alone(setting):
    own = replace(setting, task=None, base_correct=(), finetuned_correct=())
    score = measure(truncated(setting, FEW), own, BUDGET)
    assert score.correct == ()
    assert math.isnan(score.accuracy)
    assert math.isnan(score.accuracy_interval[1])
    assert of_setting(own)["base_accuracy"] is None
    assert score.kl > 0


def test_more_ranks_are_closer_in_answers_and_in_activations(few, most):
    assert most.kl < few.kl
    for place, error in most.activation.by_place().items():
        assert error < few.activation.by_place()[place]


def test_activations_of_the_finetune_itself_do_not_err(setting):
    found = activation_error(setting, setting.finetuned.model)
    assert set(found.by_place()) == {(t, c) for t in ("low", "middle", "high") for c in ("all", "outliers")}
    assert max(found.by_place().values()) == 0
    assert set(found.by_type()) == {"q", "k", "v", "o", "gate", "up", "down"}


def test_an_activation_error_is_the_mean_square_over_tokens_that_are_no_filler(setting):
    """The first q projection sees the same inputs in both models but for the embedding, which is the fine-tune's."""
    name = "model.layers.0.self_attn.q_proj.weight"
    model = setting.model(None)
    with torch.no_grad():
        model.get_parameter(name).add_(0.1)
    alone = activation_error(replace(setting, items=setting.items[:1]), model)
    block = setting.finetuned.model.model
    item = setting.items[0]
    tokenizer = setting.finetuned.tokenizer
    ids = torch.tensor([[*tokenizer(item["prompt"] + item["answer"])["input_ids"], tokenizer.eos_token_id]])
    with torch.no_grad():
        x = block.layers[0].input_layernorm(block.embed_tokens(ids))
    assert alone.all[name] == pytest.approx((0.1 * x.sum(-1)).square().mean().item(), rel=1e-4)


def test_what_takes_more_than_the_budget_is_no_contestant(setting, monkeypatch):
    greedy = Method("greedy", "greedy", lambda setting, _budget: truncated(setting, MOST))
    monkeypatch.setitem(METHODS, "greedy", greedy)
    with pytest.raises(DeltaError, match=r"greedy took \d+ bytes of a budget of"):
        compete("greedy", setting, BUDGET)


def test_a_lead_is_the_paired_difference_with_its_interval(setting, few, most):
    ahead = lead(
        setting,
        replace(most, correct=(True,) * ITEMS, recovery=1.0),
        replace(few, correct=(False,) * ITEMS, recovery=0),
    )
    assert ahead.recovery == 1
    assert ahead.recovery_interval == (1, 1)
    assert ahead.kl == pytest.approx(few.kl - most.kl)
    assert ahead.kl_interval[0] <= ahead.kl <= ahead.kl_interval[1]


def test_the_interval_of_recovery_holds_it(setting, few):
    half = replace(few, correct=(True, False) * (ITEMS // 2), recovery=0.5)
    low, high = recovery_interval(setting, half)
    assert low < 0.5 < high
    assert recovery_interval(setting, replace(few, correct=(True,) * ITEMS)) == (1, 1)


def test_a_rounded_base_has_16_values_a_group(setting):
    name, weight = next(iter(rounded_base(setting, group_size=64).items()))
    assert max(len(row.unique()) for row in weight) <= 16
    original = setting.pair.base.weights[name]
    assert (weight - original).norm() < 0.2 * original.norm()


def test_the_extra_drop_is_the_difference_of_both_drops(setting):
    correct = (True, False) * (ITEMS // 2)
    found = compare_backbones(setting, truncated(setting, MOST), correct)
    assert found.compressed_16 == 0.5
    drops = (found.exact_4 - found.compressed_4) - (1 - found.compressed_16)
    assert found.extra_drop == pytest.approx(drops)


def test_scores_become_a_record(setting, few, most):
    scores = [replace(most, name="delta_come_folded"), replace(few, name="bitdelta")]
    ours = "delta_come_folded"
    metrics = CompareAtEqualBytes(
        model="tiny",
        model_parameters=1,
        base="tiny",
        style=False,
        regime="large",
        seed=0,
        ratio=1 / 4,
        budget=few.budget,
        ours=ours,
        **of_setting(setting),
        **by_method(setting, scores, ours),
        **of_curve(setting, {1 / 20: few, 1 / 32: scores[1]}, scores[0], scores[1:]),
        **of_backbones(compare_backbones(setting, truncated(setting, 1), few.correct)),
    )
    assert set(metrics.lead) == {"bitdelta"}
    assert set(metrics.curve_kl) == {"1/20", "1/32"}
    assert metrics.late_lead == {"bitdelta": 0}
    assert math.isfinite(metrics.activation["bitdelta high outliers"])


def test_the_papers_storage_is_judged_where_it_fits_every_ratio(setting):
    names = ("bitdelta", "delta_come_folded", "delta_come")
    wide = replace(setting, pair=_Shapes((4096, 4096)))
    middle = replace(setting, pair=_Shapes((128, 128)))
    assert judged_method(wide, [Budget(1 / 16), Budget(1 / 32)], names) == "delta_come"
    assert judged_method(middle, [Budget(1 / 16)], names) == "delta_come"
    assert judged_method(middle, [Budget(1 / 16), Budget(1 / 32)], names) == "delta_come_folded"


def test_two_of_three_precisions_are_no_fit():
    middle = replace(made_up_setting(), pair=_Shapes((128, 128)))
    assert not fits_as_the_paper(middle, Budget(1 / 20))  # 8:1,3:1 fits, and nothing of the 2 bits
    assert fits_as_the_paper(middle, Budget(1 / 16))


def test_metadata_is_a_small_share_on_wide_matrices_and_a_large_one_on_narrow(setting):
    assert metadata_share(replace(setting, pair=_Shapes((4096, 4096))), Budget(1 / 16)) == pytest.approx(
        0.078, abs=0.01
    )
    assert metadata_share(replace(setting, pair=_Shapes((128, 128))), Budget(1 / 16)) > 0.5


def test_the_judged_method_has_to_take_part(setting):
    with pytest.raises(DeltaError, match="delta_come_folded is judged on these matrices and is not among bitdelta"):
        judged_method(setting, [Budget(1 / 16)], ["bitdelta"])


def test_scores_beside_a_lora_become_a_record(setting, few, most):
    scores, lora = [replace(most, name="ours"), replace(most, name="ours_shared")], replace(few, name="lora")
    found = against_lora(setting, scores, lora)
    assert set(found["lead"]) == {"ours", "ours_shared"}
    assert found["bytes"]["lora"] == few.bytes
    changed = setting.pair.raw()
    assert found["outside_bytes"] == sum(2 * tensor.numel() for tensor in changed.values()) > 0


class _Shapes:
    """A pair of one matrix, of which nothing but the shape is asked for."""

    projections = ("w",)

    def __init__(self, shape):
        self.base = self
        self.weights = {"w": torch.empty(shape, device="meta")}
