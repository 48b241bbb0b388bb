"""The delta kernels on a GPU, where there is one: errors, and a captured step whose tenants change."""

import pytest
import torch

from lib.kernels.delta import DeltaTable, Routing, delta_linear, specification
from lib.kernels.delta.benchmark import paper_plan
from tests.kernels.delta.cases import STEPS, delta, fill, relative_error, same

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_errs_at_most_twice_as_much_as_plain_torch_of_its_type(name, dtype):
    inputs, outputs, tenants, _ = STEPS[name]
    table, deltas = fill(DeltaTable(inputs, outputs, "cuda"), name)
    x = torch.randn(len(tenants), inputs).to(dtype)
    base = torch.randn(len(tenants), sum(outputs)).to(dtype)
    y = delta_linear(x.cuda(), base.cuda(), tenants, table).cpu()
    plain = specification.delta_linear(x, base, tenants, deltas)
    allowed = 2 * relative_error(plain, x, base, tenants, deltas) + (2e-5 if dtype == torch.float32 else 1e-6)
    assert relative_error(y, x, base, tenants, deltas) <= allowed
    assert all(torch.equal(y[i], base[i]) for i, each in enumerate(tenants) if each < 0)


@pytest.mark.parametrize(("outputs", "inputs"), [(4096, 4096), (4096, 11008), (11008, 4096)])
def test_a_layer_of_the_7b_model_is_right_for_many_tenants(outputs, inputs):
    original = delta(outputs, inputs, list(paper_plan(outputs, inputs)), u_order=True, v_order=True)
    table = DeltaTable(inputs, (outputs,), "cuda", capacity=4)
    tenants = [0, 3, 3, -1, 2, 0, 1, 3]
    for tenant in range(4):
        table.add(tenant, original)
    x, base = torch.randn(len(tenants), inputs).bfloat16(), torch.zeros(len(tenants), outputs).bfloat16()
    y = delta_linear(x.cuda(), base.cuda(), tenants, table).cpu()
    assert relative_error(y, x, base, tenants, {tenant: [original] for tenant in range(4)}) < 5e-3
    assert same(table.restore(2)[0], original)


def test_a_captured_step_serves_the_tenants_that_are_written_into_its_routing():
    deltas = {tenant: [delta(128, 256, [(3, 32), (2, 64)], seed=tenant)] for tenant in range(3)}
    table = DeltaTable(256, (128,), "cuda", capacity=3)
    for tenant, each in deltas.items():
        table.add(tenant, each)
    x, base = torch.randn(4, 256).bfloat16(), torch.zeros(4, 128).bfloat16()
    device_x, device_base = x.cuda(), base.cuda()
    routing = Routing.of([0, 0, 1, -1], "cuda", tokens_a_tile=4, tiles=4)
    delta_linear(device_x, device_base, routing, table)  # compiles
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = delta_linear(device_x, device_base, routing, table)
    for tenants in ([2, -1, 1, 0], [1, 1, 1, 1], [-1, -1, -1, -1]):
        following = Routing.of(tenants, "cuda", tokens_a_tile=4, tiles=4)
        routing.tenants.copy_(following.tenants)
        routing.tokens.copy_(following.tokens)
        graph.replay()
        assert relative_error(y.cpu(), x, base, tenants, deltas) < 5e-3
