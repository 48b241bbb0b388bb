"""The delta products of a step on a CPU: tile by tile of tokens, both stages by look-ups on the packed bits.

Memory beyond the packed deltas is the tile's: its tokens in fp32, v, r and the sums, a few vectors a token.
"""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lib.kernels import threads as pool
from lib.kernels.delta.layout import LANES
from lib.kernels.sign_matmul_cpu import WORK_A_THREAD, groups_of, host

if TYPE_CHECKING:
    import torch

    from lib.kernels.delta.memory import Memory
    from lib.kernels.delta.slab import Slab
    from lib.kernels.llvm import Compiled
    from lib.kernels.sign_matmul_cpu_code import Processor

MOST_ROWS = 4  # rows of x beyond which doing more at a time is no faster

# What a record of a tenant holds (`table.DeltaTable.records`, the same row for all slices): address of the numbers
# below, as one int64 array, and its length.
HEADER = (
    "v_jobs", "u_jobs", "combine_jobs", "count", "v_width", "r_width", "orders", "order_count", "bits", "zeros",
    "zero_count",
)  # fmt: skip
ZEROS = 5  # of a group whose ranks have zeros: its slice, where it starts in r, digits a code, ranks, their address


def jobs(built: "Sequence[Slab]", memory: "Memory") -> "tuple[torch.Tensor, torch.Tensor]":
    """Return what a tenant's slabs are to the machine code: numbers to keep beside them, and the rows of its record."""
    import torch

    v_jobs, u_jobs, combine, orders, zeros = [], [], [], [], []
    v_width = r_width = y_width = bits = 0
    padded_inputs = -(-built[0].inputs // 32) * 32
    for number, slab in enumerate(built):
        for shape, part in zip(slab.groups, slab.parts, strict=True):
            (v_blocks, v_columns), (u_blocks, u_columns) = (part[name].shape[:2] for name in ("v_words", "u_words"))
            order = _order_number(slab.orders[shape.v_order], orders)
            v_places = [part[name].data_ptr() for name in ("v_words", "v_scales", "v_zeros")]
            u_places = [part[name].data_ptr() for name in ("u_words", "u_scales", "u_zeros")]
            v_jobs.append(
                [
                    *v_places,
                    v_blocks,
                    v_columns,
                    part["v_scales"].shape[1],
                    1,
                    order * padded_inputs * 4,
                    v_width * 4,
                    1,
                ]
            )
            u_jobs.append(
                [
                    *u_places,
                    u_blocks,
                    u_columns,
                    part["u_scales"].shape[1],
                    shape.bits,
                    r_width * 4,
                    y_width * 4,
                    2**shape.bits - 1,
                ]
            )
            if "rank_zeros" in part:
                zeros.append([number, r_width, shape.bits, shape.ranks, part["rank_zeros"].data_ptr()])
            combine.append([shape.ranks, shape.bits, part["factors"].data_ptr(), v_width * 4, r_width * 4])
            v_width, r_width = v_width + v_blocks * LANES, r_width + u_columns * 32
            bits += 32 * (part["v_words"].numel() + part["u_words"].numel())
        y_width += -(-slab.outputs // LANES) * LANES
    places = [0 if order is None else order.data_ptr() for order in orders]
    tables = [[each for row in rows for each in row] for rows in (v_jobs, u_jobs, combine, [places], zeros)]
    starts = [len(HEADER) + sum(map(len, tables[:number])) for number in range(len(tables))]
    numbers = memory.take(8 * (len(HEADER) + sum(map(len, tables)))).view(torch.int64)
    *listed, orders_at, zeros_at = (numbers.data_ptr() + 8 * start for start in starts)
    header = [*listed, len(v_jobs), v_width, r_width, orders_at, len(orders), bits, zeros_at, len(zeros)]
    numbers[:] = torch.tensor([*header, *(each for table in tables for each in table)], dtype=torch.int64)
    rows = torch.zeros(len(built), 3, dtype=torch.int64)
    rows[:, 0], rows[:, 1] = numbers.data_ptr(), len(HEADER)
    rows[:, 2] = torch.tensor([slab.outputs for slab in built])
    return numbers, rows


def add_delta_cpu(
    x: "torch.Tensor",
    y: "torch.Tensor",
    tile_tenants: "torch.Tensor",
    tile_tokens: "torch.Tensor",
    records: "torch.Tensor",
    threads: int | None = None,
    processor: "Processor | None" = None,
) -> None:
    """Add every token's delta product to y [tokens, out], in place.

    Args:
        x: Activations [tokens, in].
        y: The base products.
        tile_tenants: int32 [tiles], see `routing.Routing`.
        tile_tokens: int32 [tiles, tokens a tile].
        records: int64 [tenants, slices, fields], see `table.DeltaTable`.
        threads: How many to use; as many as torch by default.
        processor: How the loops are written; for this processor by default.
    """
    import torch

    threads = threads or torch.get_num_threads()
    for tenant, tokens in zip(tile_tenants.tolist(), tile_tokens.tolist(), strict=True):
        rows = [token for token in tokens if token >= 0]
        if tenant < 0 or not rows:
            continue
        address, length, _ = (outputs := records[tenant])[0, :3].tolist()
        header = dict(zip(HEADER, _numbers(address, length), strict=False))
        if header.get("count"):  # a tenant that was dropped has no header
            product = _product(x[rows], header, outputs[:, 2].tolist(), threads, processor or host())
            y[rows] = (y[rows].float() + product).to(y.dtype)


def _product(
    x: "torch.Tensor", header: dict[str, int], outputs: list[int], threads: int, processor: "Processor"
) -> "torch.Tensor":
    """One tenant's delta products [rows, out], fp32."""
    import torch

    count, widths = len(x), [-(-each // LANES) * LANES for each in outputs]
    gathered = _gather(x, _numbers(header["orders"], header["order_count"]))
    v, r = torch.zeros(count, header["v_width"]), torch.zeros(count, header["r_width"])
    y = torch.zeros(count, sum(widths))
    threads = max(1, min(threads, count * header["bits"] // WORK_A_THREAD))
    _run(gathered, v, header["v_jobs"], header["count"], threads, processor)
    pool.run(_combine(), (*_rows(v), *_rows(r), header["combine_jobs"], header["count"], count), 1)
    _take_zeros(r, y.split(widths, 1), _numbers(header["zeros"], header["zero_count"] * ZEROS))
    _run(r, y, header["u_jobs"], header["count"], threads, processor)
    if widths == outputs:
        return y
    return torch.cat([part[:, :real] for part, real in zip(y.split(widths, 1), outputs, strict=True)], 1)


def _take_zeros(r: "torch.Tensor", slices: "Sequence[torch.Tensor]", zeros: list[int]) -> None:
    """Take the sum of zero·r over the ranks off every output of a slice, for groups whose zeros are the ranks'."""
    import torch

    for place in range(0, len(zeros), ZEROS):
        number, start, digits, ranks, address = zeros[place : place + ZEROS]
        mine = r[:, start : start + ranks * digits : digits]
        slices[number].sub_((mine @ torch.from_numpy(_array(address, ranks, "float32")))[:, None])


def _run(x: "torch.Tensor", y: "torch.Tensor", jobs: int, count: int, threads: int, processor: "Processor") -> None:
    done = 0
    for size, groups in groups_of(len(x), min(MOST_ROWS, processor.most_rows)):
        part = (*_rows(x[done:]), *_rows(y[done:]), jobs, count, groups)
        pool.run(_compiled(processor, size), part, threads)
        done += size * groups


def _rows(matrix: "torch.Tensor") -> tuple[int, int]:
    """Address and bytes a row."""
    return matrix.data_ptr(), matrix.stride(0) * 4


def _gather(x: "torch.Tensor", orders: list[int]) -> "torch.Tensor":
    """x in each order of the inputs, fp32 [rows, orders · inputs], the inputs filled up to whole words."""
    import torch

    rows, inputs = x.shape
    if orders == [0] and inputs % 32 == 0:
        return x.float().contiguous()
    gathered = torch.zeros(rows, len(orders), -(-inputs // 32) * 32)
    for number, address in enumerate(orders):
        gathered[:, number, :inputs] = x[:, torch.from_numpy(_array(address, inputs, "int32"))] if address else x
    return gathered.flatten(1)


def _numbers(address: int, length: int) -> list[int]:
    return _array(address, length, "int64").tolist()


def _array(address: int, length: int, kind: str) -> "object":
    """The numbers at an address, as a numpy array; the table keeps them alive."""
    import ctypes

    import numpy as np

    size = length * np.dtype(kind).itemsize
    if not size:
        return np.empty(0, kind)
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype=kind)


def _order_number(order: "torch.Tensor | None", orders: "list[torch.Tensor | None]") -> int:
    from lib.kernels.delta.table import _place

    return _place(order, orders)


@functools.lru_cache(maxsize=16)
def _compiled(processor: "Processor", rows: int) -> "Compiled":
    from lib.kernels.delta import delta_cpu_code as code
    from lib.kernels.llvm import compile_function

    return compile_function(code.write_product(processor, rows))


@functools.lru_cache(maxsize=1)
def _combine() -> "Compiled":
    from lib.kernels.delta import delta_cpu_code as code
    from lib.kernels.llvm import compile_function

    return compile_function(code.write_combine())
