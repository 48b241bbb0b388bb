"""A small writer of LLVM IR, and its compiler: what the CPU kernels are made with.

llvmlite is the LLVM binding that numba is built on. Kernels here use it directly, because their inner loops need one
instruction that LLVM never finds by itself (a register used as a look-up table) and must be written in IR either way.
Measured on the first call of a kernel: import 0.1 s and 0.2 s of compiling, against 0.5 s and 1 to 2 s through numba.
"""

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import llvmlite.binding as llvm
from llvmlite import ir

INT, INT32, FLOAT, BYTE, POINTER = ir.IntType(64), ir.IntType(32), ir.FloatType(), ir.IntType(8), ir.PointerType()


class Writer:
    """Appends instructions to one function of the form `void name(int64 *arguments)`.

    Args:
        name: Name of the function.
        arguments: Names of the int64 values that a call passes, in their order. The first is a counter shared by all
            threads that run the function on the same arguments: each claims slices of the work until none is left.
    """

    def __init__(self, name: str, arguments: tuple[str, ...]) -> None:
        self.module = ir.Module(name=name)
        function = ir.Function(self.module, ir.FunctionType(ir.VoidType(), [POINTER]), name)
        self.builder = ir.IRBuilder(function.append_basic_block())
        self._arguments = function.args[0]
        self.argument = {
            each: self.builder.load(self.at(self._arguments, 8 * i), typ=INT) for i, each in enumerate(arguments)
        }

    @contextmanager
    def slices(self, total: ir.Value) -> Iterator[tuple[ir.Value, ir.Value]]:
        """Claim one of `slices` parts of 0..total after another; the body is what is appended inside the with."""
        b = self.builder
        claim, work, done = (b.append_basic_block(name) for name in ("claim", "work", "done"))
        b.branch(claim)
        b.position_at_end(claim)
        mine = b.atomic_rmw("add", self._arguments, INT(1), "monotonic")
        slices = self.argument["slices"]
        b.cbranch(b.icmp_signed("<", mine, slices), work, done)
        b.position_at_end(work)
        yield tuple(b.sdiv(b.mul(total, part), slices) for part in (mine, b.add(mine, INT(1))))
        b.branch(claim)
        b.position_at_end(done)
        b.ret_void()

    @contextmanager
    def loop(self, start: ir.Value, stop: ir.Value, step: int = 1) -> Iterator[ir.Value]:
        """`for (i = start; i < stop; i += step)`: the body is what is appended inside the with."""
        b = self.builder
        test, body, after = (b.append_basic_block(name) for name in ("test", "body", "after"))
        before = b.block
        b.branch(test)
        b.position_at_end(test)
        i = b.phi(INT)
        i.add_incoming(start, before)
        b.cbranch(b.icmp_signed("<", i, stop), body, after)
        b.position_at_end(body)
        yield i
        i.add_incoming(b.add(i, INT(step)), b.block)
        b.branch(test)
        b.position_at_end(after)

    def at(self, base: ir.Value, offset: ir.Value | int = 0) -> ir.Value:
        """The address `offset` bytes after `base`, a pointer or an int64."""
        b = self.builder
        pointer = b.inttoptr(base, POINTER) if base.type == INT else base
        return b.gep(pointer, [INT(offset) if isinstance(offset, int) else offset], source_etype=BYTE)

    def offset(self, *terms: tuple[ir.Value, ir.Value | int]) -> ir.Value:
        """The sum of index · stride over `terms`."""
        b = self.builder
        products = (b.mul(i, INT(stride) if isinstance(stride, int) else stride) for i, stride in terms)
        return functools.reduce(b.add, products)

    def prefetch(self, address: ir.Value) -> None:
        """Have a cache line fetched that is read soon; the address may lie anywhere."""
        kind = ir.FunctionType(ir.VoidType(), [POINTER, INT32, INT32, INT32])
        known = self.module.globals.get("llvm.prefetch.p0")
        read, keep, data = INT32(0), INT32(3), INT32(1)
        self.builder.call(known or ir.Function(self.module, kind, "llvm.prefetch.p0"), [address, read, keep, data])

    def variable(self, kind: ir.Type) -> ir.Value:
        """The address of a local variable."""
        with self.builder.goto_entry_block():  # in a loop it would take new stack each time round
            return self.builder.alloca(kind)

    def local(self, count: int) -> ir.Value:
        """The address of `count` floats of this call's own, aligned to a cache line."""
        floats = self.builder.alloca(ir.ArrayType(FLOAT, count))
        floats.align = 64
        return self.builder.ptrtoint(floats, INT)


@dataclass(frozen=True)
class Compiled:
    """A compiled function.

    Attributes:
        address: Where it starts.
        call: The same as a Python function that takes the address of the arguments and releases the interpreter lock.
        engine: Owner of the code; it lives as long as this.
    """

    address: int
    call: Callable[[object], None]
    engine: object


def compile_function(module: ir.Module) -> Compiled:
    """Return the compiled function that has its module's name, optimised for this processor."""
    machine = _machine()
    engine = llvm.create_mcjit_compiler(_optimised(module, machine), machine)
    engine.finalize_object()
    address = engine.get_function_address(module.name)
    return Compiled(address, ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address), engine)


def assembly(module: ir.Module) -> str:
    """Return the machine code of a module as text, to look for instructions in."""
    machine = _machine()
    return machine.emit_assembly(_optimised(module, machine))


@functools.lru_cache(maxsize=1)
def host_features() -> dict[str, bool]:
    """Return what instructions this processor has, by LLVM's names."""
    return dict(llvm.get_host_cpu_features())


def _machine() -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    return llvm.Target.from_default_triple().create_target_machine(llvm.get_host_cpu_name(), features, opt=3)


def _optimised(module: ir.Module, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    parsed = llvm.parse_assembly(str(module))
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    builder.getModulePassManager().run(parsed, builder)
    return parsed
