"""The public call: what it takes, what it refuses, and that compiled code has it as one operator."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.checkout import Checkout
from lib.kernels.delta import DeltaTable, PackedDelta, PackedMatrix, Routing, delta_linear, packed
from tests.kernels.delta.cases import delta, relative_error


@pytest.fixture
def table():
    table = DeltaTable(96, (40,))
    table.add(3, delta(40, 96, [(3, 8)]))
    return table


@settings(max_examples=40, deadline=None)
@given(bits=st.integers(1, 8), rows=st.integers(1, 5), columns=st.integers(1, 100), seed=st.integers(0, 99))
def test_packed_codes_come_back(bits, rows, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 2**bits, (rows, columns), dtype=torch.uint8, generator=generator)
    planes = packed.pack(codes, bits)
    assert sum(plane.shape[1] for plane in planes) <= bits * columns / 32 + len(planes)
    assert torch.equal(packed.unpack(planes, bits, columns), codes)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-1, 4), max_size=40), st.sampled_from([None, 4, 8]))
def test_a_routing_has_every_token_of_a_tenant_once_and_no_other(tenants, size):
    routing = Routing.of(tenants, tokens_a_tile=size)
    pairs = zip(routing.tenants.tolist(), routing.tokens.tolist(), strict=True)
    placed = sorted((token, tenant) for tenant, tokens in pairs for token in tokens if token >= 0)
    assert placed == [(token, tenant) for token, tenant in enumerate(tenants) if tenant >= 0]


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_code_has_the_product_as_one_operator_without_a_break(table, backend):
    routing, weight = Routing.of([3, -1, 3]), torch.randn(40, 96)

    def block(x):
        return torch.relu(delta_linear(x * 2, (x * 2) @ weight.T, routing, table)) + 1

    x = torch.randn(3, 96)
    with torch.no_grad():
        assert torch.equal(torch.compile(block, backend=backend, fullgraph=True)(x), block(x))


def test_the_operator_says_what_it_changes(table):
    from lib.kernels.delta import operator  # noqa: F401, registers it

    routing = Routing.of([3, -1])
    tables = (table.records, table.orders, table.anchor, table.granules, 40)
    arguments = (torch.randn(2, 96), torch.randn(2, 40), routing.tenants, routing.tokens, *tables)
    torch.library.opcheck(
        torch.ops.sixpapers.add_delta.default, arguments, test_utils=("test_schema", "test_faketensor")
    )


def test_the_base_products_are_written_into_only_when_asked(table):
    x, base = torch.randn(2, 96), torch.zeros(2, 40)
    y = delta_linear(x, base, [3, 3], table)
    assert not base.any()
    assert torch.equal(delta_linear(x, base, [3, 3], table, inplace=True), y)
    assert torch.equal(base, y)


def test_activations_with_a_batch_have_a_tenant_a_token(table):
    x, base = torch.randn(2, 3, 96), torch.randn(2, 3, 40)
    y = delta_linear(x, base, [3, -1, 3, -1, -1, 3], table)
    assert y.shape == base.shape
    assert torch.equal(y[1, 1], base[1, 1])
    assert not torch.equal(y[1, 2], base[1, 2])


def test_groups_of_256_columns_or_one_a_row_are_right_too():
    generator = torch.Generator().manual_seed(0)
    from tests.kernels.delta.cases import matrix

    group = delta(48, 300, [(3, 20)]).groups[0]
    for size in (256, 512):
        v = matrix(20, 300, 3, generator, False, group_size=size)
        original = PackedDelta(48, 300, (packed.PackedGroup(group.u, v, group.singular_values),))
        table, x, base = DeltaTable(300, (48,)), torch.randn(2, 300), torch.zeros(2, 48)
        table.add(0, original)
        assert relative_error(delta_linear(x, base, [0, 0], table), x, base, [0, 0], {0: [original]}) < 4e-6


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.zeros(1, 95), torch.zeros(1, 40), [3]), ValueError, r"shape \[1, 95\], but the table's .* 96 inputs"),
        ((torch.zeros(1, 96), torch.zeros(1, 41), [3]), ValueError, r"base_output has .* expected \[1, 40\]"),
        ((torch.zeros(1, 96), torch.zeros(1, 40), [3, 3]), ValueError, "2 tenants for 1 tokens"),
        ((torch.zeros(1, 96), torch.zeros(1, 40), [2]), KeyError, r"tenant 2 is not in the table, which has \[3\]"),
        ((torch.zeros(1, 96), torch.zeros(1, 40), [-2]), ValueError, "tenant -2: .* −1 for the base alone"),
        ((torch.zeros(1, 96).double(), torch.zeros(1, 40), [3]), TypeError, "x is torch.float64"),
    ],
)
def test_what_does_not_fit_is_refused(table, arguments, error, message):
    with pytest.raises(error, match=message):
        delta_linear(*arguments, table)


def test_deltas_that_do_not_fit_are_refused(table):
    with pytest.raises(ValueError, match="40 × 97, but the table's projection 0 is 40 × 96"):
        table.add(0, delta(40, 97, [(2, 4)]))
    with pytest.raises(ValueError, match="2 deltas for 1 fused projections"):
        table.add(0, [None, None])
    with pytest.raises(KeyError, match="tenant 9 is not in the table"):
        table.drop(9)
    good = delta(40, 96, [(2, 4)]).groups[0]
    small = PackedMatrix(good.v.planes, 2, 96, good.v.scales.repeat(1, 3), good.v.zeros.repeat(1, 3), 32)
    with pytest.raises(ValueError, match=r"group 0, V: groups of 32 columns.*group_size=128"):
        table.add(0, PackedDelta(40, 96, (packed.PackedGroup(good.u, small, good.singular_values),)))
    with pytest.raises(TypeError, match=r"scales is torch\.float32, expected torch\.float16"):
        wide = PackedMatrix(good.v.planes, 2, 96, good.v.scales.float(), good.v.zeros)
        table.add(0, PackedDelta(40, 96, (packed.PackedGroup(good.u, wide, good.singular_values),)))


def test_importing_the_package_imports_neither_torch_nor_a_compiler():
    code = "import sys, lib.kernels.delta; assert not {'torch', 'triton', 'llvmlite'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Checkout().root, check=True)
