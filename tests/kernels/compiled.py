"""Compile a Triton kernel for a GPU that is not there, and read what the compiler made of it."""

import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"


@dataclass(frozen=True)
class Resources:
    """What a compiled kernel needs, and the instructions of its inner loop.

    Attributes:
        registers: A thread's registers.
        stack: Bytes of local memory a thread: 0 where nothing is spilled.
        shared: Bytes of shared memory a program.
        loop: Instructions (SASS, with their suffixes) of the loop with most tensor-core instructions.
    """

    registers: int
    stack: int
    shared: int
    loop: tuple[str, ...]

    def count(self, name: str) -> int:
        return Counter(instruction.split()[0].split(".")[0] for instruction in self.loop)[name]


def compile_for(
    kernel, architecture: int, types: dict[str, str], constants: dict, warps: int, stages: int, folder: Path
) -> Resources:
    """Compile `kernel`, its pointers aligned to 16 bytes and the sizes in `types` that end in ! divisible by 16."""
    names = kernel.arg_names
    signature = {name: types.get(name, "constexpr").rstrip("!") for name in names}
    aligned = [name for name, kind in types.items() if kind.startswith("*") or kind.endswith("!")]
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in aligned}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    options = {"num_warps": warps, "num_stages": stages}
    compiled = triton.compile(source, target=GPUTarget("cuda", architecture, 32), options=options)
    cubin = folder / "kernel.cubin"
    cubin.write_bytes(compiled.asm["cubin"])
    usage = re.search(r"REG:(\d+) STACK:(\d+)", dump(cubin, "--dump-resource-usage"))
    return Resources(int(usage[1]), int(usage[2]), compiled.metadata.shared, inner_loop(dump(cubin, "-sass")))


def dump(cubin: Path, what: str) -> str:
    return subprocess.run([TOOLS / "cuobjdump", what, cubin], capture_output=True, text=True, check=True).stdout


def inner_loop(sass: str) -> tuple[str, ...]:
    """The instructions between a backward branch and its target, of the loop with most tensor-core instructions."""
    found = re.findall(r"/\*([0-9a-f]{4,5})\*/\s+(.*?)\s*;", sass)
    lines = [(int(place, 16), re.sub(r"^@!?U?P\w+\s+", "", text)) for place, text in found]
    best: tuple[str, ...] = ()
    for place, text in lines:
        target = re.search(r"^BRA\b.*0x([0-9a-f]+)", text)
        if target and int(target[1], 16) < place:
            loop = tuple(each for at, each in lines if int(target[1], 16) <= at <= place)
            best = max(best, loop, key=lambda body: sum("MMA" in each for each in body))
    return best
