import copy
import gc
import threading

import pytest
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from lib.delta_come.artifact import in_memory
from lib.delta_come.errors import DeltaError
from lib.delta_come.merging import apply
from lib.delta_come.packed_kernel import PackedKernel
from lib.delta_come.serving import ServedModel, attach
from lib.delta_come.synthetic import matrix_shapes, synthetic_delta
from lib.delta_come.tenants import tenant_bytes
from tests.delta_come.models import PLAN, biased_qwen, fabricated, merged, odd_llama

PROMPTS = torch.tensor([[1, 5, 9, 17], [1, 7, 3, 2], [1, 30, 31, 32], [1, 5, 9, 17]])
ROWS = ["a", None, "b", "b"]
NORMS = ("model.norm.weight", "model.layers.1.input_layernorm.weight")
CLOSE = {"atol": 3e-4, "rtol": 1e-4}


@pytest.fixture(scope="module")
def llama():
    return odd_llama()


@pytest.fixture(scope="module")
def deltas(llama):
    return {"a": fabricated(llama, 1), "b": fabricated(llama, 2, raw=NORMS)}


@pytest.fixture(scope="module")
def qwen():
    return biased_qwen()


@pytest.fixture
def served(llama, deltas):
    return attach(copy.deepcopy(llama), deltas)


def row_by_row(model, deltas, prompts, rows, run):
    """Return what single models put out, one row at a time."""
    models = {name: merged(model, delta) for name, delta in deltas.items()} | {None: model}
    with torch.no_grad():
        return torch.cat([run(models[name], prompts[row : row + 1]) for row, name in enumerate(rows)])


def logits(model, ids):
    return model(ids).logits


def continued(model, ids):
    return model.generate(ids, max_new_tokens=6, do_sample=False)


def served_logits(served, prompts, rows):
    with torch.no_grad():
        return served(prompts, tenants=rows).logits


def test_mixed_rows_have_the_logits_of_their_own_merged_models(llama, deltas, served):
    expected = row_by_row(llama, deltas, PROMPTS, ROWS, logits)
    assert torch.allclose(served_logits(served, PROMPTS, ROWS), expected, **CLOSE)
    assert not torch.allclose(expected[0], logits(llama, PROMPTS[:1])[0], atol=0.1)


def test_mixed_rows_generate_what_their_own_merged_models_do(llama, deltas, served):
    found = served.generate(PROMPTS, tenants=ROWS, max_new_tokens=6, do_sample=False)
    assert found.tolist() == row_by_row(llama, deltas, PROMPTS, ROWS, continued).tolist()


def test_every_returned_sequence_belongs_to_its_rows_tenant(llama, deltas, served):
    torch.manual_seed(0)
    found = served.generate(
        PROMPTS[:2], tenants=["a", "b"], max_new_tokens=1, do_sample=True, top_k=1, num_return_sequences=3
    )
    expected = row_by_row(llama, deltas, PROMPTS[:2], ["a", "b"], lambda m, ids: logits(m, ids)[:, -1].argmax(-1))
    assert found[:, -1].tolist() == expected.repeat_interleave(3).tolist()


def test_beams_stay_with_their_rows_tenant(llama, deltas, served):
    options = {"max_new_tokens": 4, "do_sample": False, "num_beams": 2}
    found = served.generate(PROMPTS[1:3], tenants=["a", "b"], **options)
    expected = row_by_row(llama, deltas, PROMPTS[1:3], ["a", "b"], lambda m, ids: m.generate(ids, **options))
    assert found.tolist() == expected.tolist()


def test_own_biases_embeddings_and_heads_are_served_row_by_row(qwen):
    names = ("model.layers.0.self_attn.q_proj.bias", "model.embed_tokens.weight", "lm_head.weight", *NORMS)
    deltas = {"a": fabricated(qwen, 1, raw=names), "b": fabricated(qwen, 2)}
    served = attach(copy.deepcopy(qwen), deltas)
    assert torch.allclose(
        served_logits(served, PROMPTS, ROWS), row_by_row(qwen, deltas, PROMPTS, ROWS, logits), **CLOSE
    )


def test_an_own_embedding_is_the_head_too_where_they_are_tied(llama):
    deltas = {"a": fabricated(llama, 1, raw=("model.embed_tokens.weight",))}
    served = attach(copy.deepcopy(llama), deltas)
    rows = ["a", None, "a", None]
    assert torch.allclose(
        served_logits(served, PROMPTS, rows), row_by_row(llama, deltas, PROMPTS, rows, logits), **CLOSE
    )


