"""The CPU path against the merged model in float64, with every way of writing its loops that this processor can run."""

import pytest
import torch

from lib.kernels import sign_matmul_cpu_code as code
from lib.kernels.delta import DeltaTable, Routing, delta_cpu, delta_linear, specification
from lib.kernels.llvm import host_features
from tests.kernels.delta.cases import PLANS, SIXTEEN_BITS, STEP_OF_16_BITS, STEPS, delta, fill, relative_error, same

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
PROCESSORS = [
    processor
    for processor, feature in ((code.AVX512, "avx512f"), (code.AVX2, "avx2"), (code.ANY, None))
    if feature is None or host_features().get(feature)
]


def step(name: str, dtype: torch.dtype):
    inputs, outputs, tenants, _ = STEPS[name]
    table, deltas = fill(DeltaTable(inputs, outputs, capacity=2), name)
    generator = torch.Generator().manual_seed(len(tenants))
    x = torch.randn(len(tenants), inputs, generator=generator).to(dtype)
    base = torch.randn(len(tenants), sum(outputs), generator=generator).to(dtype)
    return x, base, tenants, table, deltas


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", STEPS)
def test_a_step_errs_at_most_as_much_as_its_type_rounds(name, dtype):
    x, base, tenants, table, deltas = step(name, DTYPES[dtype])
    y = delta_linear(x, base, tenants, table)
    plain = specification.delta_linear(x, base, tenants, deltas)
    error = relative_error(y, x, base, tenants, deltas)
    step_of_codes = STEP_OF_16_BITS if name == SIXTEEN_BITS else 0
    assert error <= relative_error(plain, x, base, tenants, deltas) * 1.1 + 4e-6 + step_of_codes
    assert all(torch.equal(y[i], base[i]) for i, each in enumerate(tenants) if each < 0)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("processor", PROCESSORS, ids=lambda processor: processor.name)
def test_every_processors_loops_give_the_same_product(processor, threads, monkeypatch):
    monkeypatch.setattr(delta_cpu, "WORK_A_THREAD", 1)
    x, base, tenants, table, deltas = step("fused slices of odd sizes", torch.float32)
    routing, y = Routing.of(tenants), base.clone()
    delta_cpu.add_delta_cpu(x, y, routing.tenants, routing.tokens, table.records, threads, processor)
    assert relative_error(y, x, base, tenants, deltas) < 4e-6


@pytest.mark.parametrize("tokens", [1, 2, 3, 5])
def test_any_number_of_tokens_of_a_tenant_is_right_over_inputs_of_many_slices(tokens):
    original = delta(48, 1536, [(8, 2), (3, 32), (2, 200)])
    table, x, base = DeltaTable(1536, (48,)), torch.randn(tokens, 1536), torch.zeros(tokens, 48)
    table.add(0, original)
    y = delta_linear(x, base, [0] * tokens, table)
    assert relative_error(y, x, base, [0] * tokens, {0: [original]}) < 4e-6


@pytest.mark.parametrize("name", PLANS)
def test_the_cpu_order_restores_to_the_canonical_planes(name):
    original = delta(70, 200, PLANS[name], u_order=True, v_order=True)
    table = DeltaTable(200, (70,))
    table.add(0, original)
    assert table.layout == "cpu"
    assert same(table.restore(0)[0], original)


def test_scales_that_fp16_holds_as_subnormal_numbers_count_in_full():
    original = delta(32, 64, [(2, 16)])
    original.groups[0].v.scales.fill_(3e-7)
    table, x = DeltaTable(64, (32,)), torch.randn(1, 64)
    table.add(0, original)
    base = torch.zeros(1, 32)
    y = delta_linear(x, base, [0], table)
    assert relative_error(y, x, base, [0], {0: [original]}) < 4e-6


def test_a_padded_delta_takes_few_bytes_more_than_its_canonical_form():
    original = delta(1024, 1024, [(8, 2), (3, 32), (2, 200)])
    table = DeltaTable(1024, (1024,))
    table.add(0, original)
    assert original.nbytes <= table.nbytes(0) <= 1.08 * original.nbytes
