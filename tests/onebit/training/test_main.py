import pytest
from transformers import AutoModelForCausalLM

from lib import artifacts
from lib.onebit.pretrained import OneBitLinear
from lib.onebit.training import __main__ as command


@pytest.fixture(autouse=True)
def _own_store(monkeypatch, tmp_path):
    monkeypatch.setenv(artifacts.STORE, str(tmp_path / "store"))


def test_the_command_leaves_a_checkpoint_of_transformers(teacher_folder, text_folder, tmp_path, capsys):
    words = f"--teacher {teacher_folder} --text {text_folder} --steps 2 --batch 2 --length 8 --out {tmp_path / 'out'}"
    assert command.main(words.split()) == 0
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "student")
    assert isinstance(model.model.layers[0].mlp.up_proj, OneBitLinear)
    assert "2 steps, 32 tokens" in capsys.readouterr().out


def test_released_settings_count_the_processes(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "4")
    options = command._parser().parse_args(["--released", "llama-7b", "--out", str(tmp_path)])
    recipe = command._recipe(options, 128)
    assert (recipe.batch, recipe.accumulation, recipe.learning_rate) == (4, 8, 4e-4)
    assert recipe.gradient_checkpointing


def test_an_unknown_start_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--start", "nmf", "--out", "here"])
    assert "svid_keeping_weights" in capsys.readouterr().err
