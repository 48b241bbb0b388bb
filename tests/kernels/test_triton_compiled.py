"""The GPU's kernels compiled ahead of time for three generations, without a GPU: resources and instructions."""

import os
import sys

import pytest

pytest.importorskip("triton")

from lib.kernels.layout import interpreted

if interpreted() or sys.platform != "linux":
    pytest.skip("compiling needs Linux and a process without TRITON_INTERPRET", allow_module_level=True)

from lib.kernels import combine_triton, sign_matmul_gpu, sign_matmul_triton
from tests.kernels.compiled import compile_for

ARCHITECTURES = (80, 90, 100)
SHARED_KILOBYTES = {
    80: 163,
    90: 227,
    100: 227,
}  # that a program may have (CUDA programming guide, compute capabilities)
SIZES = {"rows": "i32", "outputs": "i32!", "inputs": "i32!", "chunks": "i32", "chunks_a_split": "i32"}
POINTERS = dict.fromkeys(("x", "output_scale", "y"), "*bf16") | {"words": "*i16"}
CONSTANTS = {"bias": None, "FINAL": True, "BIAS": False, "BF16": True, "INTERPRET": False}

# rows, blocks and chunks of the layers 11008×4096, 28672×8192 and 4096×11008 on an H100, and what they are cut into
FEW_ROWS = [(1, 688, 16, "bf16"), (8, 1792, 32, "fp16"), (16, 256, 43, "bf16")]


@pytest.fixture(autouse=True, scope="module")
def fresh_cache(tmp_path_factory):
    before = os.environ.get("TRITON_CACHE_DIR")
    os.environ["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    yield
    if before is None:
        del os.environ["TRITON_CACHE_DIR"]
    else:
        os.environ["TRITON_CACHE_DIR"] = before


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("rows", "blocks", "chunks", "dtype"), FEW_ROWS)
def test_few_rows_are_decoded_in_registers_from_wide_loads(architecture, rows, blocks, chunks, dtype, tmp_path):
    tiles = sign_matmul_gpu.choose_tiles(rows, blocks, chunks)
    shape = {"BLOCKS": tiles.blocks, "PARTS": tiles.parts, "ROWS": tiles.rows, "SCALE": True, "BF16": dtype == "bf16"}
    types = {name: kind.replace("bf16", dtype) for name, kind in (POINTERS | {"input_scale": "*bf16"}).items()} | SIZES
    kernel = compile_for(
        sign_matmul_triton.rows_kernel, architecture, types, CONSTANTS | shape, tiles.warps, tiles.stages, tmp_path
    )
    weights = tiles.blocks * 16 * 256 // 32  # that a thread decodes each time round
    assert kernel.stack == 0
    assert kernel.registers <= 128
    assert kernel.shared <= SHARED_KILOBYTES[architecture] * 1024
    assert kernel.count("SHFL") == 0  # the load already has the layout of the tensor cores' operand
    assert kernel.count("HMMA") == weights // 8 * tiles.rows // 8
    assert weights // 2 <= kernel.count("LOP3") < 0.6 * weights  # one for two weights, and no conversion
    assert not any(instruction.startswith("I2F") for instruction in kernel.loop)
    copies = [instruction for instruction in kernel.loop if instruction.startswith("LDGSTS")]
    assert copies
    assert all(".128" in instruction for instruction in copies)  # 16 bytes each


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("rows", [64, 2048])
def test_many_rows_run_in_the_tensor_cores_of_each_generation(architecture, rows, tmp_path):
    tiles = sign_matmul_gpu.choose_tiles(rows, 688, 16, shared_kilobytes=SHARED_KILOBYTES[architecture])
    shape = {"BLOCKS": tiles.blocks, "ROWS": tiles.rows}
    kernel = compile_for(
        sign_matmul_triton.gemm_kernel,
        architecture,
        POINTERS | SIZES,
        CONSTANTS | shape,
        tiles.warps,
        tiles.stages,
        tmp_path,
    )
    assert kernel.stack == 0
    assert kernel.registers <= 65536 // (32 * tiles.warps)
    assert kernel.shared <= SHARED_KILOBYTES[architecture] * 1024
    assert kernel.count("SHFL") == 0
    assert kernel.count({80: "HMMA", 90: "HGMMA", 100: "UTCHMMA"}[architecture])
    assert all(".128" in instruction for instruction in kernel.loop if instruction.startswith("LDGSTS"))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_normalisation_keeps_its_block_in_registers(architecture, tmp_path):
    types = {"acc": "*fp32", "output_scale": "*bf16", "y": "*bf16", "rows": "i32", "outputs": "i32!", "splits": "i32"}
    constants = {"bias": None, "LAYER_NORM": True, "BIAS": False, "BLOCK": 16384}
    kernel = compile_for(
        combine_triton.combine_kernel, architecture, types | {"eps": "fp32"}, constants, 16, 3, tmp_path
    )
    assert kernel.stack == 0
    assert kernel.registers <= 128
