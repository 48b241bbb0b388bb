"""Machine code for y = ((x ⊙ g) Sᵀ) ⊙ h on a CPU: four signs look up the sum of four inputs, for 16 outputs at once.

Four signs pick one of 16 partial sums, 16 partial sums fill one 512-bit register, and the words of 16 outputs stand
side by side (`layout.py`): one permute instruction is 16 look-ups. Per 64 weights that is a permute and an add, half of
the multiply-adds of a dense product, in fp32 throughout; nothing is quantised.

    table[t][i] = Σ_{j<4} ±x[4t + j] g[4t + j],  + where bit j of i is 1         built once a call and slice, 16 KB
    y[n]       += table[t][(word[n] >> 4t) mod 16]                                for the outputs n, slice by slice
    y[n]       *= h[n]

AVX2 has registers of 8 lanes: two permutes and a select do the same for 8 outputs. Any other processor looks 8 signs up
in tables of 256 sums, one output at a time. Tables instead of masked adds: FairyFuse (arXiv 2604.20913) needs one
masked add per 16 weights, T-MAC (arXiv 2407.00088) has such tables, but of quantised 8-bit sums.

4096 × 4096, one row, one thread of a Zen 5 core: 90 µs with AVX-512, 260 with AVX2, 410 with neither; numpy's dense
product 1,950, torch's 3,400 (fp32) and 2,400 (bf16); masked adds were 306.
"""

from dataclasses import dataclass

from llvmlite import ir

from lib.kernels.llvm import FLOAT, INT, INT32, Writer

# What a call passes. Addresses are of fp32, of int32 for the words; strides are in bytes, `blocks` and `columns` are
# the first two sizes of the words, `groups` the number of groups of rows.
ARGUMENTS = ("claimed", "slices", "x", "x_stride", "g", "words", "h", "y", "y_stride", "blocks", "columns", "groups")


@dataclass(frozen=True)
class Processor:
    """How the inner loop is written for one family of processors.

    Attributes:
        name: The family.
        lanes: Outputs that one look-up serves.
        bits: Signs that one look-up takes.
        slice_words: Words of one output whose tables are kept at a time; with all rows' they shall fit the L1 cache.
        registers: Registers for sums (outputs · rows / lanes); more than these spill, or are no faster.
        most_rows: Rows of x beyond which doing more at a time is no faster.
    """

    name: str
    lanes: int
    bits: int
    slice_words: int
    registers: int
    most_rows: int


AVX512 = Processor("avx512", lanes=16, bits=4, slice_words=32, registers=12, most_rows=6)
AVX2 = Processor("avx2", lanes=8, bits=4, slice_words=32, registers=4, most_rows=3)
ANY = Processor("any", lanes=1, bits=8, slice_words=8, registers=8, most_rows=2)


def choose(features: dict[str, bool]) -> Processor:
    """Return the fastest way of writing the loop for a processor with these features."""
    if features.get("avx512f"):
        return AVX512
    return AVX2 if features.get("avx2") else ANY


def write(processor: Processor, rows: int) -> ir.Module:
    """Return a module with the function `sign_matmul`, for groups of `rows` rows of x."""
    return _SignMatmul(processor, rows).module


