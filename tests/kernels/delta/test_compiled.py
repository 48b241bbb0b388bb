"""The delta kernels compiled ahead of time for three generations, without a GPU: resources and instructions."""

import os
import sys

import pytest

pytest.importorskip("triton")

from lib.kernels.layout import interpreted

if interpreted() or sys.platform != "linux":
    pytest.skip("compiling needs Linux and a process without TRITON_INTERPRET", allow_module_level=True)

import torch

from lib.kernels.delta import delta_gpu, delta_triton
from tests.kernels.compiled import compile_for

ARCHITECTURES = (80, 90, 100)
SHARED_KILOBYTES = {80: 163, 90: 227, 100: 227}  # that a program may have (CUDA programming guide)
ROUTED = {"tile_tenants": "*i32", "tile_tokens": "*i32", "records": "*i64"}
ANCHOR = {"words": "*i16", "halves": "*fp16", "bytes_": "*u8", "ints": "*i32"}
COUNTS = {"slices": "i32", "order_count": "i32", "granules_a_slice": "i32"}
CASES = [(4, torch.bfloat16), (16, torch.float16)]  # tokens a tile, and of what


@pytest.fixture(autouse=True, scope="module")
def fresh_cache(tmp_path_factory):
    before = os.environ.get("TRITON_CACHE_DIR")
    os.environ["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    yield
    if before is None:
        del os.environ["TRITON_CACHE_DIR"]
    else:
        os.environ["TRITON_CACHE_DIR"] = before


def cases():
    """All token counts on one generation, the commonest one on the others: every compilation takes a second."""
    return [(90, *case) for case in CASES] + [(80, *CASES[0]), (100, *CASES[0])]


def check(kernel, architecture: int, warps: int, digits: int) -> None:
    """What holds for both stages; `digits` a thread decodes each time round."""
    assert kernel.stack == 0  # no spills
    assert kernel.registers <= 65536 // (32 * warps)
    assert kernel.shared <= SHARED_KILOBYTES[architecture] * 1024
    assert kernel.count("SHFL") == 0  # the load has the layout of the tensor cores' operand already
    assert digits // 2 <= kernel.count("LOP3") <= 0.75 * digits  # one for two digits, and no conversion of them
    assert kernel.count("HMMA")
    copies = [instruction.split()[0] for instruction in kernel.loop if instruction.startswith("LDGSTS")]
    assert any(".128" in copy for copy in copies)  # 16 bytes each


@pytest.mark.parametrize(("architecture", "tokens", "dtype"), cases())
def test_the_shrink_kernel_decodes_wide_loads_in_registers(architecture, tokens, dtype, tmp_path):
    x_parts, r_parts = delta_gpu.parts_of(dtype, tokens)
    columns = x_parts * tokens
    warps, stages = delta_gpu.shrink_warps(columns), delta_gpu.stages_of(columns)
    pointers = {"xs": "*bf16", "x_sums": "*fp32", "rs": "*bf16", "r_sums": "*fp32", "floats": "*fp32"}
    types = pointers | ROUTED | ANCHOR | COUNTS | {"chunks": "i32"}
    constants = {"TOKENS": tokens, "X_PARTS": x_parts, "R_PARTS": r_parts, "WARPS": warps, "STAGES": stages}
    constants["INTERPRET"] = False
    kernel = compile_for(delta_triton.shrink_kernel, architecture, types, constants, warps, stages, tmp_path)
    check(kernel, architecture, warps, digits=32 * 128 // 32)
    assert kernel.count("HMMA") == 2 * 8 * columns // 8  # 32 directions × 128 inputs by 16 × 16
    print("shrink", architecture, columns, kernel.registers, kernel.shared, len(kernel.loop))


@pytest.mark.parametrize(("architecture", "tokens", "dtype"), cases())
def test_the_expand_kernel_decodes_wide_loads_in_registers(architecture, tokens, dtype, tmp_path):
    _, r_parts = delta_gpu.parts_of(dtype, tokens)
    types = {"rs": "*bf16", "r_sums": "*fp32", "y": "*bf16", "all_outputs": "i32!"} | ROUTED | ANCHOR | COUNTS
    del types["order_count"]
    stages = delta_gpu.stages_of(r_parts * tokens)
    constants = {"TOKENS": tokens, "R_PARTS": r_parts, "STAGES": stages, "INTERPRET": False}
    constants["WARPS"] = warps = delta_gpu.EXPAND_WARPS
    kernel = compile_for(delta_triton.expand_kernel, architecture, types, constants, warps, stages, tmp_path)
    check(kernel, architecture, warps, digits=64 * 128 // 32)
    assert kernel.count("HMMA") == 4 * 8 * r_parts * tokens // 8  # 64 outputs × 128 directions by 16 × 16
    print("expand", architecture, r_parts * tokens, kernel.registers, kernel.shared, len(kernel.loop))
