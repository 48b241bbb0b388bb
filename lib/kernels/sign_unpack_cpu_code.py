"""Machine code that unpacks the CPU's words into a tile of ±1, [in, outputs], for a dense product.

The words of 16 outputs stand side by side, so bit j of a word is one row of the tile for 16 outputs, and a ±1 is made
without a conversion: the constant 1 with the bit put where its sign is. Per weight it reads 1 bit and writes 16 or 32.
"""

from llvmlite import ir

from lib.kernels.llvm import INT, INT32, Writer

# Addresses of the words (int32) and the tile; the tile's row length in elements; blocks and columns of the words.
ARGUMENTS = ("claimed", "slices", "words", "tile", "tile_stride", "blocks", "columns")

ONE = {"float32": (32, 0x3F800000), "float16": (16, 0x3C00), "bfloat16": (16, 0x3F80)}


def write(dtype: str) -> ir.Module:
    """Return a module with the function `sign_unpack` for tiles of `dtype`: float32, float16 or bfloat16."""
    bits, one = ONE[dtype]
    writer = Writer("sign_unpack", ARGUMENTS)
    b, argument = writer.builder, writer.argument
    element, words_type = ir.VectorType(ir.IntType(bits), 16), ir.VectorType(INT32, 16)
    with writer.slices(argument["columns"]) as (first, last):  # noqa: SIM117
        with writer.loop(first, last) as column, writer.loop(INT(0), argument["blocks"]) as block:
            place = b.mul(b.add(b.mul(block, argument["columns"]), column), INT(64))
            words = b.load(writer.at(argument["words"], place), typ=words_type, align=4)
            words = b.xor(words, ir.Constant(words_type, [-1] * 16))  # a set bit is +1, a set sign bit is minus
            for j in range(32):
                sign = b.and_(b.shl(words, _all(words_type, 31 - j)), _all(words_type, -(1 << 31)))
                if bits == 16:
                    sign = b.trunc(b.lshr(sign, _all(words_type, 16)), element)
                row = b.mul(b.add(b.mul(column, INT(32)), INT(j)), argument["tile_stride"])
                into = b.mul(b.add(row, b.mul(block, INT(16))), INT(bits // 8))
                b.store(b.or_(sign, _all(element, one)), writer.at(argument["tile"], into), align=2)
    return writer.module


def _all(kind: ir.VectorType, value: int) -> ir.Constant:
    return ir.Constant(kind, [value] * kind.count)
