"""Machine code for the two stages of a delta product on a CPU, from the look-ups that serve ±1 weights.

A code of b bits is b one-bit directions (`layout.py`), so one loop serves every width: four bits of a row pick one of
16 partial sums of four inputs, for 16 rows at once (`sign_matmul_cpu_code`, whose tables these are, with 0 and x in
place of ±x). Every four words, 128 columns, the sum is scaled:

    piece[row] = Σ_{k in 128 columns} bit[row, k] x[k]                     look-ups, 16 rows a permute
    y[row]    += scale[row, chunk] (piece[row] − zero[row, chunk] Σ_k x[k])
    r[ρP + j]  = 2ʲ Σ_i factor[ρP + i] v[ρP + i]                           between the stages, factor = 2ⁱ s[ρ]

Nothing is unpacked or multiplied out; the packed bits are read once a group of rows of x.
"""

from llvmlite import ir

from lib.kernels import sign_matmul_cpu_code as signs
from lib.kernels.llvm import FLOAT, INT, INT32, Writer

# A job is one factor of one group: addresses (words, fp16 scales, uint8 zeros), blocks of 16 rows, words a row, scales
# a row, pieces of four words a scale, where its columns start in a row of x and its rows in a row of y, in bytes, and
# how often Σ x counts each rank: once for V's inputs, 2^b − 1 times for the b digits of U's ranks.
JOB = (
    "words", "scales", "zeros", "blocks", "columns", "scales_a_row", "pieces_a_scale", "x_at", "y_at", "repeats",
)  # fmt: skip
PRODUCT_ARGUMENTS = ("claimed", "slices", "x", "x_stride", "y", "y_stride", "jobs", "count", "groups")
# Ranks, digits a code, address of the fp32 factors, and where its directions start in v and in r, in bytes.
COMBINE_JOB = ("ranks", "digits", "factors", "v_at", "r_at")
COMBINE_ARGUMENTS = ("claimed", "slices", "v", "v_stride", "r", "r_stride", "jobs", "count", "rows")
PIECE = 4  # words that are scaled together
HALF_TO_FLOAT = 2.0**112  # fp16 bits moved to where fp32 has them lack this exponent


def write_product(processor: signs.Processor, rows: int) -> ir.Module:
    """Return a module with the function `delta_product`, for groups of `rows` rows of x; it adds to y."""
    return _Product(processor, rows).module


def write_combine() -> ir.Module:
    """Return a module with the function `delta_combine`: every rank's digits of v added up, and r laid out anew."""
    writer = Writer("delta_combine", COMBINE_ARGUMENTS)
    b, argument = writer.builder, writer.argument
    with writer.slices(INT(1)) as (first, last), writer.loop(first, last) as _:  # noqa: SIM117
        with writer.loop(INT(0), argument["count"]) as number:
            job = _fields(writer, COMBINE_JOB, number)
            with writer.loop(INT(0), argument["rows"]) as row, writer.loop(INT(0), job["ranks"]) as rank:
                start = b.shl(b.mul(rank, job["digits"]), INT(2))
                v, r = (
                    b.add(
                        b.add(argument[name], b.mul(row, argument[f"{name}_stride"])), b.add(start, job[f"{name}_at"])
                    )
                    for name in ("v", "r")
                )
                total = writer.variable(FLOAT)
                b.store(FLOAT(0), total)
                with writer.loop(INT(0), job["digits"]) as digit:
                    place = b.shl(digit, INT(2))
                    factor = b.load(writer.at(b.add(job["factors"], start), place), typ=FLOAT)
                    term = b.fmul(b.load(writer.at(v, place), typ=FLOAT), factor)
                    b.store(b.fadd(b.load(total, typ=FLOAT), term), total)
                with writer.loop(INT(0), job["digits"]) as digit:
                    b.store(b.load(total, typ=FLOAT), writer.at(r, b.shl(digit, INT(2))))
                    b.store(b.fmul(b.load(total, typ=FLOAT), FLOAT(2)), total)
    return writer.module


def _fields(writer: Writer, names: tuple[str, ...], number: ir.Value) -> dict[str, ir.Value]:
    b = writer.builder
    job = b.add(writer.argument["jobs"], b.mul(number, INT(8 * len(names))))
    return {name: b.load(writer.at(job, 8 * i), typ=INT) for i, name in enumerate(names)}


