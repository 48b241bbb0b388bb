"""A small part of Python: functions of integers and flat lists of integers, with if, for and while.

`parse` reads a function's body and refuses whatever lies outside before anything is run: imports, attributes (but for
`xs.append(x)` standing alone), strings, floats, definitions, any name that the function was not given and does not
assign, and any function but the eight named below.
"""

import ast
import textwrap
import warnings
from collections.abc import Iterator, Sequence

from lib.corpora.tasks.errors import OutsideSubset

LONGEST_SOURCE = 2_000  # characters
FUNCTIONS = ("abs", "len", "list", "max", "min", "range", "sorted", "sum")

_NODES = (
    "Assign AugAssign Return If For While Break Continue Pass Expr "
    "Constant Name BinOp UnaryOp BoolOp Compare IfExp List ListComp Subscript Slice Call "
    "Add Sub Mult FloorDiv Mod Pow USub UAdd Not And Or Eq NotEq Lt LtE Gt GtE In NotIn "
    "comprehension Load Store"
)
_ALLOWED = tuple(getattr(ast, name) for name in _NODES.split())


def parse(body: str, arguments: Sequence[str]) -> list[ast.stmt]:
    """Return the statements of a function's body; their line numbers are those of the body plus one.

    Args:
        body: The lines below `def f(...):`, indented or not.
        arguments: Names of the function's arguments.

    Raises:
        OutsideSubset: The text is no Python, longer than 2,000 characters, or outside the subset.
    """
    if len(body) > LONGEST_SOURCE:
        raise OutsideSubset(f"the program has {len(body)} characters, at most {LONGEST_SOURCE} are read")
    lines = textwrap.dedent(body).strip("\n").splitlines()
    source = f"def f({', '.join(arguments)}):\n" + "".join(f" {line}\n" for line in lines)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as invalid escapes, in strings that are refused below
            (function,) = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise OutsideSubset(f"no Python that can be read: {error}") from error
    statements = function.body
    rules = _Rules(statements, arguments)
    for node in _nodes(statements):
        fault = rules.fault(node)
        if fault:
            where = f"line {node.lineno - 1}: " if hasattr(node, "lineno") else ""
            raise OutsideSubset(where + fault)
    return statements


def _nodes(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    for statement in statements:
        yield from ast.walk(statement)


class _Rules:
    """What one body may contain; some nodes are allowed only where they stand."""

    def __init__(self, statements: list[ast.stmt], arguments: Sequence[str]) -> None:
        nodes = list(_nodes(statements))
        stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        self.known = {*arguments, *stored}
        self.called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        self.appends = {id(node.value) for node in nodes if isinstance(node, ast.Expr) and _is_append(node.value)}
        self.loose = {id(node) for node in _loose(statements)}

    def fault(self, node: ast.AST) -> str | None:
        """Tell what the subset does not have in one node; None where it has it."""
        if isinstance(node, ast.Attribute):  # a call's own rule sees to the rest
            fine = node.attr == "append" and id(node) in self.called
            return None if fine else f"the attribute .{node.attr}; the subset has xs.append(x) only"
        if not isinstance(node, _ALLOWED):
            return f"{type(node).__name__} is not in the subset"
        check = getattr(self, f"_{type(node).__name__.lower()}", None)
        return check(node) if check else None

    def _constant(self, node: ast.Constant) -> str | None:
        if type(node.value) in (int, bool, type(None)):
            return None
        return f"the constant {node.value!r:.40}; the subset has integers, True, False and None"

    def _name(self, node: ast.Name) -> str | None:
        if node.id in FUNCTIONS and id(node) not in self.called:
            return f"{node.id} stands for a function and can only be called"
        if node.id not in self.known and node.id not in FUNCTIONS:
            return f"the name {node.id!r} is neither an argument nor assigned nor one of {', '.join(FUNCTIONS)}"
        return None

    def _call(self, node: ast.Call) -> str | None:
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            return "a call with keywords or *"
        if id(node) in self.appends or (isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS):
            return None
        return f"a call of something other than {', '.join(FUNCTIONS)}, or xs.append(x) standing alone"

    def _expr(self, node: ast.Expr) -> str | None:
        if id(node.value) in self.appends or isinstance(node.value, ast.Constant):
            return None
        return "an expression whose value is lost; only xs.append(x) may stand alone"

    def _assign(self, node: ast.Assign) -> str | None:
        return None if len(node.targets) == 1 and _is_target(node.targets[0]) else _NO_TARGET

    def _augassign(self, node: ast.AugAssign) -> str | None:
        return None if _is_target(node.target) else _NO_TARGET

    def _for(self, node: ast.For) -> str | None:
        return "a for loop over other than one name" if not isinstance(node.target, ast.Name) else _with_else(node)

    def _while(self, node: ast.While) -> str | None:
        return _with_else(node)

    def _break(self, node: ast.Break) -> str | None:
        return "break or continue outside a loop" if id(node) in self.loose else None

    _continue = _break

    def _listcomp(self, node: ast.ListComp) -> str | None:
        first = node.generators[0]
        plain = len(node.generators) == 1 and isinstance(first.target, ast.Name) and not first.is_async
        return None if plain else "a list comprehension with other than one for over one name"


_NO_TARGET = "an assignment to something other than one name or one place in a list"


def _with_else(node: ast.For | ast.While) -> str | None:
    return "a loop with an else" if node.orelse else None


def _is_append(node: ast.expr) -> bool:
    function = node.func if isinstance(node, ast.Call) else None
    named = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    return named and function.attr == "append" and len(node.args) == 1


def _is_target(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name) and not isinstance(node.slice, ast.Slice)
    return isinstance(node, ast.Name)


def _loose(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield every break and continue that no loop encloses."""
    for statement in statements:
        if isinstance(statement, (ast.Break, ast.Continue)):
            yield statement
        elif isinstance(statement, ast.If):
            yield from _loose([*statement.body, *statement.orelse])
