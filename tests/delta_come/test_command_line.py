import shutil

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

from lib.delta_come.__main__ import main
from lib.delta_come.files import load
from lib.models import load as load_model
from tests.delta_come.models import finetune_of, odd_llama

PLAN = ("--plan", "8:1,3:2,2:rest", "--ratio", "1/4")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A base and a fine-tune in the hub's format, three damaged bases, and a text."""
    root = tmp_path_factory.mktemp("checkpoints")
    words = {word: number for number, word in enumerate(["<pad>", "</s>", "?", *(f"w{n}" for n in range(58))])}
    core = Tokenizer(WordLevel(words, unk_token="?"))
    core.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="?", pad_token="<pad>")
    base = odd_llama()
    for name, model in (("base", base), ("tuned", finetune_of(base))):
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    numbers = torch.randint(0, 58, (400,), generator=torch.Generator().manual_seed(0)).tolist()
    (root / "text.md").write_text(" ".join(f"w{number}" for number in numbers))
    for name in ("untold", "garbled", "strange"):
        shutil.copytree(root / "base", root / name)
    for path in (root / "untold").glob("tokenizer*"):
        path.unlink()
    (root / "garbled" / "tokenizer.json").write_text("{")
    config = root / "strange" / "config.json"
    config.write_text(config.read_text().replace('"llama"', '"nosuch"'))
    return root


def compress(folders, out, *more):
    return main(["compress", str(folders / "base"), str(folders / "tuned"), str(out), *PLAN, *more])


@pytest.fixture
def artifact(folders, tmp_path):
    assert compress(folders, tmp_path / "a.safetensors", "--quantiser", "rtn") == 0
    return tmp_path / "a.safetensors"


def test_compress_calibrates_on_a_text_and_says_what_came_out(folders, tmp_path, capsys):
    out = tmp_path / "a.safetensors"
    assert compress(folders, out, "--calibration", str(folders / "text.md"), "--tokens", "96", "--window", "24") == 0
    said = capsys.readouterr().out
    assert "ratio 1/4 by codes alone" in said
    assert f"{out.stat().st_size:,} bytes" in said
    assert f"wrote {out} in " in said


def test_info_shows_what_an_artifact_holds(artifact, capsys):
    capsys.readouterr()
    assert main(["info", str(artifact)]) == 0
    said = capsys.readouterr().out
    assert "llama, written by six-papers-rerun" in said
    assert f"base {load(artifact).header.base_hash}" in said
    assert "14 matrices: " in said


def test_apply_writes_a_model_that_transformers_loads(folders, artifact, tmp_path):
    assert main(["apply", str(folders / "base"), str(artifact), str(tmp_path / "merged")]) == 0
    merged, base = load_model(tmp_path / "merged"), load_model(folders / "base")
    name = "model.layers.0.mlp.up_proj.weight"
    expected = base.model.state_dict()[name] + load(artifact).matrix(name).unpack().delta()
    assert torch.allclose(merged.model.state_dict()[name], expected, atol=1e-6)
    assert len(merged.tokenizer) == 61


def test_apply_leaves_the_tokenizer_out_where_the_base_has_none(folders, artifact, tmp_path, capfd):
    capfd.readouterr()
    assert main(["apply", str(folders / "untold"), str(artifact), str(tmp_path / "merged")]) == 0
    said = capfd.readouterr()
    assert f"{folders / 'untold'} has no tokenizer to write beside it: copy the fine-tune's there" in said.out
    assert said.out.count("\n") == 2
    assert "tokenizer" not in said.err
    assert not list((tmp_path / "merged").glob("tokenizer*"))
    whole = tmp_path / "whole"
    assert main(["apply", str(folders / "base"), str(artifact), str(whole)]) == 0
    assert (tmp_path / "merged" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["info", "none.safetensors"], "there is no file none.safetensors"),
        (["compress", "no-base", "no-tune", "a.safetensors"], "there is no model 'no-base'"),
        (["compress", "{base}", "{tuned}", "a.safetensors", "--ratio", "x"], "a ratio is a number"),
        (["compress", "{base}", "{tuned}", "a.safetensors", "--plan", "8-2"], "cannot read the plan '8-2'"),
        (["compress", "{base}", "{tuned}", "a.safetensors", "--quantiser", "rtn"], "does not fit"),
        (["compress", "{base}", "{tuned}", "a.safetensors", "--calibration", "none.txt"], "no file or folder none.txt"),
        (["compress", "{base}", "{tuned}", "a.safetensors", "--calibration", "{text}"], "text is too short"),
        (["compress", "{untold}", "{tuned}", "a.safetensors"], "untold has no tokenizer that can be read"),
        (["compress", "{base}", "{garbled}", "a.safetensors"], "the configuration or the tokenizer in"),
        (["compress", "{base}", "{strange}", "a.safetensors"], "model type `nosuch`"),
        (["apply", "{base}", "{text}", "merged"], "truncated or damaged"),
        (["apply", "{base}", "a.safetensors", "{tuned}"], "is there already"),
    ],
)
def test_a_users_mistake_is_one_line_and_status_one(folders, tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    places = {path.stem: path for path in folders.iterdir()}
    assert main([one.format(**places) for one in arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "a.safetensors").exists()


def test_bad_usage_is_status_two(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["compress", "only-a-base"])
    assert ended.value.code == 2


def test_an_interruption_says_that_the_same_command_goes_on(folders, tmp_path, monkeypatch, capsys):
    def interrupted(items, *more, **named):
        yield next(iter(items))
        raise KeyboardInterrupt

    monkeypatch.setattr("lib.delta_come.compression.progress", interrupted)
    assert compress(folders, tmp_path / "a.safetensors", "--quantiser", "rtn") == 130
    assert "the same command goes on from here" in capsys.readouterr().out
    assert (tmp_path / "a.safetensors.work").is_dir()
