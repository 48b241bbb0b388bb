"""Saved here, loaded here and in other processes."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForCausalLM

from lib.checkout import Checkout
from lib.onebit.pretrained import OneBitConfig, projection_memory, quantise, save_model
from tests.onebit.pretrained import tiny

MODELS = {"odd": tiny.odd_llama, "untied": tiny.untied_llama, "biased": tiny.biased_qwen}

_LOAD = """
import json, sys
{imports}
from tests.onebit.pretrained.tiny import generate
from lib.onebit.pretrained import projection_memory
options = {{
    "default": {{}}, "float32": {{"dtype": "float32"}}, "device_map": {{"device_map": "cpu"}},
    "auto": {{"device_map": "auto"}}, "low": {{"low_cpu_mem_usage": True}},
}}
result = {{}}
for folder in sys.argv[1:]:
    for name, option in options.items():
        model = AutoModelForCausalLM.from_pretrained(folder, **option)
        result[folder + " " + name] = [generate(model), projection_memory(model).bytes]
print(json.dumps(result))
"""
_ONEBIT_FIRST = (
    "import lib.onebit\nassert 'transformers' not in sys.modules\nfrom transformers import AutoModelForCausalLM"
)
_TRANSFORMERS_FIRST = (
    "import transformers.quantizers.auto\nfrom transformers import AutoModelForCausalLM\nfrom lib import onebit"
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder and model by name."""
    root = tmp_path_factory.mktemp("saved")
    models = {name: quantise(make()) for name, make in MODELS.items()}
    return {name: (save_model(model, root / name), model) for name, model in models.items()}


@pytest.mark.parametrize("imports", [_ONEBIT_FIRST, _TRANSFORMERS_FIRST], ids=["onebit first", "transformers first"])
def test_another_process_loads_every_way_and_generates_the_same_ids(saved, imports):
    answers = json.loads(_python(_LOAD.format(imports=imports), *(str(folder) for folder, _ in saved.values())))
    expected = {str(folder): [tiny.generate(model), projection_memory(model).bytes] for folder, model in saved.values()}
    assert len(answers) == 5 * len(saved)
    assert {name: expected[name.split()[0]] for name in answers} == answers


@pytest.mark.parametrize("name", MODELS)
def test_saving_a_loaded_model_writes_equal_tensors(saved, name, tmp_path):
    folder, _ = saved[name]
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path)
    first, second = (load_file(path / "model.safetensors") for path in (folder, tmp_path))
    assert first.keys() == second.keys()
    assert all(first[key].dtype == second[key].dtype and torch.equal(first[key], second[key]) for key in first)


def test_a_sharded_checkpoint_loads(saved, tmp_path):
    _, model = saved["untied"]
    model.save_pretrained(tmp_path, max_shard_size="10KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert tiny.generate(AutoModelForCausalLM.from_pretrained(tmp_path)) == tiny.generate(model)


def test_the_bare_model_loads_from_the_language_models_files(saved):
    folder, model = saved["odd"]
    ids = torch.arange(8)[None]
    with torch.no_grad():
        assert torch.equal(AutoModel.from_pretrained(folder)(ids)[0], model.model(ids)[0])


def test_bfloat16_keeps_the_signs_and_scales(saved):
    folder, model = saved["biased"]
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    here, there = (m.model.layers[0].self_attn.q_proj for m in (model, loaded))
    assert torch.equal(here.words, there.words)
    assert torch.equal(here.output_scale, there.output_scale)
    assert there.bias.dtype == torch.bfloat16
    assert len(tiny.generate(loaded)) == 16


def test_the_post_layer_norm_is_kept(tmp_path):
    model = quantise(tiny.odd_llama(), post_layer_norm=True)
    loaded = AutoModelForCausalLM.from_pretrained(save_model(model, tmp_path))
    assert loaded.model.layers[0].mlp.up_proj.post_layer_norm
    assert tiny.generate(loaded) == tiny.generate(model)


def test_a_dense_folder_is_quantised_while_loading(tmp_path):
    tiny.odd_llama().save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=OneBitConfig())
    assert tiny.generate(loaded) == tiny.generate(quantise(tiny.odd_llama()))


def test_the_model_card_warns_of_the_missing_import(saved):
    card = (saved["odd"][0] / "README.md").read_text()
    assert "Without `from lib import onebit`" in card
    assert "random" in card


def test_importing_the_room_loads_neither_torch_nor_transformers():
    assert _python("import sys, lib.onebit; print({'torch', 'transformers'} & set(sys.modules))").strip() == "set()"


def _python(script: str, *arguments: str) -> str:
    root = Checkout().root
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=root, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
