import json

import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from lib.onebit.sizes import TABLE_3, Architecture, average_bits, bits_per_weight, layer_bytes

LLAMA = {row.architecture.name: row for row in TABLE_3}
SMOLLM = Architecture("SmolLM2-135M", 576, 1536, 30, 192, 49152, tied=True)


def test_average_bits_of_the_papers_own_example():
    # App. A.7: 16,908,288 bits over 16,785,408 parameters.
    assert average_bits([(4096, 4096)]) == 16_908_288 / 16_785_408
    assert f"{average_bits([(4096, 4096)]):.4f}" == "1.0073"


def test_bits_per_original_weight_divide_by_the_weights_alone():
    assert bits_per_weight([(4096, 4096)]) == 1 + 32 / 4096
    assert bits_per_weight([(50, 100)]) == pytest.approx(1 + 16 / 50 + 16 / 100)


@pytest.mark.parametrize(("shape", "size"), [((4, 8), 4 + 24), ((4, 9), 8 + 26), ((1, 1), 1 + 4)])
def test_a_row_is_padded_to_whole_bytes(shape, size):
    assert layer_bytes(shape) == size


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("LLaMA-7B", 6_738_415_616),
        ("LLaMA-13B", 13_015_864_320),
        ("LLaMA-30B", 32_528_943_616),
        ("LLaMA-65B", 65_285_660_672),
    ],
)
def test_llama_has_its_published_number_of_weights(name, weights):
    assert LLAMA[name].architecture.weights == weights


@pytest.mark.parametrize("row", TABLE_3, ids=lambda row: row.architecture.name)
def test_table_3_is_met_within_rounding(row):
    assert row.architecture.fp16_bytes / 1e9 == pytest.approx(row.fp16_gb, abs=0.05)
    assert row.architecture.onebit_bytes / 1e9 == pytest.approx(row.onebit_gb, abs=0.0501)


@pytest.mark.parametrize(
    ("name", "average", "whole", "reduction"),
    [
        ("LLaMA-7B", 1.0058, 1.590, 90.06),
        ("LLaMA-13B", 1.0046, 1.383, 91.36),
        ("LLaMA-30B", 1.0036, 1.201, 92.50),
        ("LLaMA-65B", 1.0029, 1.124, 92.98),
    ],
)
def test_known_averages_of_the_llama_family(name, average, whole, reduction):
    model = LLAMA[name].architecture
    assert average_bits(model.linear_shapes) == pytest.approx(average, abs=5e-5)
    assert model.bits_per_parameter == pytest.approx(whole, abs=5e-4)
    assert model.reduction == pytest.approx(reduction, abs=5e-3)


def test_known_averages_of_smollm():
    assert SMOLLM.weights == 134_515_008
    assert average_bits(SMOLLM.linear_shapes) == pytest.approx(1.0430, abs=5e-5)
    assert SMOLLM.bits_per_parameter == pytest.approx(4.197, abs=5e-4)
    assert SMOLLM.reduction == pytest.approx(73.8, abs=0.05)


def test_the_parts_are_the_stored_layers_and_the_rest():
    parts = SMOLLM.onebit_parts
    assert parts["signs"] == SMOLLM.linear_weights // 8
    assert parts["signs"] + parts["value vectors"] == sum(layer_bytes(shape) for shape in SMOLLM.linear_shapes)
    assert SMOLLM.onebit_bytes == sum(parts.values())


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 3])
def test_a_config_gives_the_weights_that_transformers_builds(tied, kv_heads, tmp_path):
    config = LlamaConfig(
        vocab_size=40,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=3,
        num_key_value_heads=kv_heads,
        tie_word_embeddings=tied,
    )
    model = LlamaForCausalLM(config)
    model.config.save_pretrained(tmp_path)
    read = json.loads((tmp_path / "config.json").read_text())
    assert Architecture.from_config("tiny", read).weights == sum(each.numel() for each in model.parameters())


def test_an_old_config_without_grouped_queries_has_full_keys_and_values():
    config = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 3}
    assert Architecture.from_config("old", config | {"vocab_size": 10}).key_value == 24
