import copy

import pytest
import torch

from lib.delta_come.artifact import in_memory
from lib.delta_come.errors import DeltaError
from lib.delta_come.serving import attach
from tests.delta_come.models import biased_qwen, fabricated, merged, odd_llama

PROMPTS = torch.tensor([[1, 5, 9, 17], [1, 7, 3, 2], [1, 30, 31, 32], [1, 5, 9, 17]])
ROWS = ["a", None, "b", "b"]
NORMS = ("model.norm.weight", "model.layers.1.input_layernorm.weight")


@pytest.fixture(scope="module")
def llama():
    return odd_llama()


@pytest.fixture(scope="module")
def deltas(llama):
    return {"a": fabricated(llama, 1), "b": fabricated(llama, 2, raw=NORMS)}


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
    return model.generate(ids, max_new_tokens=12, do_sample=False)


def test_mixed_rows_have_the_logits_of_their_own_merged_models(llama, deltas, served):
    with torch.no_grad():
        found = served(PROMPTS, tenants=ROWS).logits
    assert torch.allclose(found, row_by_row(llama, deltas, PROMPTS, ROWS, logits), atol=2e-4, rtol=1e-4)


def test_mixed_rows_generate_what_their_own_merged_models_do(llama, deltas, served):
    found = served.generate(PROMPTS, tenants=ROWS, max_new_tokens=12, do_sample=False)
    assert found.tolist() == row_by_row(llama, deltas, PROMPTS, ROWS, continued).tolist()
    assert len({tuple(row) for row in found[[0, 3]].tolist()}) == 2
