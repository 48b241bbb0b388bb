"""Time a step's delta products beside their peers: many tenants, a few tokens each, at Llama-2-7B's layer shapes.

    python -m lib.kernels.delta.benchmark --out FILE

What is timed is what comes on top of the base product, for all tenants of a step together:

* delta: `delta_linear` at the plan 8:2, 3:32, 2:rest of 1/16 of the weights' 16 bits;
* plain torch: dequantise U and V, multiply, tenant by tenant;
* LoRA: factors of 16 bits and rank 128, two batched products (2·128·(m + n) bytes: equal at 4096 × 4096);
* sign: `lib.kernels.sign_linear` a tenant, one bit a weight: the same bytes as the delta's codes;
* base: the product with the weight that all share, beside which the above are added;
* dense: a separate weight a tenant, which needs no base product: the floor of serving whole models.

On a CPU the products take turns in one process, on a GPU each is a CUDA graph whose deltas exceed the L2 cache
(`benchmark_gpu`). The ratio of a row is to plain torch. Bytes are the fewest: canonical sizes, activations once.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lib.kernels import roofline
from lib.kernels.benchmark import CACHE_BYTES, Row, Timing, _processor, _take_turns, append
from lib.kernels.delta.linear import delta_linear
from lib.kernels.delta.packed import GROUP, PackedDelta, PackedGroup, PackedMatrix, plane_widths
from lib.kernels.delta.routing import Routing
from lib.kernels.delta.table import DeltaTable

if TYPE_CHECKING:
    import torch

SHAPES = ((4096, 4096), (11008, 4096), (4096, 11008))
STEPS = ((1, 1), (1, 8), (4, 1), (16, 1), (16, 4), (50, 1), (50, 8))  # tenants, tokens each
CPU_STEPS = ((1, 1), (1, 4), (4, 1), (4, 4))
LORA_RANK = 128
OURS, PLAIN, SHARED, SEPARATE = "delta", "plain torch", "base", "dense"

Product = Callable[[int], object]


@dataclass(frozen=True)
class DeltaRow(Row):
    """One product of one step; `rows` counts the tokens of all tenants.

    Attributes:
        tenants: Distinct tenants.
        plan: [(bits, ranks)] as text.
    """

    tenants: int = 0
    plan: str = ""

    def __repr__(self) -> str:
        return f"{self.tenants:>2} tenants {super().__repr__()}"


def paper_plan(outputs: int, inputs: int) -> tuple[tuple[int, int], ...]:
    """Return 2 ranks at 8 bits, 32 at 3 and as many at 2 as 1/16 of the weights' 16 bits pays for.

    >>> paper_plan(4096, 4096)
    ((8, 2), (3, 32), (2, 968))
    """
    budget = outputs * inputs // (outputs + inputs)
    return ((8, 2), (3, 32), (2, (budget - 8 * 2 - 3 * 32) // 2))


def random_delta(
    outputs: int, inputs: int, plan: tuple[tuple[int, int], ...], device: "torch.device | str" = "cpu"
) -> PackedDelta:
    """Return a delta of random codes."""
    import torch

    def matrix(rows: int, columns: int, bits: int) -> PackedMatrix:
        widths = [-(-columns * width // 32) for width in plane_widths(bits)]
        planes = tuple(
            torch.randint(-(1 << 31), 1 << 31, (rows, words), device=device, dtype=torch.int64).int()
            for words in widths
        )
        groups = -(-columns // GROUP)
        zeros = torch.randint(0, 1 << bits, (rows, groups), device=device, dtype=torch.uint8)
        return PackedMatrix(planes, bits, columns, torch.full((rows, groups), 0.01, device=device).half(), zeros)

    groups = (
        PackedGroup(matrix(outputs, ranks, bits), matrix(ranks, inputs, bits), torch.rand(ranks, device=device))
        for bits, ranks in plan
    )
    return PackedDelta(outputs, inputs, tuple(groups))


def measure_cpu(
    outputs: int, inputs: int, tenants: int, tokens: int, threads: int = 1, seconds: float = 1.0
) -> list[DeltaRow]:
    """Return the times of all products for `tenants` tenants with `tokens` tokens each, in fp32 on the CPU."""
    import torch

    torch.set_num_threads(threads)
    x = torch.randn(tenants * tokens, inputs)
    plan = paper_plan(outputs, inputs)
    made = list(_products(x, outputs, tenants, plan, lambda size: CACHE_BYTES // size + 1))
    with torch.inference_mode():
        times = _take_turns({name: product for name, product, _ in made}, seconds)
    plain = Timing.of(times[PLAIN]).median_us
    rows = []
    for name, _, size in made:
        timing = Timing.of(times[name])
        speed, ratio = round(size / timing.median_us / 1e3, 2), round(plain / timing.median_us, 3)
        shape = (name, outputs, inputs, len(x), "float32", _processor(), threads)
        rows.append(DeltaRow(*shape, timing, size, speed, ratio, PLAIN, tenants=tenants, plan=str(plan)))
    return rows


def measure_gpu(write: Callable[[list[Row]], None]) -> None:
    """Measure every shape and step on the GPU and pass the rows to `write` as soon as they are there."""
    import torch

    from lib.kernels.benchmark_gpu import copy_bandwidth

    note = f"copy {copy_bandwidth():.0f} GB/s"
    with torch.inference_mode():
        for outputs, inputs in SHAPES:
            for tenants, tokens in STEPS:
                write(_gpu_rows(outputs, inputs, tenants, tokens, note))
                torch.cuda.empty_cache()


def _gpu_rows(outputs: int, inputs: int, tenants: int, tokens: int, note: str) -> list[Row]:
    import torch

    from lib.kernels.benchmark_gpu import _copies, _replay

    x, plan = torch.randn(tenants * tokens, inputs, device="cuda", dtype=torch.bfloat16), paper_plan(outputs, inputs)
    measured, failed = {}, {}
    for name, product, size in _products(x, outputs, tenants, plan, lambda size: min(_copies(size), 8)):
        try:
            measured[name] = (Timing.of(_replay(product, 8)), size)
        except Exception as error:  # one peer that fails must not end the others' measurement
            torch.cuda.synchronize()
            measured[name] = (Timing(*[float("nan")] * 3), size)
            failed[name] = f"{type(error).__name__}: {str(error)[:200]}"
    plain, device = measured[PLAIN][0].median_us, torch.cuda.get_device_name()
    return [
        DeltaRow(
            name, outputs, inputs, len(x), "bfloat16", device, 0, timing, size, round(size / timing.median_us / 1e3, 1),
            round(plain / timing.median_us, 3), PLAIN, failed.get(name, note), tenants=tenants, plan=str(plan),
        )
        for name, (timing, size) in measured.items()
    ]  # fmt: skip


def _products(
    x: "torch.Tensor",
    outputs: int,
    tenants: int,
    plan: tuple[tuple[int, int], ...],
    copies_of: Callable[[int], int],
) -> Iterator[tuple[str, Product, int]]:
    """Name, call with the number of the turn, and fewest bytes; one after another, so that each can free its own."""
    inputs, each = x.shape[1], len(x) // tenants
    activations = (x.numel() + 2 * len(x) * outputs) * x.element_size()  # the base product is read and written
    makers = {OURS: _delta, PLAIN: _plain, "LoRA": _lora, "sign": _sign, SHARED: _base, SEPARATE: _dense}
    for name, make in makers.items():
        product, size = make(x, outputs, inputs, tenants, each, plan, copies_of)
        yield name, product, (1 if name == SHARED else tenants) * size + activations


def _delta(
    x: "torch.Tensor", outputs: int, inputs: int, tenants: int, each: int, plan: tuple, copies_of: Callable
) -> tuple[Product, int]:
    delta = random_delta(outputs, inputs, plan, x.device)
    tables = []
    for _ in range(max(1, min(copies_of(tenants * delta.nbytes), 8))):
        table = DeltaTable(inputs, (outputs,), x.device, capacity=tenants)
        for tenant in range(tenants):
            table.add(tenant, delta)
        tables.append(table)
    routing = Routing.of([i // each for i in range(len(x))], x.device)
    base = x.new_zeros(len(x), outputs)
    return lambda i: delta_linear(x, base, routing, tables[i % len(tables)], inplace=True), delta.nbytes


def _plain(
    x: "torch.Tensor", outputs: int, inputs: int, tenants: int, each: int, plan: tuple, copies_of: Callable
) -> tuple[Product, int]:
    delta, base = random_delta(outputs, inputs, plan, x.device), x.new_zeros(len(x), outputs)
    parts = x.split(each)

    def product(_: int) -> None:
        for part, into in zip(parts, base.split(each), strict=True):
            for group in delta.groups:
                r = part @ group.v.values().to(x.dtype).T * group.singular_values.to(x.dtype)
                into += r @ group.u.values().to(x.dtype).T

    return product, delta.nbytes


def _lora(
    x: "torch.Tensor", outputs: int, inputs: int, tenants: int, each: int, plan: tuple, copies_of: Callable
) -> tuple[Product, int]:
    size = LORA_RANK * (outputs + inputs) * x.element_size()
    pairs = [
        (x.new_ones(tenants, inputs, LORA_RANK), x.new_ones(tenants, LORA_RANK, outputs))
        for _ in range(max(1, min(copies_of(tenants * size), 8)))
    ]
    base = x.new_zeros(tenants, each, outputs)

    def product(i: int) -> None:
        down, up = pairs[i % len(pairs)]
        base.baddbmm_(x.unflatten(0, (tenants, each)) @ down, up)

    return product, size


def _sign(
    x: "torch.Tensor", outputs: int, inputs: int, tenants: int, each: int, plan: tuple, copies_of: Callable
) -> tuple[Product, int]:
    import torch

    from lib.kernels import repack, sign_linear

    size = roofline.packed(outputs, inputs, 0, 0).weights
    packed = torch.randint(0, 256, (outputs, -(-inputs // 8)), dtype=torch.uint8, device=x.device)
    turns = max(1, min(copies_of(tenants * size), 8))
    words = [repack(packed, inputs, x.device) for _ in range(tenants * turns)]
    g, h = x.new_ones(inputs), x.new_ones(outputs)
    base, parts = x.new_zeros(len(x), outputs), x.split(each)

    def product(i: int) -> None:
        for tenant, (part, into) in enumerate(zip(parts, base.split(each), strict=True)):
            into += sign_linear(part, words[i % turns * tenants + tenant], g, h)

    return product, size


def _base(
    x: "torch.Tensor", outputs: int, inputs: int, tenants: int, each: int, plan: tuple, copies_of: Callable
) -> tuple[Product, int]:
    size = outputs * inputs * x.element_size()
    weights = [x.new_ones(outputs, inputs) for _ in range(max(1, min(copies_of(size), 8)))]
    return lambda i: x @ weights[i % len(weights)].T, size


def _dense(
    x: "torch.Tensor", outputs: int, inputs: int, tenants: int, each: int, plan: tuple, copies_of: Callable
) -> tuple[Product, int]:
    size = outputs * inputs * x.element_size()
    weights = [x.new_ones(outputs, inputs) for _ in range(max(min(copies_of(size), 8), min(tenants, 16)))]
    parts = x.split(each)
    return lambda i: [part @ weights[(i + t) % len(weights)].T for t, part in enumerate(parts)], size


def main() -> None:
    """Measure all shapes and steps on the GPU, if there is one, or else on the CPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines that rows are appended to")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1, help="threads on a CPU")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to measure each step on a CPU")
    arguments = parser.parse_args()
    import torch

    if arguments.device == "cuda" or (arguments.device == "auto" and torch.cuda.is_available()):
        measure_gpu(lambda rows: append(rows, arguments.out))
        return
    for shape in SHAPES:
        for step in CPU_STEPS:
            append(measure_cpu(*shape, *step, arguments.threads, arguments.seconds), arguments.out)


if __name__ == "__main__":
    main()
