"""The delta kernels in Triton's interpreter against the merged model in float64: bit mixes, tenant mixes, odd sizes."""

import json
import os
import re
import subprocess
import sys

import pytest

from lib.checkout import Checkout
from tests.kernels.delta import cases

pytest.importorskip("triton")

NAMES = [f"{name}, {dtype}" for name, step in cases.STEPS.items() for dtype in step[3].split()]


@pytest.fixture(scope="module")
def found():
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.kernels.delta.interpreted"]
    done = subprocess.run(command, cwd=Checkout().root, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", NAMES)
def test_the_kernels_err_at_most_twice_as_much_as_plain_torch_of_their_type(found, name):
    errors = found["steps"][name]
    times = 4 if name.endswith("bf16") else 2  # the interpreter cuts fp32 off to bf16, a GPU rounds
    step_of_codes = cases.STEP_OF_16_BITS if name.startswith(cases.SIXTEEN_BITS) else 0
    assert errors["kernel"] <= times * errors["plain"] + step_of_codes + (4e-6 if name.endswith("fp32") else 0)


@pytest.mark.parametrize("name", NAMES)
def test_tokens_of_the_base_alone_are_left_as_they_are(found, name):
    assert found["steps"][name]["untouched"]


def test_tenants_can_be_added_dropped_and_swapped_between_steps(found):
    assert all(found["swaps"].values()), found["swaps"]


@pytest.mark.parametrize("name", cases.PLANS)
def test_the_gpu_order_restores_to_the_canonical_planes(found, name):
    assert found["restored"][name]


def test_the_assembly_decodes_what_the_interpreter_decodes():
    """The interpreter runs no assembly: so evaluate its instructions on every word here, two words a register."""
    import numpy as np

    from lib.kernels.delta import delta_triton, layout

    words = np.arange(1 << 16, dtype=np.uint32)
    pairs = words | (np.roll(words, 1) << np.uint32(16))
    text = delta_triton._ASSEMBLY.value
    pattern = r"(?:(shr|shl)\.b32 (\w), \$8, (\d+);)|(?:lop3\.b32 \$(\d+), (\$8|\w), (\w+), (\w+), 0xEA;)"
    registers, decoded = {"$8": pairs}, {}
    for shift, into, count, output, source, mask, constant in re.findall(pattern, text):
        if shift:
            moved = np.right_shift if shift == "shr" else np.left_shift
            registers[into] = moved(pairs, np.uint32(count))
        else:  # table 0xEA is (a & b) | c
            decoded[int(output)] = (registers[source] & np.uint32(int(mask, 16))) | np.uint32(int(constant, 16))
    for q, places in enumerate(layout.FIELDS):
        for s, place in enumerate(places):
            for half in (0, 16):
                digit = (pairs >> np.uint32(half + place)) & 3
                bits = (decoded[2 * q + s] >> np.uint32(half)) & np.uint32(0xFFFF)
                value = (bits << np.uint32(16)).view(np.float32)  # bfloat16 is the upper half of fp32
                assert np.array_equal(value, (8, 32)[s] + digit.astype(np.float32))
