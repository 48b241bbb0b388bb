"""Time the packed layer on a GPU beside cuBLAS and, where it is installed, GemLite's 1-bit kernels.

Each product is captured in a CUDA graph over so many copies of the weights that they exceed the L2 cache four times:
the launch is not timed, and no weight is read from the cache. A time is that of a replay over the number of products in
it. The bandwidth to compare with is that of a large copy, measured here. A product that fails is a row with a note.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from lib.kernels import layout, roofline
from lib.kernels.benchmark import OURS, Row, Timing

if TYPE_CHECKING:
    import torch

SHAPES = ((4096, 4096), (11008, 4096), (4096, 11008), (28672, 8192))
ROWS = (1, 2, 4, 8, 16, 32, 64, 256, 2048)
REPLAYS = 30
DENSE = "cuBLAS bf16"
MOST_BYTES = 4 << 30  # of copies of the weights

Product = Callable[[int], "torch.Tensor"]


def measure_gpu(write: Callable[[list[Row]], None]) -> None:
    """Measure every shape and pass its rows to `write` as soon as they are there."""
    import torch

    bandwidth = copy_bandwidth()
    with torch.inference_mode():
        for outputs, inputs in SHAPES:
            for rows in ROWS:
                write(_shape(outputs, inputs, rows, bandwidth))
                torch.cuda.empty_cache()


def copy_bandwidth() -> float:
    """Return the bandwidth of a device-to-device copy of 1 GiB, reads and writes, in 10⁹ bytes a second."""
    import torch

    source = torch.zeros(1 << 30, dtype=torch.uint8, device="cuda").random_()
    target = torch.empty_like(source)
    times = _replay(lambda _: target.copy_(source), 4)
    return 2 * source.numel() / Timing.of(times).median_us / 1e3


def _shape(outputs: int, inputs: int, rows: int, bandwidth: float) -> list[Row]:
    import torch

    x = torch.randn(rows, inputs, device="cuda", dtype=torch.bfloat16)
    packed, plain = roofline.packed(outputs, inputs, rows, 2), roofline.dense(outputs, inputs, rows, 2)
    makers = {
        DENSE: (lambda: _dense(x, outputs), plain),
        OURS: (lambda: _packed(x, outputs, False), packed),
        f"{OURS} + LayerNorm": (lambda: _packed(x, outputs, True), packed),
        "gemlite 1-bit": (lambda: _gemlite(x, outputs), packed),
    }
    found, dense_us = [], float("nan")
    for name, (make, traffic) in makers.items():
        row = _row(name, make, traffic, bandwidth, (outputs, inputs, rows))
        if row is None:
            continue
        dense_us = row.timing.median_us if name == DENSE else dense_us
        found.append(replace(row, ratio=round(dense_us / row.timing.median_us, 3)))
        torch.cuda.empty_cache()
    return found


def _row(
    name: str,
    make: Callable[[], tuple[Product, int]],
    traffic: roofline.Traffic,
    bandwidth: float,
    shape: tuple[int, int, int],
) -> Row | None:
    """One product's row; none if its library is not installed."""
    import torch

    note = f"copy {bandwidth:.0f} GB/s"
    try:
        product, copies = make()
        timing = Timing.of(_replay(product, copies))
    except ImportError:
        return None
    except Exception as error:  # an unsupported shape of one library must not end the others' measurement
        torch.cuda.synchronize()
        timing, note = Timing(*[float("nan")] * 3), f"{type(error).__name__}: {str(error)[:200]}"
    speed, device = traffic.total / timing.median_us / 1e3, torch.cuda.get_device_name()
    return Row(name, *shape, "bfloat16", device, 0, timing, traffic.total, round(speed, 1), float("nan"), DENSE, note)


def _replay(product: Product, copies: int) -> list[float]:
    """Microseconds a product, of replays of a graph with one product for each copy of the weights."""
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for i in range(min(copies, 3)):  # compiles, and lets libraries choose their algorithms
            product(i)
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph, each = torch.cuda.CUDAGraph(), max(copies, 8)
    with torch.cuda.graph(graph):
        for i in range(each):
            product(i % copies)
    times = []
    for _ in range(REPLAYS + 3):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) * 1e3 / each)
    return times[3:]


def _copies(weight_bytes: int) -> int:
    """How many copies of the weights exceed the L2 cache four times, within memory."""
    import torch

    cache = torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size
    return max(1, min(4 * cache // weight_bytes + 1, MOST_BYTES // weight_bytes, 256))


def _dense(x: "torch.Tensor", outputs: int) -> tuple[Product, int]:
    import torch

    copies = _copies(outputs * x.shape[1] * 2)
    weights = [torch.randn(outputs, x.shape[1], device="cuda", dtype=x.dtype) for _ in range(copies)]
    return lambda i: torch.nn.functional.linear(x, weights[i]), copies


def _packed(x: "torch.Tensor", outputs: int, layer_norm: bool) -> tuple[Product, int]:
    import torch

    from lib.kernels import sign_linear

    shape = layout.words_shape("gpu", outputs, x.shape[1])
    copies = _copies(outputs * x.shape[1] // 8)
    words = [torch.randint(-(1 << 15), 1 << 15, shape, device="cuda", dtype=torch.int16) for _ in range(copies)]
    g, h = torch.rand(x.shape[1], device="cuda").to(x.dtype), torch.randn(outputs, device="cuda").to(x.dtype)
    return lambda i: sign_linear(x, words[i], g, h, layer_norm=layer_norm), copies


def _gemlite(x: "torch.Tensor", outputs: int) -> tuple[Product, int]:
    """GemLite's layer of 1-bit weights with one scale and zero an output."""
    import torch
    from gemlite import core

    inputs, copies = x.shape[1], _copies(outputs * x.shape[1] // 8)
    kind = getattr(core, "GemLiteLinear", None) or core.GemLiteLinearTriton  # its newer and older name
    types = {"input_dtype": core.DType.BF16, "output_dtype": core.DType.BF16}
    layer = kind(W_nbits=1, group_size=inputs, in_features=inputs, out_features=outputs, **types)
    bits = torch.randint(0, 2, (outputs, inputs), device="cuda", dtype=torch.uint8)
    scales = torch.rand(outputs, 1, device="cuda").to(x.dtype)
    layer.pack(bits, scales, torch.full_like(scales, 0.5), None)
    layers = [layer, *(copy.deepcopy(layer) for _ in range(copies - 1))]
    return lambda i: layers[i](x), copies
