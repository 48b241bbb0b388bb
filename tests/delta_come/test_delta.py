import copy

import pytest
import torch

from lib.corpora.tokens import END_OF_TEXT
from lib.delta_come import DeltaError
from lib.delta_come.delta import grown, split_rows, take_pair
from lib.models import ModelError
from lib.models.tiny import TinyRecipe, build_tiny
from tests.delta_come.conftest import VOCABULARY, finetuned_from

EMBEDDING = "model.embed_tokens.weight"
QUERY = "model.layers.0.self_attn.q_proj.weight"


def qwen(**more):
    """Grouped queries, biases on q, k and v, an untied head."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = {"vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 48, "num_hidden_layers": 1}
    config |= {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False} | more
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Qwen2ForCausalLM(Qwen2Config(**config)).eval()


def with_vocabulary(model, rows):
    model = copy.deepcopy(model)
    model.resize_token_embeddings(rows, mean_resizing=False)
    return model


def test_a_delta_is_the_difference_in_fp32(base, finetuned):
    pair = take_pair(base, finetuned)
    expected = finetuned.get_parameter(QUERY).detach() - base.get_parameter(QUERY).detach()
    assert torch.equal(pair.delta(QUERY), expected)


def test_bf16_weights_are_cast_before_they_are_subtracted(base, finetuned):
    pair = take_pair(copy.deepcopy(base).bfloat16(), copy.deepcopy(finetuned).bfloat16())
    ours, theirs = base.get_parameter(QUERY).bfloat16(), finetuned.get_parameter(QUERY).bfloat16()
    assert torch.equal(pair.delta(QUERY), theirs.float() - ours.float())
    assert not torch.equal(pair.delta(QUERY), (theirs - ours).float())


def test_projections_come_in_the_order_of_use(base, finetuned):
    names = take_pair(base, finetuned).projections
    assert len(names) == 14
    assert [name.split(".")[-2][:-5] for name in names[:7]] == ["q", "k", "v", "o", "gate", "up", "down"]


def test_folders_give_what_models_give(base, finetuned, tmp_path):
    for name, model in (("base", base), ("finetuned", finetuned)):
        model.save_pretrained(tmp_path / name)
    stored, loaded = take_pair(tmp_path / "base", str(tmp_path / "finetuned")), take_pair(base, finetuned)
    assert stored.projections == loaded.projections
    assert torch.equal(stored.delta(QUERY), loaded.delta(QUERY))
    assert stored.raw().keys() == loaded.raw().keys()


def test_what_is_outside_the_method_is_kept_where_it_changed(base):
    finetuned = copy.deepcopy(base)
    with torch.no_grad():
        finetuned.model.norm.weight.add_(1)
        finetuned.get_parameter(QUERY).add_(1)
    assert list(take_pair(base, finetuned).raw()) == ["model.norm.weight"]


def test_a_tied_head_is_not_stored_twice(base, finetuned):
    pair = take_pair(base, finetuned)
    assert pair.finetuned.tied
    assert EMBEDDING in pair.raw()
    assert "lm_head.weight" not in pair.raw()


def test_biases_and_an_untied_head_are_raw():
    ours = qwen()
    theirs = finetuned_from(ours)
    raw = take_pair(ours, theirs).raw()
    assert not take_pair(ours, theirs).finetuned.tied
    assert {"lm_head.weight", "model.layers.0.self_attn.q_proj.bias"} <= raw.keys()
    assert take_pair(ours, theirs).delta("model.layers.0.self_attn.k_proj.weight").shape == (32, 64)


def test_new_rows_of_a_grown_vocabulary_are_kept_alone(base):
    larger = with_vocabulary(base, 70)
    raw = take_pair(base, larger).raw()
    (name,) = raw
    assert name == f"{EMBEDDING}[64:]"
    assert split_rows(name) == (EMBEDDING, 64)
    whole = grown(base.get_parameter(EMBEDDING), name, raw[name])
    assert torch.equal(whole, larger.get_parameter(EMBEDDING))


def test_a_grown_vocabulary_with_changed_rows_is_kept_whole(base, finetuned):
    raw = take_pair(base, with_vocabulary(finetuned, 70)).raw()
    assert raw[EMBEDDING].shape == (70, 64)
    assert torch.equal(grown(None, EMBEDDING, raw[EMBEDDING]), raw[EMBEDDING])


def test_an_untrained_layer_has_a_delta_of_zero(base):
    assert take_pair(base, copy.deepcopy(base)).delta(QUERY).eq(0).all()


def test_weights_that_are_not_finite_are_named(base, finetuned):
    broken = copy.deepcopy(finetuned)
    with torch.no_grad():
        broken.get_parameter(QUERY)[2, 5] = float("nan")
    pair = take_pair(base, broken)
    with pytest.raises(DeltaError, match=rf"{QUERY} of LlamaForCausalLM holds nan at \[2, 5\]; repair"):
        pair.delta(QUERY)


def test_another_family_is_refused(base):
    with pytest.raises(DeltaError, match=r"is no fine-tune of .*: model_type is 'qwen2' there and 'llama' in the base"):
        take_pair(base, qwen())


def test_another_depth_is_refused(base):
    shallow = build_tiny(TinyRecipe(width=64, blocks=1, inner=96, steps=1, vocabulary=VOCABULARY))
    with pytest.raises(DeltaError, match="num_hidden_layers is 1 there and 2 in the base"):
        take_pair(base, shallow)


def test_matrices_of_another_shape_are_named(base):
    wide = build_tiny(TinyRecipe(width=64, blocks=2, inner=80, steps=1, vocabulary=VOCABULARY))
    with pytest.raises(DeltaError, match=r"layers.0.mlp.gate_proj.weight is 96 x 64 in .* and 80 x 64 in"):
        take_pair(base, wide)


def test_a_missing_tensor_is_named():
    with pytest.raises(DeltaError, match=r"has no tensor model.layers.0.self_attn.q_proj.bias"):
        take_pair(qwen(), _without_bias())


def _without_bias():
    class Stripped(type(qwen())):
        def state_dict(self, *positional, **named):
            whole = super().state_dict(*positional, **named)
            return {name: tensor for name, tensor in whole.items() if not name.endswith("q_proj.bias")}

    return Stripped(qwen().config)


def _tokenizer(folder, words):
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate([END_OF_TEXT, *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token=END_OF_TEXT))
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END_OF_TEXT).save_pretrained(folder)


@pytest.mark.parametrize(("words", "fits"), [("ab", True), ("abc", True), ("ba", False), ("a", False)])
def test_the_fine_tune_keeps_the_bases_tokens(base, finetuned, tmp_path, words, fits):
    for name, model, tokens in (("base", base, "ab"), ("finetuned", finetuned, words)):
        model.save_pretrained(tmp_path / name)
        _tokenizer(tmp_path / name, tokens)
    if fits:
        take_pair(tmp_path / "base", tmp_path / "finetuned")
    else:
        with pytest.raises(DeltaError, match=r"has another tokenizer than .*: token '[ab]' is number [12] in the base"):
            take_pair(tmp_path / "base", tmp_path / "finetuned")


def test_a_checkpoint_that_is_not_there_is_named(base, tmp_path):
    with pytest.raises(ModelError, match="no checkpoint in the hub's format"):
        take_pair(base, tmp_path)