class _SignMatmul(Writer):
    def __init__(self, processor: Processor, rows: int) -> None:
        super().__init__("sign_matmul", ARGUMENTS)
        self.processor, self.rows = processor, rows
        self.slice_words = max(processor.slice_words // rows, 8)
        self.units = 16 // processor.lanes  # a unit is the outputs of one look-up; so many are in a block of words
        self.unit_bytes = 4 * processor.lanes
        self.table_bytes = 4 << processor.bits
        self.word_bytes = 32 // processor.bits * self.table_bytes  # the tables of one word
        self.row_bytes = self.slice_words * self.word_bytes
        lanes = processor.lanes
        self.sum_type, self.sign_type = (ir.VectorType(t, lanes) if lanes > 1 else t for t in (FLOAT, INT32))
        self._write()

    def _write(self) -> None:
        self.tables = self.local(self.rows * self.row_bytes // 4)
        with self.slices(self.builder.mul(self.argument["blocks"], INT(self.units))) as (first, last):  # noqa: SIM117
            with self.loop(INT(0), self.argument["groups"]) as group:
                self._rows(self.builder.mul(group, INT(self.rows)), first, last)

    def _rows(self, row: ir.Value, first: ir.Value, last: ir.Value) -> None:
        """A group of rows from `row` on, and the outputs from `first` to `last` in units."""
        b, columns, most = self.builder, self.argument["columns"], INT(self.slice_words)
        x, y = (b.add(self.argument[name], b.mul(row, self.argument[f"{name}_stride"])) for name in ("x", "y"))
        with self.loop(first, last) as unit:
            for output in self._outputs(y, unit, 1):
                b.store(ir.Constant(self.sum_type, None), output, align=4)
        wide = min(max(self.processor.registers // self.rows, 1), 8)
        with self.loop(INT(0), columns, self.slice_words) as column:
            left = b.sub(columns, column)
            count = b.select(b.icmp_signed("<", left, most), left, most)
            self._tables(x, column, count)
            rest = b.sub(last, b.srem(b.sub(last, first), INT(wide)))
            for start, stop, step in ((first, rest, wide), (rest, last, 1)):
                with self.loop(start, stop, step) as unit:
                    self._add(y, unit, step, column, count)
        with self.loop(first, last) as unit:
            h = b.load(self.at(self.argument["h"], b.mul(unit, INT(self.unit_bytes))), typ=self.sum_type, align=4)
            for output in self._outputs(y, unit, 1):
                b.store(b.fmul(b.load(output, typ=self.sum_type, align=4), h), output, align=4)

    def _tables(self, x: ir.Value, column: ir.Value, count: ir.Value) -> None:
        """Build the tables of `count` words from `column` on."""
        b, a_word = self.builder, 32 // self.processor.bits
        for row in range(self.rows):
            inputs = (b.add(x, b.mul(self.argument["x_stride"], INT(row))), self.argument["g"])
            with self.loop(INT(0), b.mul(count, INT(a_word))) as table:
                first = self.offset((column, 32 * 4), (table, 4 * self.processor.bits))
                terms = []
                for j in range(self.processor.bits):
                    place = b.add(first, INT(4 * j))
                    terms.append(b.fmul(*(b.load(self.at(base, place), typ=FLOAT, align=4) for base in inputs)))
                self._store_sums(terms, b.add(b.mul(table, INT(self.table_bytes)), INT(row * self.row_bytes)))

    def _store_sums(self, terms: list[ir.Value], place: ir.Value) -> None:
        b = self.builder
        low = self._sums_of_four(terms[:4])
        if len(terms) == 4:
            b.store(low, self.at(self.tables, place), align=64)
            return
        high = self._sums_of_four(terms[4:])
        for i in range(16):
            total = b.fadd(low, self._in_all_lanes(b.extract_element(high, INT32(i))))
            b.store(total, self.at(self.tables, b.add(place, INT(64 * i))), align=64)

    def _sums_of_four(self, terms: list[ir.Value]) -> ir.Value:
        """The 16 sums ±a ±b ±c ±d; bit j of a sum's place says whether term j is added."""
        b, signed = self.builder, []
        for j, term in enumerate(terms):
            plus = ir.Constant(ir.VectorType(ir.IntType(1), 16), [place >> j & 1 for place in range(16)])
            signed.append(b.select(plus, self._in_all_lanes(term), self._in_all_lanes(b.fneg(term))))
        return b.fadd(b.fadd(signed[0], signed[1]), b.fadd(signed[2], signed[3]))

    def _in_all_lanes(self, value: ir.Value) -> ir.Value:
        b = self.builder
        one = b.insert_element(ir.Constant(ir.VectorType(FLOAT, 16), ir.Undefined), value, INT32(0))
        return b.shuffle_vector(one, one, ir.Constant(ir.VectorType(INT32, 16), [0] * 16))

    def _add(self, y: ir.Value, unit: ir.Value, wide: int, column: ir.Value, count: ir.Value) -> None:
        """Add what `count` words look up to `wide` units of outputs of every row, held in registers meanwhile."""
        b, outputs = self.builder, self._outputs(y, unit, wide)
        sums = [self.variable(self.sum_type) for _ in outputs]  # LLVM makes registers of them
        for output, total in zip(outputs, sums, strict=True):
            b.store(b.load(output, typ=self.sum_type, align=4), total)
        bases = [self._words(b.add(unit, INT(i)), column) for i in range(wide)]
        # Each output's words are a short run, too short for the processor to see a pattern: name the next ones to it.
        following = [self._words(b.add(unit, INT(i)), column) for i in range(wide, 2 * wide, self.units)]
        with self.loop(INT(0), count) as word:
            for base in following:
                self.prefetch(self.at(base, b.mul(word, INT(64))))
            signs = [b.load(self.at(base, b.mul(word, INT(64))), typ=self.sign_type, align=4) for base in bases]
            for number in range(32 // self.processor.bits):
                for row in range(self.rows):
                    place = INT(number * self.table_bytes + row * self.row_bytes)
                    table = self.at(self.tables, b.add(b.mul(word, INT(self.word_bytes)), place))
                    for total, found in zip(sums[row * wide :], self._look_up(table, signs, number), strict=False):
                        b.store(b.fadd(b.load(total, typ=self.sum_type), found), total)
        for output, total in zip(outputs, sums, strict=True):
            b.store(b.load(total, typ=self.sum_type), output, align=4)

    def _look_up(self, table: ir.Value, signs: list[ir.Value], number: int) -> list[ir.Value]:
        """The sums that look-up `number` of each word finds."""
        b, shift = self.builder, self.processor.bits * number
        picks = [b.lshr(word, self._constant(shift)) for word in signs]
        if self.processor.lanes == 1:
            places = (b.zext(b.shl(b.and_(pick, INT32(255)), INT32(2)), INT) for pick in picks)
            return [b.load(self.at(table, place), typ=FLOAT, align=4) for place in places]
        if self.processor.lanes == 16:  # this permute reads the low four bits of a lane and no others
            sums = b.load(table, typ=self.sum_type, align=64)
            return [b.call(self._permute("llvm.x86.avx512.permvar.sf.512"), [sums, pick]) for pick in picks]
        permute = self._permute("llvm.x86.avx2.permps")  # reads the low three
        low, high = (b.load(self.at(table, 32 * half), typ=self.sum_type, align=32) for half in (0, 1))
        fourth = [
            b.icmp_signed("<", b.shl(word, self._constant(28 - shift)), self._constant(0)) for word in signs
        ]  # the fourth bit, brought to where it is the sign
        return [
            b.select(bit, b.call(permute, [high, pick]), b.call(permute, [low, pick]))
            for bit, pick in zip(fourth, picks, strict=True)
        ]

    def _outputs(self, y: ir.Value, unit: ir.Value, wide: int) -> list[ir.Value]:
        """Addresses of `wide` units of outputs from `unit` on, row by row."""
        b = self.builder
        rows = [b.add(y, b.mul(self.argument["y_stride"], INT(row))) for row in range(self.rows)]
        return [self.at(row, b.mul(b.add(unit, INT(i)), INT(self.unit_bytes))) for row in rows for i in range(wide)]

    def _words(self, unit: ir.Value, column: ir.Value) -> ir.Value:
        """Address of the word `column` of a unit of outputs."""
        b = self.builder
        block, part = b.sdiv(unit, INT(self.units)), b.srem(unit, INT(self.units))
        word = b.add(b.mul(block, self.argument["columns"]), column)
        return b.add(self.argument["words"], self.offset((word, 64), (part, self.unit_bytes)))

    def _constant(self, value: int) -> ir.Constant:
        lanes = self.processor.lanes
        return ir.Constant(self.sign_type, [value] * lanes if lanes > 1 else value)

    def _permute(self, name: str) -> ir.Function:
        known = self.module.globals.get(name)
        return known or ir.Function(self.module, ir.FunctionType(self.sum_type, [self.sum_type, self.sign_type]), name)
