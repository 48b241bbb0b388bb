import shutil

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lib import artifacts
from lib.checkout import Checkout
from lib.models import ModelError, checkpoint_folder, count_parameters, load, projection_matrices, read_projections


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    """A tiny Llama saved the way the hub holds checkpoints, in several files."""
    folder = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=1,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).save_pretrained(folder, max_shard_size="10KB")
    words = {word: place for place, word in enumerate(["<unk>", *"abcdefghijklmnopqrstuvwxyz"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    return folder


@pytest.fixture
def empty_checkout(tmp_path, monkeypatch):
    monkeypatch.delenv(artifacts.STORE, raising=False)
    return Checkout(tmp_path)


@pytest.mark.parametrize("as_text", [True, False])
def test_a_local_folder_in_hub_format_loads(tiny_folder, as_text):
    loaded = load(str(tiny_folder) if as_text else tiny_folder)
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([loaded.tokenizer("a b c").input_ids])).logits
    assert logits.shape == (1, 3, 40)
    assert loaded.model.dtype == torch.float32
    assert loaded.folder == tiny_folder


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_weights_are_held_in_the_dtype_that_was_asked_for(tiny_folder, dtype):
    assert load(tiny_folder, dtype=dtype).model.dtype == torch.bfloat16


def test_projections_are_read_across_several_files(tiny_folder):
    assert len(list(tiny_folder.glob("*.safetensors"))) > 1
    from_model = list(projection_matrices(load(tiny_folder).model))
    from_files = list(read_projections(tiny_folder))
    assert [one.name for one in from_files] == [one.name for one in from_model]
    assert all(torch.equal(one.weight, other.weight) for one, other in zip(from_files, from_model, strict=True))
    assert (from_files[0].block, from_files[0].type, from_files[-1].block, from_files[-1].type) == (0, "q", 1, "down")
    assert count_parameters(tiny_folder) == load(tiny_folder).parameters


def test_a_model_without_projections_is_an_error():
    with pytest.raises(ModelError, match="Linear holds no projections"):
        list(projection_matrices(torch.nn.Linear(2, 2)))


@pytest.mark.parametrize("name", ["smollm3", "./no/such/folder", "/no/such/folder", ""])
def test_an_unknown_name_lists_what_there_is(name, empty_checkout):
    with pytest.raises(ModelError, match=r"there is no model .*smollm2-135m-instruct.*owner/name"):
        checkpoint_folder(name or "no name at all", empty_checkout)


def test_a_packaged_model_that_is_not_fetched_names_the_command(empty_checkout):
    with pytest.raises(ModelError, match=r"python -m lib\.models fetch"):
        load("smollm2-135m-instruct", checkout=empty_checkout)


def test_a_folder_without_config_says_so(tmp_path):
    with pytest.raises(ModelError, match=r"no config\.json"):
        load(tmp_path)


def test_pickled_weights_are_refused(tiny_folder, tmp_path):
    shutil.copy(tiny_folder / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match="pickle can run code"):
        load(tmp_path)


def test_a_damaged_weights_file_is_named(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "copy")
    damaged = sorted((tmp_path / "copy").glob("*.safetensors"))[0]
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(ModelError, match=damaged.name):
        list(read_projections(tmp_path / "copy"))


def hub_answers(monkeypatch, error):
    def snapshot_download(*args, **kwargs):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)


def hub_error(kind):
    """huggingface_hub's errors want an HTTP response; only their type matters here."""
    return kind.__new__(kind)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LocalEntryNotFoundError("offline"), "the hub cannot be reached for owner/name"),
        (ConnectionError("no network"), "the hub cannot be reached for owner/name"),
        (hub_error(RepositoryNotFoundError), "no public model owner/name at revision v1"),
        (hub_error(GatedRepoError), "owner/name is gated"),
    ],
)
def test_what_the_hub_refuses_is_told_apart(monkeypatch, error, said):
    hub_answers(monkeypatch, error)
    with pytest.raises(ModelError, match=said):
        load("owner/name@v1")


def test_a_hub_name_loads_from_its_snapshot(monkeypatch, tiny_folder):
    asked = {}

    def snapshot_download(repository, revision, **kwargs):
        asked.update(repository=repository, revision=revision)
        return str(tiny_folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert load("owner/name@v1").folder == tiny_folder
    assert asked == {"repository": "owner/name", "revision": "v1"}
