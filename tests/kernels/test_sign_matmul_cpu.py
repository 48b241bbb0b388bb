import subprocess
import sys

import numpy as np
import pytest
import torch

from lib.checkout import Checkout
from lib.kernels import layout, llvm, sign_matmul_cpu, specification
from lib.kernels import sign_matmul_cpu_code as code

HOST = code.choose(llvm.host_features())
RUNNABLE = [each for each in (code.AVX512, code.AVX2, code.ANY) if each.bits >= HOST.bits and each.lanes <= HOST.lanes]
SHAPES = [(1, 1), (5, 123), (16, 32), (130, 257), (300, 1024), (577, 1300)]


def case(out_features: int, in_features: int, rows: int, dtype: torch.dtype = torch.float32):
    generator = torch.Generator().manual_seed(rows)
    packed = torch.randint(0, 256, (out_features, -(-in_features // 8)), dtype=torch.uint8, generator=generator)
    x = torch.randn(rows, in_features, generator=generator).to(dtype)
    input_scale = torch.rand(in_features, generator=generator) + 0.5
    output_scale = torch.randn(out_features, generator=generator)
    reference = specification.sign_matmul(
        x.double(), layout.signs(packed, in_features).double(), input_scale.double(), output_scale.double()
    )
    return x, layout.repack(packed, in_features), input_scale, output_scale, reference


def relative_error(y: torch.Tensor, reference: torch.Tensor) -> float:
    return float((y.double() - reference).norm() / reference.norm())


@pytest.mark.parametrize("processor", RUNNABLE, ids=lambda processor: processor.name)
@pytest.mark.parametrize(("out_features", "in_features"), SHAPES)
def test_look_ups_are_exact_to_fp32_on_every_kind_of_processor(processor, out_features, in_features):
    for rows in (1, processor.most_rows, processor.most_rows + 3):
        *arguments, reference = case(out_features, in_features, rows)
        y = sign_matmul_cpu.by_tables(*arguments, threads=1, processor=processor)
        assert y.shape == reference.shape
        assert relative_error(y, reference) < 1e-5


@pytest.mark.parametrize("rows", range(1, 15))
def test_every_number_of_rows_is_covered(rows):
    *arguments, reference = case(65, 130, rows)
    assert relative_error(sign_matmul_cpu.sign_matmul_cpu(*arguments), reference) < 1e-5


@pytest.mark.parametrize("most", [1, 2, 6])
def test_groups_of_rows_add_up_and_differ_by_one_at_most(most):
    for rows in range(1, 40):
        groups = sign_matmul_cpu.groups_of(rows, most)
        assert sum(size * count for size, count in groups) == rows
        assert max(size for size, _ in groups) <= most
        assert max(size for size, _ in groups) - min(size for size, _ in groups) <= 1


@pytest.mark.parametrize("parallel", ["OpenMP", "Python threads"])
def test_the_number_of_threads_does_not_change_a_bit(monkeypatch, parallel):
    monkeypatch.setattr(sign_matmul_cpu, "WORK_A_THREAD", 1)
    if parallel == "Python threads":
        monkeypatch.setattr(sign_matmul_cpu.pool, "_openmp", lambda: None)
    *arguments, _ = case(333, 512, 7)
    alone = sign_matmul_cpu.by_tables(*arguments, threads=1)
    for threads in (2, 3, 5, 64):  # of 21 blocks: even and uneven slices, more threads than blocks
        assert torch.equal(alone, sign_matmul_cpu.by_tables(*arguments, threads=threads))


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_threads_are_those_of_torch():
    code = """
import os, torch
from lib.kernels import sign_matmul_cpu, threads
torch.set_num_threads(3)
torch.randn(4_000_000).exp()  # starts torch's own threads
before = len(os.listdir("/proc/self/task"))
words = torch.zeros(64, 64, 16, dtype=torch.int32)
sign_matmul_cpu.by_tables(torch.randn(3, 2048), words, torch.ones(2048), torch.ones(1024), threads=3)
print(len(os.listdir("/proc/self/task")) - before, threads._openmp() is not None)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=Checkout().root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_activations_are_computed_in_fp32(dtype):
    *arguments, reference = case(96, 300, 3, dtype)
    assert relative_error(sign_matmul_cpu.sign_matmul_cpu(*arguments), reference) < 1e-5


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.bfloat16, 2**-7), (torch.float16, 2**-10)])
@pytest.mark.parametrize(("out_features", "in_features"), [(5, 33), (700, 300)])
def test_the_dense_product_of_unpacked_tiles_agrees(dtype, bound, out_features, in_features):
    *arguments, reference = case(out_features, in_features, 40, dtype)
    for threads in (1, 2):
        assert relative_error(sign_matmul_cpu.by_tiles(*arguments, threads=threads), reference) < bound


def test_many_rows_without_vector_registers_go_by_tiles(monkeypatch):
    monkeypatch.setattr(sign_matmul_cpu, "host", lambda: code.ANY)
    assert sign_matmul_cpu.prefers_tiles(64, torch.float32)
    assert not sign_matmul_cpu.prefers_tiles(8, torch.float32)


def test_activations_need_not_be_contiguous():
    x, *arguments, reference = case(40, 64, 6)
    strided = torch.stack([x, x], dim=-1)[..., 0]
    assert not strided.is_contiguous()
    assert relative_error(sign_matmul_cpu.sign_matmul_cpu(strided, *arguments), reference) < 1e-5


def test_no_rows_give_no_rows():
    x, *arguments, _ = case(40, 64, 1)
    assert sign_matmul_cpu.sign_matmul_cpu(x[:0], *arguments).shape == (0, 40)


def test_a_row_that_is_not_a_number_spoils_no_other():
    x, *arguments, reference = case(40, 64, 6)
    x[2, 5] = torch.nan
    y = sign_matmul_cpu.sign_matmul_cpu(x, *arguments)
    assert y[2].isnan().all()
    kept = [0, 1, 3, 4, 5]
    assert relative_error(y[kept], reference[kept]) < 1e-5


def test_the_stack_does_not_grow_with_the_rows():
    text = str(code.write(code.AVX512, 2))
    entry, rest = text.split("claim", 1)  # the label that ends the function's first block
    assert "alloca" in entry
    assert "alloca" not in rest


@pytest.mark.skipif(HOST is not code.AVX512, reason="this processor has no 512-bit registers")
@pytest.mark.parametrize("rows", [1, 4, 6])
def test_the_inner_loop_is_permutes_and_adds_in_registers(rows):
    text = llvm.assembly(code.write(code.AVX512, rows))
    inner = max(text.split(".LBB"), key=lambda block: block.count("vpermd") + block.count("vpermps"))
    lines = [line.split("#")[0] for line in inner.splitlines()]
    wide = min(code.AVX512.registers // rows, 8)
    assert sum("vperm" in line and "zmm" in line for line in lines) == 8 * wide * rows
    assert sum("vaddps" in line for line in lines) == 8 * wide * rows
    assert not any("gather" in line for line in lines)
    assert not any("mov" in line and line.rstrip().endswith("(%rsp)") for line in lines)  # nothing spilled


def test_weights_of_the_cpu_take_a_thirtieth_of_fp32():
    words = layout.repack(torch.zeros(4096, 512, dtype=torch.uint8), 4096)
    assert words.numel() * words.element_size() * 30 <= 4096 * 4096 * np.dtype(np.float32).itemsize
