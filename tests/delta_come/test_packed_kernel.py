import copy
import gc

import pytest
import torch

from lib.delta_come.errors import DeltaError
from lib.delta_come.merging import apply
from lib.delta_come.packed_kernel import PackedKernel
from lib.delta_come.plan import Storage
from lib.delta_come.serving import attach
from lib.delta_come.synthetic import matrix_shapes, synthetic_delta
from lib.delta_come.tenants import tenant_bytes
from tests.delta_come.models import odd_llama

IDS = torch.tensor([[1, 5, 9, 17], [1, 7, 3, 2], [1, 30, 31, 32], [1, 5, 9, 17]])


@pytest.fixture(scope="module")
def llama():
    return odd_llama()


@pytest.fixture(scope="module")
def deltas(llama):
    shapes, ordered = matrix_shapes(llama), Storage(permutation=True)
    return {
        "a": synthetic_delta(shapes, "8:2,3:5,2:rest", 1 / 2, 1, ordered, size=0.1),
        "b": synthetic_delta(shapes, "4:3,2:rest", 1 / 4, 2, size=0.1),
        "half": synthetic_delta(shapes, "16:1,8:1,2:rest", 1 / 2, 3, size=0.1),
        "ranks": synthetic_delta(shapes, "8:1,3:3,2:rest", 1 / 2, 4, Storage(rank_scales=True), size=0.1),
    }


@pytest.fixture
def served(llama, deltas):
    return attach(copy.deepcopy(llama), deltas, kernel=PackedKernel())


def logits(served, rows):
    with torch.no_grad():
        return served(IDS, tenants=rows).logits


@pytest.mark.parametrize("rows", [["a", None, "b", "b"], ["half", "ranks", None, "a"], ["b"] * 4, [None] * 4])
def test_kernels_and_plain_torch_agree(llama, deltas, served, rows):
    plain = attach(copy.deepcopy(llama), deltas)
    assert torch.allclose(logits(served, rows), logits(plain, rows), atol=3e-4, rtol=1e-4)


def test_memory_is_foretold_from_the_layouts(deltas, served):
    for name, delta in deltas.items():
        assert served.tenants[name].resident_bytes == tenant_bytes(delta, kernel=PackedKernel())


def test_a_dropped_tenants_place_is_taken_again(llama, deltas, served):
    number = served.tenants["a"].deltas.number
    served.drop("a")
    gc.collect()
    served.add("c", deltas["a"])
    assert served.tenants["c"].deltas.number == number
    plain = attach(copy.deepcopy(llama), {"c": deltas["a"]})
    assert torch.allclose(logits(served, ["c"] * 4), logits(plain, ["c"] * 4), atol=3e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["a", "half", "ranks"])
def test_a_tenants_rows_are_those_of_its_merged_model(llama, deltas, served, name):
    expected = apply(llama, deltas[name])(IDS).logits
    assert torch.allclose(logits(served, [name] * 4), expected, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(expected, llama(IDS).logits, atol=0.1)


def test_what_the_kernels_leave_out_is_named(llama):
    fine = synthetic_delta(matrix_shapes(llama), "2:rest", 1 / 2, storage=Storage(group_size=32))
    with pytest.raises(DeltaError, match=r"q_proj\.weight: group 0, .: groups of 32 columns.*without kernels"):
        attach(copy.deepcopy(llama), {"a": fine}, kernel=PackedKernel())