class _Product(signs._SignMatmul):
    """The loops over jobs, slices of columns, blocks of rows and pieces; tables and look-ups are the parent's."""

    def __init__(self, processor: signs.Processor, rows: int) -> None:
        Writer.__init__(self, "delta_product", PRODUCT_ARGUMENTS)
        self.processor, self.rows = processor, rows
        self.slice_words = max(processor.slice_words // rows // PIECE * PIECE, 8)  # no piece in two slices
        self.units, self.unit_bytes = 16 // processor.lanes, 4 * processor.lanes
        self.table_bytes = 4 << processor.bits
        self.word_bytes = 32 // processor.bits * self.table_bytes
        self.row_bytes = self.slice_words * self.word_bytes
        self.wide = min(max(processor.registers // 2 // rows, 1), 4)
        lanes = processor.lanes
        self.sum_type, self.sign_type = (ir.VectorType(t, lanes) if lanes > 1 else t for t in (FLOAT, INT32))
        self._write()

    def _write(self) -> None:
        b = self.builder
        self.tables = self.local(self.rows * self.row_bytes // 4)
        self.totals = self.local(self.rows * self.slice_words)  # Σ x of each piece, row by row
        with self.slices(self.argument["slices"]) as (mine, following):  # noqa: SIM117
            with self.loop(INT(0), self.argument["count"]) as number:
                self.job = _fields(self, JOB, number)
                units = b.mul(self.job["blocks"], INT(self.units))
                first, last = (b.sdiv(b.mul(units, part), self.argument["slices"]) for part in (mine, following))
                with self.loop(INT(0), self.argument["groups"]) as group:
                    self._rows(b.mul(group, INT(self.rows)), first, last)

    def _rows(self, row: ir.Value, first: ir.Value, last: ir.Value) -> None:
        b, columns = self.builder, self.job["columns"]
        x, y = (
            b.add(b.add(self.argument[name], self.job[f"{name}_at"]), b.mul(row, self.argument[f"{name}_stride"]))
            for name in ("x", "y")
        )
        with self.loop(INT(0), columns, self.slice_words) as column:
            count = self._least(b.sub(columns, column), self.slice_words)
            self._tables(x, column, count)
            self._piece_totals(count)
            rest = b.sub(last, b.srem(b.sub(last, first), INT(self.wide)))
            for start, stop, step in ((first, rest, self.wide), (rest, last, 1)):
                with self.loop(start, stop, step) as unit:
                    self._add(y, unit, step, column, count)

    def _least(self, value: ir.Value, most: int) -> ir.Value:
        b = self.builder
        return b.select(b.icmp_signed("<", value, INT(most)), value, INT(most))

    def _tables(self, x: ir.Value, column: ir.Value, count: ir.Value) -> None:
        """Build the tables of `count` words from `column` on: the sums of the inputs whose bits are set."""
        b, bits = self.builder, self.processor.bits
        for row in range(self.rows):
            base = b.add(x, b.mul(self.argument["x_stride"], INT(row)))
            with self.loop(INT(0), b.mul(count, INT(32 // bits))) as table:
                first = self.offset((column, 32 * 4), (table, 4 * bits))
                terms = [b.load(self.at(base, b.add(first, INT(4 * j))), typ=FLOAT, align=4) for j in range(bits)]
                self._store_sums(terms, b.add(b.mul(table, INT(self.table_bytes)), INT(row * self.row_bytes)))

    def _sums_of_four(self, terms: list[ir.Value]) -> ir.Value:
        b, chosen, none = self.builder, [], ir.Constant(ir.VectorType(FLOAT, 16), [0.0] * 16)
        for j, term in enumerate(terms):
            set_ = ir.Constant(ir.VectorType(ir.IntType(1), 16), [place >> j & 1 for place in range(16)])
            chosen.append(b.select(set_, self._in_all_lanes(term), none))
        return b.fadd(b.fadd(chosen[0], chosen[1]), b.fadd(chosen[2], chosen[3]))

    def _piece_totals(self, count: ir.Value) -> None:
        """Σ x of each piece: the last sum of each of its tables, where all bits are set."""
        b, a_word = self.builder, 32 // self.processor.bits
        for row in range(self.rows):
            with self.loop(INT(0), count, PIECE) as word:
                total = self.variable(FLOAT)
                b.store(FLOAT(0), total)
                words = self._least(b.sub(count, word), PIECE)
                with self.loop(INT(0), b.mul(words, INT(a_word))) as table:
                    number = b.add(b.mul(word, INT(a_word)), table)
                    place = b.add(
                        b.mul(number, INT(self.table_bytes)), INT(row * self.row_bytes + self.table_bytes - 4)
                    )
                    found = b.load(self.at(self.tables, place), typ=FLOAT, align=4)
                    b.store(b.fadd(b.load(total, typ=FLOAT), found), total)
                into = b.add(b.shl(word, INT(2)), INT(4 * row * self.slice_words))
                once = b.fdiv(b.load(total, typ=FLOAT), b.sitofp(self.job["repeats"], FLOAT))
                b.store(once, self.at(self.totals, into))

    def _add(self, y: ir.Value, unit: ir.Value, wide: int, column: ir.Value, count: ir.Value) -> None:
        """Add what `count` words look up to `wide` units of rows of the factor, for every row of x."""
        b, outputs = self.builder, self._outputs(y, unit, wide)
        sums, pieces = ([self.variable(self.sum_type) for _ in outputs] for _ in range(2))
        for output, total in zip(outputs, sums, strict=True):
            b.store(b.load(output, typ=self.sum_type, align=4), total)
        places = [self._unit(b.add(unit, INT(i))) for i in range(wide)]
        with self.loop(INT(0), count, PIECE) as first:
            for piece in pieces:
                b.store(ir.Constant(self.sum_type, None), piece)
            with self.loop(first, b.add(first, self._least(b.sub(count, first), PIECE))) as word:
                self._look_up_word(pieces, places, wide, b.add(column, word), word)
            self._scale(sums, pieces, places, wide, b.add(column, first), first)
        for output, total in zip(outputs, sums, strict=True):
            b.store(b.load(total, typ=self.sum_type), output, align=4)

    def _look_up_word(
        self, pieces: list[ir.Value], places: list[tuple[ir.Value, ir.Value]], wide: int, at: ir.Value, word: ir.Value
    ) -> None:
        b = self.builder
        rows = [b.add(b.mul(block, self.job["columns"]), at) for block, _ in places]
        words = [
            b.load(
                self.at(self.job["words"], self.offset((row, 64), (part, self.unit_bytes))), typ=self.sign_type, align=4
            )
            for row, (_, part) in zip(rows, places, strict=True)
        ]
        for number in range(32 // self.processor.bits):
            for row in range(self.rows):
                place = INT(number * self.table_bytes + row * self.row_bytes)
                table = self.at(self.tables, b.add(b.mul(word, INT(self.word_bytes)), place))
                for total, found in zip(pieces[row * wide :], self._look_up(table, words, number), strict=False):
                    b.store(b.fadd(b.load(total, typ=self.sum_type), found), total)

    def _scale(
        self,
        sums: list[ir.Value],
        pieces: list[ir.Value],
        places: list[tuple[ir.Value, ir.Value]],
        wide: int,
        at: ir.Value,
        word: ir.Value,
    ) -> None:
        """sum += scale (piece − zero Σ x) for the piece of words from `at` on."""
        b = self.builder
        piece, a_scale = (b.trunc(each, INT32) for each in (b.lshr(at, INT(2)), self.job["pieces_a_scale"]))
        number = b.zext(b.udiv(piece, a_scale), INT)  # 32 bits: the division is the slowest instruction here
        for i, (block, part) in enumerate(places):
            chunk = b.add(b.mul(block, self.job["scales_a_row"]), number)
            place = self.offset((chunk, 16), (part, self.processor.lanes))
            scale, zero = self._half(b.shl(place, INT(1))), self._byte(place)
            for row in range(self.rows):
                total = self.at(self.totals, b.add(b.shl(word, INT(2)), INT(4 * row * self.slice_words)))
                minus = b.fmul(zero, self._lanes(b.load(total, typ=FLOAT)))
                mine = row * wide + i
                term = b.fmul(scale, b.fsub(b.load(pieces[mine], typ=self.sum_type), minus))
                b.store(b.fadd(b.load(sums[mine], typ=self.sum_type), term), sums[mine])

    def _half(self, place: ir.Value) -> ir.Value:
        """fp16 numbers as fp32 by moving bits: not every processor converts them, and subnormal ones come out right."""
        b = self.builder
        bits = b.zext(b.load(self.at(self.job["scales"], place), typ=self._integers(16), align=2), self.sign_type)
        moved = b.shl(b.and_(bits, self._constant(0x7FFF)), self._constant(13))
        lanes = self.processor.lanes
        power = ir.Constant(self.sum_type, [HALF_TO_FLOAT] * lanes if lanes > 1 else HALF_TO_FLOAT)
        size = b.bitcast(b.fmul(b.bitcast(moved, self.sum_type), power), self.sign_type)
        sign = b.shl(b.and_(bits, self._constant(0x8000)), self._constant(16))
        return b.bitcast(b.or_(size, sign), self.sum_type)

    def _byte(self, place: ir.Value) -> ir.Value:
        b = self.builder
        loaded = b.load(self.at(self.job["zeros"], place), typ=self._integers(8), align=1)
        return b.uitofp(b.zext(loaded, self.sign_type), self.sum_type)

    def _integers(self, bits: int) -> ir.Type:
        lanes = self.processor.lanes
        return ir.VectorType(ir.IntType(bits), lanes) if lanes > 1 else ir.IntType(bits)

    def _lanes(self, value: ir.Value) -> ir.Value:
        b, lanes = self.builder, self.processor.lanes
        if lanes == 1:
            return value
        one = b.insert_element(ir.Constant(ir.VectorType(FLOAT, lanes), ir.Undefined), value, INT32(0))
        return b.shuffle_vector(one, one, ir.Constant(ir.VectorType(INT32, lanes), [0] * lanes))

    def _unit(self, unit: ir.Value) -> tuple[ir.Value, ir.Value]:
        """The block of 16 rows of a unit, and its place in it."""
        b = self.builder
        return b.sdiv(unit, INT(self.units)), b.srem(unit, INT(self.units))
