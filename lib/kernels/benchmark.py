"""Time the packed layer beside dense products of the same shape, on this machine.

    python -m lib.kernels.benchmark --out FILE

appends one JSON row a product and shape to FILE. On a CPU the products take turns within one process, on the same
threads, and the ratio is the median over the turns, because neighbours change the times but not the ratios. Weights are
rotated so that no product finds them in a cache that a model of many layers would not leave them in; a turn is four
products in a row, as in such a model, and the first is not timed: it fetches the program that the others before it have
driven out. On a GPU see `benchmark_gpu`. No time is asserted anywhere.
"""

import argparse
import json
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from time import perf_counter_ns

from lib.kernels import layout, roofline

PACKAGES = ("torch", "triton", "llvmlite", "numpy", "gemlite")
CPU_SHAPES = ((576, 576), (1536, 576), (4096, 4096), (11008, 4096))  # SmolLM2-135M's and LLaMA-7B's layers
CPU_ROWS = (1, 2, 4, 8, 16, 64, 256)
OURS = "sign_linear"
CACHE_BYTES = 64 << 20  # weights in rotation together exceed this


@dataclass(frozen=True)
class Timing:
    """Microseconds of one product over its turns."""

    median_us: float
    p20_us: float
    p80_us: float

    @classmethod
    def of(cls, microseconds: list[float]) -> "Timing":
        """Return the 20th, 50th and 80th percentile of at least two times."""
        cuts = statistics.quantiles(microseconds, n=10, method="inclusive")
        return cls(round(cuts[4], 2), round(cuts[1], 2), round(cuts[7], 2))


@dataclass(frozen=True)
class Row:
    """One product of one shape, as it is written.

    Attributes:
        product: "sign_linear", or the library and dtype of a dense one.
        outputs: Outputs of the layer.
        inputs: Inputs of the layer.
        rows: Rows of activations.
        dtype: Of the activations.
        device: Name of the processor or GPU.
        threads: Threads of the CPU; 0 on a GPU.
        timing: Microseconds a product.
        bytes: The fewest bytes that it must move.
        gigabytes_per_s: Those bytes over the median time.
        ratio: How many times faster it is than the fastest dense product of its row's kind (`against`).
        against: Name of that product.
        note: What went wrong, or what the device's own bandwidth is.
        versions: Version by package.
        when: UTC, ISO 8601.
    """

    product: str
    outputs: int
    inputs: int
    rows: int
    dtype: str
    device: str
    threads: int
    timing: Timing
    bytes: int
    gigabytes_per_s: float
    ratio: float
    against: str
    note: str = ""
    versions: dict[str, str] = field(default_factory=lambda: versions())
    when: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def __repr__(self) -> str:
        shape = f"{self.product:<13} {self.outputs:>5}×{self.inputs:<5} rows {self.rows:<4}"
        speed = f"{self.timing.median_us:>10.1f} µs {self.gigabytes_per_s:>7.1f} GB/s"
        return f"{shape} {speed} {self.ratio:>6.2f}× {self.against} {self.note}".rstrip()


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide a time, of those installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def append(rows: list[Row], path: Path) -> None:
    """Append rows to a file of JSON lines, and print them. What could not be measured is null."""
    with path.open("a", encoding="utf-8") as file:
        for row in rows:
            values = json.loads(json.dumps(asdict(row)), parse_constant=lambda _: None)
            file.write(json.dumps(values, ensure_ascii=False) + "\n")
            print(row, flush=True)