def test_shared_embeddings_leave_a_tenants_own_out(qwen):
    with_embedding = fabricated(qwen, 1, raw=("model.embed_tokens.weight", "lm_head.weight"))
    served = attach(copy.deepcopy(qwen), {"a": with_embedding}, embeddings="base")
    expected = row_by_row(qwen, {"a": fabricated(qwen, 1)}, PROMPTS, ["a"] * 4, logits)
    assert torch.allclose(served_logits(served, PROMPTS, ["a"] * 4), expected, **CLOSE)
    assert served.tenants["a"].resident_bytes == tenant_bytes(with_embedding, "base")
    assert tenant_bytes(with_embedding) - tenant_bytes(with_embedding, "base") == 2 * 61 * 40 * 4


def test_rows_with_new_tokens_have_logits_for_them_and_others_have_not(llama):
    delta = fabricated(llama, 1)
    new = torch.randn(3, 52, generator=torch.Generator().manual_seed(0))
    delta.raw["model.embed_tokens.weight[61:]"] = new
    served = attach(copy.deepcopy(llama), {"a": delta})
    ids = torch.tensor([[1, 63, 9, 62], [1, 7, 3, 2]])
    found = served_logits(served, ids, ["a", None])
    expected = row_by_row(apply(llama, delta), {}, ids[:1], [None], logits)
    assert torch.allclose(found[:1], expected, **CLOSE)
    assert torch.equal(found[1, :, 61:], torch.full((4, 3), -torch.inf))


def test_a_token_beyond_a_rows_vocabulary_is_refused(llama):
    delta = fabricated(llama, 1)
    delta.raw["model.embed_tokens.weight[61:]"] = torch.zeros(3, 52)
    served = attach(copy.deepcopy(llama), {"a": delta})
    with pytest.raises(DeltaError, match="a row of the base holds token 62, but its vocabulary has 61 tokens"):
        served(torch.tensor([[1, 62], [1, 62]]), tenants=["a", None])
    with pytest.raises(DeltaError, match="a row of a holds token 64, but its vocabulary has 64 tokens"):
        served(torch.tensor([[1, 64], [1, 2]]), tenants=["a", None])


def test_half_precision_models_stay_in_their_dtype(llama):
    served = attach(copy.deepcopy(llama).bfloat16(), {"a": fabricated(llama, 1, raw=NORMS)}, verify=False)
    found = served_logits(served, PROMPTS, ["a"] * 4)
    assert found.dtype == torch.bfloat16
    expected = row_by_row(llama, {"a": fabricated(llama, 1, raw=NORMS)}, PROMPTS, ["a"] * 4, logits)
    assert torch.nn.functional.cosine_similarity(found.float().flatten(), expected.flatten(), dim=0) > 0.99


def test_a_zero_delta_serves_the_base(llama):
    shapes = matrix_shapes(llama)
    zero = synthetic_delta(shapes, PLAN, 1 / 2)
    for name, matrix in zero.matrices.items():
        zero.matrices[name] = type(matrix)(name, matrix.shape, ())
    served = attach(copy.deepcopy(llama), {"zero": zero})
    assert torch.equal(served_logits(served, PROMPTS, ["zero"] * 4), served_logits(served, PROMPTS, [None] * 4))


def test_without_tenants_the_model_is_the_base(llama, served):
    with torch.no_grad():
        assert torch.equal(served.model(PROMPTS).logits, llama(PROMPTS).logits)
    assert torch.equal(served_logits(served, PROMPTS, [None] * 4), served.model(PROMPTS).logits)


def test_detaching_gives_the_base_model_back(qwen):
    served = attach(copy.deepcopy(qwen), {"a": fabricated(qwen, 1, raw=("lm_head.weight",))})
    back = copy.deepcopy(served.detach())
    assert torch.equal(back(PROMPTS).logits, qwen(PROMPTS).logits)


OWN = ("lm_head.weight", "model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.bias", *NORMS)


@pytest.fixture
def two(qwen):
    """Two served models that share a base, with tenants of one name; the second's has more tensors of its own."""
    model, deltas = copy.deepcopy(qwen), (fabricated(qwen, 1, raw=OWN[:2]), fabricated(qwen, 2, raw=OWN))
    both = [attach(model, {"a": delta}) for delta in deltas]
    return both, [row_by_row(qwen, {"a": delta}, PROMPTS, ["a"] * 4, logits) for delta in deltas]


