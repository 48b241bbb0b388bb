import copy
import re
from importlib import import_module

import pytest
import torch

import lib.delta_come
from lib.corpora import CorpusError
from lib.delta_come import compression
from lib.delta_come.compression import compress, parse_ratio
from lib.delta_come.errors import DeltaError
from lib.delta_come.files import load
from lib.delta_come.merging import apply
from lib.delta_come.options import CompressOptions
from lib.delta_come.plan import PlanRule
from lib.delta_come.serving import attach
from lib.delta_come.summary import summarise
from lib.models import LoadedModel
from tests.delta_come.models import biased_llama, biased_qwen, finetune_of, odd_llama

TOKENS = torch.randint(0, 61, (4, 24), generator=torch.Generator().manual_seed(0))
PLAN = "8:1,3:2,2:rest"


@pytest.fixture(scope="module")
def pair():
    base = odd_llama()
    return base, finetune_of(base)


def run(pair, out, **more):
    return compress(*pair, out, **({"ratio": "1/4", "plan": PLAN, "calibration": TOKENS} | more))


@pytest.fixture
def stopped(pair, tmp_path, monkeypatch):
    """A compression that was interrupted in its second block, and may go on now."""

    def interrupted(items, *more, **named):
        yield next(iter(items))
        raise KeyboardInterrupt

    monkeypatch.setattr(compression, "progress", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(pair, tmp_path / "a.safetensors")
    monkeypatch.undo()
    return tmp_path / "a.safetensors"


def test_a_compressed_fine_tune_is_near_it(pair, tmp_path):
    artifact = run(pair, tmp_path / "a.safetensors", ratio="1/2", plan="8:rest")
    restored, (base, finetuned) = apply(pair[0], artifact), pair
    for name, weight in finetuned.state_dict().items():
        moved = (weight - base.state_dict()[name]).norm()
        assert (weight - restored.state_dict()[name]).norm() < 0.9 * moved, name


def test_nothing_but_the_file_is_left(pair, tmp_path):
    run(pair, tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_an_interrupted_compression_keeps_its_finished_blocks_and_no_file(stopped):
    assert not stopped.exists()
    assert sorted(path.name for path in (stopped.parent / "a.safetensors.work").glob("[!.]*")) == [
        "block-0000.safetensors",
        "request.json",
    ]


def test_a_resumed_compression_gives_the_same_file_bit_for_bit(pair, stopped, tmp_path):
    run(pair, tmp_path / "whole.safetensors")
    (stopped.parent / "a.safetensors.work" / ".block-0001.safetensors.part").write_bytes(b"half a block")
    run(pair, stopped)
    assert stopped.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert not (stopped.parent / "a.safetensors.work").exists()


def test_a_resumed_compression_does_not_do_finished_blocks_again(pair, stopped, monkeypatch):
    from lib.delta_come import sequential as method

    done, plain = [], method._compress_block
    monkeypatch.setattr(method, "_compress_block", lambda *given: done.append(given) or plain(*given))
    run(pair, stopped)
    assert len(done) == 1


def test_another_request_does_not_go_on_with_unfinished_work(pair, stopped):
    with pytest.raises(DeltaError, match=r"an unfinished compression with another ratio \(0\.25, now 0\.125\)"):
        run(pair, stopped, ratio="1/8")


def test_another_request_names_only_what_differs(pair, stopped):
    with pytest.raises(DeltaError) as refused:
        run(pair, stopped, options=CompressOptions(clip=True, group_size=64))
    said = r"with another clip \(False, now True\), group_size \(128, now 64\): give what was given then, remove"
    assert re.search(said, str(refused.value))


def test_two_processes_do_not_write_one_file(pair, stopped):
    from filelock import FileLock

    # A lock of another file descriptor is another process' as far as the system is concerned.
    with FileLock(stopped.parent / "a.safetensors.work" / ".lock"), pytest.raises(DeltaError, match="another process"):
        run(pair, stopped)


def test_the_header_says_what_was_done(pair, tmp_path):
    header = run(pair, tmp_path / "a.safetensors").header
    assert (header.plan, header.ratio, header.tied) == (PLAN, 0.25, True)
    assert header.options == CompressOptions().as_dict()
    assert header.config["hidden_size"] == 52
    assert header.weights == sum(weight.numel() for weight in pair[1].parameters())
    assert str(tmp_path) not in header.to_text()


def test_the_summary_counts_every_byte(pair, tmp_path):
    summary = summarise(run(pair, tmp_path / "a.safetensors"))
    layouts = load(tmp_path / "a.safetensors").matrices
    weights = sum(layout.shape[0] * layout.shape[1] for layout in layouts.values())
    assert (summary.matrices, summary.zero, summary.dense) == (14, 0, 2 * weights)
    assert summary.packed < summary.file < summary.packed + summary.raw + 12_000
    assert summary.true_ratio > summary.nominal == 0.25


def test_new_tokens_are_carried_over(tmp_path):
    base = odd_llama()
    finetuned = finetune_of(base, tokens=3)
    artifact = run((base, finetuned), tmp_path / "a.safetensors", options=CompressOptions(shared_embeddings=True))
    assert artifact.raw_layouts["model.embed_tokens.weight[61:]"].shape == (3, 52)
    restored = apply(base, artifact)
    assert torch.equal(restored.get_input_embeddings().weight[61:], finetuned.get_input_embeddings().weight[61:])


def test_biases_and_heads_of_their_own_are_carried_over(tmp_path):
    base = biased_qwen()
    finetuned = finetune_of(base)
    artifact = run((base, finetuned), tmp_path / "a.safetensors", options=CompressOptions(quantiser="rtn"))
    restored, weights = apply(base, artifact).state_dict(), finetuned.state_dict()
    for name in ("lm_head.weight", "model.layers.0.self_attn.q_proj.bias", "model.norm.weight"):
        assert torch.equal(restored[name], weights[name])


def computed(base, artifact):
    """The logits of an artifact's model, merged and served."""
    with torch.no_grad():
        served = attach(copy.deepcopy(base), {"a": artifact})(TOKENS, tenants=["a"] * 4).logits
        return apply(base, artifact)(TOKENS).logits, served


def test_new_biases_are_carried_over(pair, tmp_path):
    base, finetuned = pair[0], biased_llama(pair[0])
    artifact = run((base, finetuned), tmp_path / "a.safetensors", options=CompressOptions(quantiser="rtn"))
    merged, served = computed(base, artifact)
    assert torch.allclose(merged, served, atol=3e-4, rtol=1e-4)
    name = "model.layers.1.mlp.down_proj.bias"
    assert torch.equal(apply(base, artifact).state_dict()[name], finetuned.state_dict()[name])


def test_a_new_head_is_carried_over(pair, tmp_path):
    base, finetuned = pair[0], finetune_of(pair[0])
    finetuned.config.tie_word_embeddings = False
    finetuned.lm_head.weight = torch.nn.Parameter(torch.randn(61, 52, generator=torch.Generator().manual_seed(5)))
    artifact = run((base, finetuned), tmp_path / "a.safetensors")
    merged, served = computed(base, artifact)
    assert torch.allclose(merged, served, atol=3e-4, rtol=1e-4)
    assert torch.equal(apply(base, artifact).lm_head.weight, finetuned.lm_head.weight)


def with_tensor(model, name, *shape):
    """A model with one more tensor, or with another one, of ones."""
    result, (module, _, last) = copy.deepcopy(model), name.rpartition(".")
    if module == "score":
        result.score = torch.nn.Module()
    setattr(result.get_submodule(module), last, torch.nn.Parameter(torch.ones(shape)))
    return result


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("extra", (3,), "holds extra, 3, which .* has not"),
        ("score.weight", (2, 52), r"holds score\.weight, 2 x 52, which .* has not"),
        ("model.norm.bias", (52,), r"holds model\.norm\.bias, 52, which .* has not"),
        ("model.layers.1.self_attn.q_proj.bias", (52,), r"q_proj\.bias, 52, which .* has not.*attention_bias"),
        ("model.norm.weight", (53,), r"model\.norm\.weight is 52 in .* and 53 in .*give the base"),
        ("model.embed_tokens.weight", (61, 53), r"embed_tokens\.weight is 61 x 52 in .* and 61 x 53 in"),
    ],
)
def test_a_tensor_that_cannot_be_put_on_the_base_is_named(pair, tmp_path, name, shape, said):
    with pytest.raises(DeltaError, match=said):
        run((pair[0], with_tensor(pair[1], name, *shape)), tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_an_embedding_that_grew_without_its_head_is_refused(tmp_path):
    base = biased_qwen()
    grown = with_tensor(finetune_of(base), "model.embed_tokens.weight", 64, 40)
    with pytest.raises(DeltaError, match=r"64 rows in .*embed_tokens\.weight and 61 in lm_head"):
        run((base, grown), tmp_path / "a.safetensors")


def test_unchanged_matrices_take_no_bytes(pair, tmp_path):
    base, finetuned = pair[0], copy.deepcopy(pair[0])
    with torch.no_grad():
        finetuned.model.layers[0].mlp.up_proj.weight += 0.1 * torch.randn(75, 52)
    summary = summarise(run((base, finetuned), tmp_path / "a.safetensors"))
    assert (summary.matrices, summary.zero, summary.raw) == (14, 13, 0)


def test_a_fine_tune_that_is_its_base_is_refused(pair, tmp_path):
    with pytest.raises(DeltaError, match=r"equals .* in every weight: there is nothing to compress"):
        run((pair[0], pair[0]), tmp_path / "a.safetensors")


def test_a_fine_tune_of_another_family_is_refused(pair, tmp_path):
    with pytest.raises(DeltaError, match="is no fine-tune of"):
        run((pair[0], biased_qwen()), tmp_path / "a.safetensors")


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    "name", ["model.layers.1.mlp.up_proj.weight", "model.layers.0.input_layernorm.weight", "model.norm.weight"]
)
def test_weights_that_are_not_finite_are_named_before_anything_is_compressed(pair, tmp_path, name, side):
    broken = [copy.deepcopy(model) for model in pair]
    with torch.no_grad():
        broken[side].get_parameter(name)[..., 4] = torch.nan
    with pytest.raises(DeltaError, match=rf"^{re.escape(name)} of .* holds nan at .*4\]; repair that checkpoint"):
        run(broken, tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_budget_too_small_for_its_plan_is_named(pair, tmp_path):
    with pytest.raises(DeltaError, match=r"the plan 8:2,3:32,2:rest does not fit model\.layers\.0\.self_attn"):
        run(pair, tmp_path / "a.safetensors", plan="8:2,3:32,2:rest", ratio="1/16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ratio", ["one sixteenth", "1/0", "0", "-1/16", "16", None, float("inf"), float("nan"), True])
def test_a_ratio_that_is_none_is_refused(ratio):
    with pytest.raises(DeltaError, match="a ratio is "):
        parse_ratio(ratio)


@pytest.mark.parametrize("ratio", ["1/16", "0.0625", 0.0625, 1 / 16])
def test_a_ratio_is_a_number_or_a_fraction(ratio):
    assert parse_ratio(ratio) == 0.0625


@pytest.mark.parametrize("plan", [3, None, ["8:2"], PlanRule])
def test_a_plan_that_is_none_is_refused(pair, tmp_path, plan):
    with pytest.raises(DeltaError, match=r"a plan is a text such as .*or one of PlanRule, EqualBytes, MarginalGain"):
        run(pair, tmp_path / "a.safetensors", plan=plan)


def test_calibration_of_a_wrong_type_is_named(pair, tmp_path):
    with pytest.raises(DeltaError, match=r"calibration is a file or folder of text, .*; got a list"):
        run(pair, tmp_path / "a.safetensors", calibration=[1, 2])


def test_a_missing_folder_is_named_before_anything_starts(tmp_path):
    with pytest.raises(DeltaError, match="there is no folder"):
        compress("no such base", "no such fine-tune", tmp_path / "none" / "a.safetensors")


@pytest.fixture
def stored(pair, tmp_path):
    """The pair in the hub's format, in two folders."""
    for name, model in zip(("base", "tuned"), pair, strict=True):
        model.save_pretrained(tmp_path / name)
    return tmp_path / "base", tmp_path / "tuned"


@pytest.mark.parametrize("out", ["base/a.safetensors", "tuned/a.safetensors", "tuned/deeper/../a.st"])
def test_an_artifact_in_a_models_folder_is_refused(stored, tmp_path, out):
    (tmp_path / "tuned" / "deeper").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DeltaError, match=r"would lie in .*, the folder of (BASE|FINETUNED).*choose another folder"):
        run(stored, tmp_path / out)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_models_folder_is_seen_through_links_and_loaded_models(pair, stored, tmp_path):
    (tmp_path / "link").symlink_to(stored[1])
    with pytest.raises(DeltaError, match="the folder of FINETUNED"):
        run(stored, tmp_path / "link" / "a.safetensors")
    with pytest.raises(DeltaError, match="the folder of BASE"):
        run((LoadedModel("base", stored[0], pair[0], None), pair[1]), tmp_path / "base" / "a.safetensors")


