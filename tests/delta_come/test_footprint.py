import pytest
import torch

from lib.delta_come import footprint
from lib.delta_come.files import save
from lib.delta_come.packed_kernel import PackedKernel
from lib.delta_come.plan import Plan
from lib.delta_come.serving import attach
from tests.delta_come.models import fabricated, odd_llama

EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture(scope="module")
def llama():
    return odd_llama()


def test_the_parts_of_an_artifact_add_up_to_its_file(llama, tmp_path):
    artifact = save(tmp_path / "a.safetensors", fabricated(llama, raw=(EMBEDDING, "model.norm.weight")))
    found = footprint.parts(artifact)
    assert found.matrices + found.embeddings + found.others + found.header == artifact.path.stat().st_size
    assert found.embeddings == 4 * 61 * 52
    assert found.others == 4 * 52
    assert min(found.codes, found.scales, found.singular_values, found.permutations, found.header) > 0


def test_the_matrices_of_an_artifact_are_the_bytes_that_plans_foretell(llama):
    from lib.delta_come.artifact import in_memory

    delta = fabricated(llama)
    found = footprint.parts(in_memory(delta))
    assert found.matrices == pytest.approx(sum(each.true_bytes for each in delta.matrices.values()), rel=0.1)
    assert (found.embeddings, found.header) == (0, 0)


def test_a_tied_head_counts_once(llama):
    weights = sum(each.numel() for name, each in llama.state_dict().items() if name != "lm_head.weight")
    assert footprint.model_bytes(llama) == 2 * weights


def test_separate_models_over_one_base_and_its_tenants():
    assert footprint.Footprint(100, 10).together(5) == 150
    assert footprint.Footprint(100, 10).saving(5) == pytest.approx(500 / 150)


def test_what_is_allocated_is_seen_from_outside():
    before = footprint.held_bytes()
    kept = torch.ones(25_000_000)
    assert footprint.held_bytes() - before == pytest.approx(kept.nbytes, rel=0.02)
    del kept
    assert footprint.held_bytes() - before < 5e6


def test_the_7b_model_takes_what_the_paper_notes_say():
    base = footprint.llama_2_7b(own_embeddings=False)
    own = footprint.llama_2_7b(own_embeddings=True)
    assert base.model == pytest.approx(13.48e9, rel=1e-3)
    assert own.tenant - base.tenant == 2 * 2 * 32_000 * 4096
    matrices = base.model - 2 * (2 * 32_000 * 4096 + 65 * 4096)
    assert matrices / (base.tenant - 2 * 65 * 4096) == pytest.approx(14.8, abs=0.15)  # scales, zeros, singular values
    assert footprint.llama_2_7b(False, plan="8:2,3:32,2:rest", ratio=1 / 32).tenant < 0.6 * base.tenant


def test_the_arithmetic_of_the_7b_model_counts_as_artifacts_do(llama):
    """The same sum over a small model's shapes is what its artifact takes."""
    from lib.delta_come.artifact import in_memory
    from lib.delta_come.plan import Storage
    from lib.delta_come.synthetic import matrix_shapes, synthetic_delta

    shapes, rule = matrix_shapes(llama), Plan.parse("3:4,2:rest")
    delta = synthetic_delta(shapes, "3:4,2:rest", 1 / 2, storage=Storage())
    foretold = sum(rule.resolve(m, n, 1 / 2).true_bits(m, n, Storage()) for m, n in shapes.values()) / 8
    assert footprint.parts(in_memory(delta)).matrices == pytest.approx(foretold, rel=0.02)


def test_a_process_grows_by_what_is_foretold_of_its_tenants():
    from transformers import LlamaConfig, LlamaForCausalLM

    from lib.delta_come.synthetic import matrix_shapes, synthetic_delta
    from lib.delta_come.tenants import tenant_bytes

    sizes = {"hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 8}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, **sizes))
    delta = synthetic_delta(matrix_shapes(model), "8:2,3:32,2:rest", 1 / 2)
    served = attach(model, {"warm": delta}, kernel=PackedKernel(), verify=False)
    foretold, before = 12 * tenant_bytes(delta, kernel=served.kernel), footprint.held_bytes()
    for number in range(12):
        served.add(str(number), delta)
    assert foretold > 1e7
    assert footprint.held_bytes() - before == pytest.approx(
        foretold, rel=0.1
    )  # small matrices, whose objects weigh more
