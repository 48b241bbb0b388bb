"""The GPU's kernels in Triton's interpreter, over odd shapes, against the specification."""

import json
import os
import re
import subprocess
import sys

import pytest

from lib.checkout import Checkout
from tests.kernels import interpreted

pytest.importorskip("triton")

NAMES = [
    f"{dtype} {out}x{inputs} rows {rows}"
    for dtype in interpreted.DTYPES
    for out, inputs, rows, *_ in interpreted.SHAPES
]
TILED = [f"{tiles.kernel} in {tiles.splits} splits, rows {rows}" for *_, rows, tiles in interpreted.TILES]


@pytest.fixture(scope="module")
def found():
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.kernels.interpreted"]
    done = subprocess.run(command, cwd=Checkout().root, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", [*NAMES, *TILED, "mixed types", "layer norm of 16500"])
def test_a_kernel_errs_at_most_twice_as_much_as_plain_torch_of_its_type(found, name):
    times = 4 if name.startswith("bf16") else 2  # the interpreter cuts fp32 off to bf16, a GPU rounds
    assert found[name]["kernel"] <= times * found[name]["plain"] + 1e-6


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("fp32")])
def test_fp32_activations_are_exact_to_fp32(found, name):
    assert found[name]["kernel"] < 1e-6
    assert found[name]["dtype"] == "torch.float32"


def test_the_assembly_decodes_what_the_interpreter_decodes():
    """The interpreter runs no assembly: so evaluate the instructions of the decoding on every word here."""
    import numpy as np

    from lib.kernels import sign_matmul_triton as kernels

    words = np.arange(1 << 16, dtype=np.uint32)
    pairs = words | (np.roll(words, 1) << np.uint32(16))
    for text, one in ((kernels._FP16.value, 0x3C00), (kernels._BF16.value, 0x3F80)):
        steps = re.findall(r"shl\.b32 t, \$16, (\d+); lop3\.b32 \$(\d+), t, (\w+), (\w+), (\w+);", text)
        assert [int(register) for _, register, *_ in steps] == list(range(16))
        for shift, register, mask, constant, table in steps:
            decoded = lop3(pairs << np.uint32(int(shift)), int(mask, 16), int(constant, 16), int(table, 16))
            for half in (0, 16):
                bits = pairs >> np.uint32(int(register) + half) & 1
                assert np.array_equal(decoded >> np.uint32(half) & 0xFFFF, np.where(bits, one, one | 0x8000))


def lop3(a, b, c, table):
    """PTX lop3.b32: bit (4a + 2b + c) of the table, bit by bit."""
    import numpy as np

    result = np.zeros_like(a)
    for place in range(8):
        if table >> place & 1:
            term = ~np.zeros_like(a)
            for value, digit in ((a, 4), (np.uint32(b), 2), (np.uint32(c), 1)):
                term &= value if place & digit else ~value
            result |= term
    return result