def measure_cpu(outputs: int, inputs: int, rows: int, threads: int = 1, seconds: float = 1.0) -> list[Row]:
    """Return the times of the packed layer (fp32) and of the dense products of torch (fp32, bf16) and numpy (fp32).

    Args:
        outputs: Outputs of the layer.
        inputs: Inputs.
        rows: Rows of activations.
        threads: For torch and the packed layer; numpy takes what its environment says (OMP_NUM_THREADS).
        seconds: How long to measure, at least 5 turns.
    """
    import torch

    torch.set_num_threads(threads)
    with torch.inference_mode():
        products = _cpu_products(outputs, inputs, rows)
        times = _take_turns({name: call for name, (call, _) in products.items()}, seconds)
    exact = {name: times[name] for name in ("torch fp32", "numpy fp32")}
    fastest = min(exact, key=lambda name: statistics.median(exact[name]))
    written = []
    for name, (_, traffic) in products.items():
        timing = Timing.of(times[name])
        ratio = statistics.median(other / own for own, other in zip(times[name], times[fastest], strict=True))
        speed, dtype = traffic.total / timing.median_us / 1e3, "bfloat16" if "bf16" in name else "float32"
        shape = (name, outputs, inputs, rows, dtype, _processor(), threads)
        written.append(Row(*shape, timing, traffic.total, round(speed, 2), round(ratio, 3), fastest))
    return written


def _cpu_products(outputs: int, inputs: int, rows: int) -> dict[str, tuple[Callable[[int], object], roofline.Traffic]]:
    """By name, a call that takes the number of the turn, and what it moves."""
    import numpy as np
    import torch

    from lib.kernels import sign_linear

    packed_bytes = outputs * inputs // 8
    packed = torch.randint(0, 256, (outputs, -(-inputs // 8)), dtype=torch.uint8)
    words = layout.repack(packed, inputs)
    turns = [words.clone() for _ in range(min(CACHE_BYTES // packed_bytes + 1, 256))]
    dense = [torch.randn(outputs, inputs) for _ in range(max(1, min(CACHE_BYTES // (32 * packed_bytes) + 1, 64)))]
    half = [weight.bfloat16() for weight in dense]
    x, g, h = torch.randn(rows, inputs), torch.rand(inputs) + 0.5, torch.randn(outputs)
    x_half, x_numpy = x.bfloat16(), x.numpy() if rows > 1 else x[0].numpy()  # a vector is a faster product there
    linear = torch.nn.functional.linear
    return {
        OURS: (lambda i: sign_linear(x, turns[i % len(turns)], g, h), roofline.packed(outputs, inputs, rows, 4)),
        "torch fp32": (lambda i: linear(x, dense[i % len(dense)]), roofline.dense(outputs, inputs, rows, 4)),
        "numpy fp32": (
            lambda i: np.matmul(x_numpy, dense[i % len(dense)].numpy().T),
            roofline.dense(outputs, inputs, rows, 4),
        ),
        "torch bf16": (lambda i: linear(x_half, half[i % len(half)]), roofline.dense(outputs, inputs, rows, 2)),
    }


def _take_turns(calls: dict[str, Callable[[int], object]], seconds: float) -> dict[str, list[float]]:
    """Microseconds of every call, the mean of a turn, turn by turn."""
    for call in calls.values():
        call(0)  # compiles, fills what is filled once
    times: dict[str, list[float]] = {name: [] for name in calls}
    end, turn = perf_counter_ns() + int(seconds * 1e9), 0
    while turn < 5 or perf_counter_ns() < end:
        turn += 1
        for name, call in calls.items():
            call(4 * turn)
            start = perf_counter_ns()
            for i in range(1, 4):
                call(4 * turn + i)
            times[name].append((perf_counter_ns() - start) / 3e3)
    return times


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def main() -> None:
    """Measure all shapes on the GPU, if there is one, or else on the CPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines that rows are appended to")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=1, help="threads on a CPU")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to measure each shape on a CPU")
    arguments = parser.parse_args()
    import torch

    if arguments.device == "cuda" or (arguments.device == "auto" and torch.cuda.is_available()):
        from lib.kernels.benchmark_gpu import measure_gpu

        measure_gpu(lambda rows: append(rows, arguments.out))
        return
    for outputs, inputs in CPU_SHAPES:
        for rows in CPU_ROWS:
            append(measure_cpu(outputs, inputs, rows, arguments.threads, arguments.seconds), arguments.out)


if __name__ == "__main__":
    main()