def test_two_attachments_of_one_model_serve_each_its_own_tenants(two, qwen):
    for served, expected in zip(*two, strict=True):
        assert torch.allclose(served_logits(served, PROMPTS, ["a"] * 4), expected, **CLOSE)
        assert torch.allclose(served_logits(served, PROMPTS, [None] * 4), logits(qwen, PROMPTS), **CLOSE)


@pytest.mark.parametrize("first", [0, 1])
def test_two_attachments_of_one_model_come_off_in_any_order(two, qwen, first):
    both, expected = two
    both[first].detach()
    left = 1 - first
    assert torch.allclose(served_logits(both[left], PROMPTS, ["a"] * 4), expected[left], **CLOSE)
    both[first].detach()  # once more changes nothing
    assert torch.allclose(served_logits(both[left], PROMPTS, ["a"] * 4), expected[left], **CLOSE)
    back = copy.deepcopy(both[left].detach())
    assert torch.equal(back(PROMPTS).logits, qwen(PROMPTS).logits)
    assert not any("forward" in module.__dict__ or module._forward_hooks for module in back.modules())


def test_of_two_attachments_the_inner_call_counts(two):
    (outer, inner), expected = two
    with outer.rows(["a"] * 4) as model:
        assert torch.allclose(served_logits(inner, PROMPTS, ["a"] * 4), expected[1], **CLOSE)
        assert torch.allclose(logits(model, PROMPTS), expected[0], **CLOSE)


def test_a_second_attachment_that_fails_does_not_disturb_the_first(two, llama):
    (first, second), expected = two
    second.detach()
    with pytest.raises(DeltaError, match="changes"):
        attach(first.model, {"a": fabricated(llama, 1)})
    assert torch.allclose(served_logits(first, PROMPTS, ["a"] * 4), expected[0], **CLOSE)


def test_an_attachment_that_was_let_go_does_not_keep_the_hooks_on(llama, deltas):
    model = copy.deepcopy(llama)
    attach(model, deltas)
    gc.collect()
    attach(model, deltas).detach()
    assert torch.equal(copy.deepcopy(model)(PROMPTS).logits, llama(PROMPTS).logits)


def test_a_forward_that_somebody_put_on_top_stays(qwen):
    served = attach(copy.deepcopy(qwen), {"a": fabricated(qwen, 1, raw=NORMS)})
    below = served.model.model.norm.forward
    served.model.model.norm.forward = theirs = lambda x: 2 * below(x)
    assert served.detach().model.norm.forward is theirs
    assert torch.allclose(logits(served.model, PROMPTS), 2 * logits(qwen, PROMPTS), **CLOSE)


def test_a_detached_model_says_that_it_serves_no_more(llama, served):
    served.detach()
    with pytest.raises(DeltaError, match="was detached from its base: attach"):
        served.add("c", fabricated(llama, 3))
    with pytest.raises(DeltaError, match="was detached from its base: attach"):
        served(PROMPTS, tenants=[None] * 4)


def test_a_block_of_calls_can_belong_to_rows(llama, deltas, served):
    with torch.no_grad(), served.rows(["a"]) as model:
        found = torch.cat([model(PROMPTS[row : row + 1]).logits for row in range(4)])
    assert torch.allclose(found, row_by_row(llama, deltas, PROMPTS, ["a"] * 4, logits), **CLOSE)


def test_threads_do_not_see_each_others_rows(llama, served):
    found = {}

    def run():
        with torch.no_grad():
            found["base"] = served.model(PROMPTS).logits

    with served.rows(["a"] * 4):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert torch.equal(found["base"], llama(PROMPTS).logits)


class Meanwhile(StoppingCriteria):
    """Runs something after the second token."""

    def __init__(self, run):
        self.run, self.steps = run, 0

    def __call__(self, input_ids, scores, **more):
        self.steps += 1
        if self.steps == 2:
            self.run()
        return torch.zeros(len(input_ids), dtype=torch.bool)