def test_a_model_is_not_taken_for_the_work_folder_and_removed(stored, tmp_path):
    stored[1].rename(tmp_path / "math.work")
    with pytest.raises(DeltaError, match=r"its work folder math\.work would lie in"):
        run((stored[0], tmp_path / "math.work"), tmp_path / "math")
    assert (tmp_path / "math.work" / "model.safetensors").is_file()


def test_an_artifact_that_lies_in_a_models_folder_is_not_read_as_a_part_of_it(pair, stored, tmp_path):
    run(pair, tmp_path / "a.safetensors").path.rename(stored[1] / "math.safetensors")
    with pytest.raises(DeltaError, match=r"math\.safetensors is an artifact .* folder of FINETUNED.*move it"):
        run(stored, tmp_path / "b.safetensors")


def test_a_model_alone_has_no_tokenizer_for_text(pair, tmp_path):
    with pytest.raises(DeltaError, match="comes without a tokenizer: give token blocks"):
        run(pair, tmp_path / "a.safetensors", calibration=None)


def test_a_default_text_that_is_not_there_says_what_to_give_instead(pair, tmp_path, monkeypatch):
    def missing():
        raise CorpusError("no package")

    monkeypatch.setattr("lib.corpora.load", missing)
    base = LoadedModel("base", tmp_path / "base", pair[0], None)
    with pytest.raises(DeltaError, match="default calibration text is not there"):
        run((base, pair[1]), tmp_path / "a.safetensors", calibration=None)


def test_a_window_longer_than_the_tokens_is_refused(pair, tmp_path):
    with pytest.raises(DeltaError, match=r"got 100 tokens and windows of 512; give more `tokens` .* smaller"):
        run(pair, tmp_path / "a.safetensors", calibration=None, tokens=100)


def test_a_window_without_a_next_token_is_refused(pair, tmp_path):
    with pytest.raises(DeltaError, match="2 tokens or more, got 1: give a larger `window`"):
        run(pair, tmp_path / "a.safetensors", calibration=None, window=1)


def test_the_rooms_compress_is_the_function_whatever_was_imported_before():
    for name in ("sequential", "compression", "files"):
        import_module(f"lib.delta_come.{name}")
    assert lib.delta_come.compress is compress