def test_tenants_come_and_go_while_others_generate(llama, deltas, served):
    def swap():
        served.drop("a")
        served.add("c", fabricated(llama, 3))

    expected = row_by_row(llama, deltas, PROMPTS, ROWS, continued)
    found = served.generate(
        PROMPTS,
        tenants=ROWS,
        max_new_tokens=6,
        do_sample=False,
        stopping_criteria=StoppingCriteriaList([Meanwhile(swap)]),
    )
    assert found.tolist() == expected.tolist()  # the rows of "a" were served to their end
    assert sorted(served.tenants) == ["b", "c"]
    new = row_by_row(llama, {"c": fabricated(llama, 3)}, PROMPTS, ["c"] * 4, logits)
    assert torch.allclose(served_logits(served, PROMPTS, ["c"] * 4), new, **CLOSE)


def test_the_memory_of_a_tenant_is_foretold(llama, deltas, served):
    for name, delta in deltas.items():
        assert served.tenants[name].resident_bytes == tenant_bytes(delta)


def test_fifty_tenants_share_one_base(llama):
    served = ServedModel(copy.deepcopy(llama))
    shapes = matrix_shapes(llama)
    names = [f"tenant {number}" for number in range(50)]
    drawn = [in_memory(synthetic_delta(shapes, "3:rest", 1 / 16, seed)) for seed in range(3)]
    deltas = {name: drawn[number % 3].delta() for number, name in enumerate(names)}
    for number, name in enumerate(names):
        served.add(name, drawn[number % 3])
    some = [names[7], names[49], None, names[7]]
    expected = row_by_row(llama, {name: deltas[name] for name in some if name}, PROMPTS, some, logits)
    assert torch.allclose(served_logits(served, PROMPTS, some), expected, **CLOSE)
    assert sum(tenant.resident_bytes for tenant in served.tenants.values()) == 50 * tenant_bytes(deltas[names[0]])


def test_an_unknown_tenant_is_named(served):
    with pytest.raises(DeltaError, match="there is no tenant 'c'; there are: a, b"):
        served(PROMPTS, tenants=["a", "b", "c", None])
    with pytest.raises(DeltaError, match="there is no tenant 'c'"):
        served.drop("c")


def test_a_dropped_tenant_is_unknown(served):
    served.drop("a")
    with pytest.raises(DeltaError, match="there is no tenant 'a'; there are: b"):
        served.generate(PROMPTS, tenants=ROWS)


def test_a_name_is_not_given_twice(llama, served):
    with pytest.raises(DeltaError, match="there is a tenant 'a' already"):
        served.add("a", fabricated(llama, 3))


@pytest.mark.parametrize(
    ("tenants", "said"), [(["a"], r"4 rows, but 1 tenants .*; name one tenant"), ("a", "a list with"), ([], "a list")]
)
def test_each_row_needs_a_tenant(served, tenants, said):
    with pytest.raises(DeltaError, match=said):
        served.generate(PROMPTS, tenants=tenants)


def test_a_batch_of_another_size_inside_a_block_is_refused(served):
    with served.rows(["a", "b"]) as model, pytest.raises(DeltaError, match=r"a batch of 4 rows, but tenants .* for 2"):
        model(PROMPTS)


def test_another_base_is_refused_by_its_first_tensor(llama, deltas):
    other = copy.deepcopy(llama)
    with torch.no_grad():
        other.model.layers[1].mlp.up_proj.weight[0, 0] += 1
    with pytest.raises(DeltaError, match="belongs to another base"):
        attach(other, deltas)
    attach(other, deltas, verify=False)


def test_a_model_of_another_shape_is_refused(qwen, deltas):
    with pytest.raises(DeltaError, match=r"changes model\.layers\.0\.self_attn\.q_proj\.weight, 52 x 52.* has 40 x 40"):
        attach(qwen, deltas)


def test_a_model_without_projections_is_refused():
    with pytest.raises(DeltaError, match="has no projections"):
        ServedModel(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(("kernel", "said"), [("packed", "got 'packed'"), (PackedKernel, "got the class PackedKernel")])
def test_what_is_no_kernel_is_refused(llama, deltas, kernel, said):
    model = copy.deepcopy(llama)
    for take in (lambda: attach(model, deltas, kernel=kernel), lambda: tenant_bytes(deltas["a"], kernel=kernel)):
        with pytest.raises(DeltaError, match=rf"a kernel is None \(plain torch\), PackedKernel\(\).*{said}"):
            take()
    copy.deepcopy(model)  # nothing was put on it


def test_a_served_model_is_not_copied(served):
    with pytest.raises(DeltaError, match="cannot be copied while it serves"):
        copy.deepcopy(served.model)
