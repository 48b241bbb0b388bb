r"""Runs programs that a model wrote, in our own interpreter over the syntax tree: never exec, never eval.

    run("total = 0\nfor x in xs:\n    total += x\nreturn total", {"xs": [1, 2, 3]})      # 6

Values are integers, True, False, None and flat lists of them, and results are Python's own. Every step is counted and
the sizes of integers and lists are limited, so that a program can take neither time nor memory beyond its limits.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from lib.corpora.tasks.errors import LimitExceeded, ProgramError, RunFailed
from lib.corpora.tasks.expressions import Expressions
from lib.corpora.tasks.subset import parse
from lib.corpora.tasks.values import LIMITS, Limits, Value, flat

_PYTHON_ERRORS = (TypeError, ValueError, ZeroDivisionError, IndexError, OverflowError)


def run(body: str, arguments: Mapping[str, Value], limits: Limits = LIMITS) -> Value:
    """Return what a function of the subset returns; None where it ends without a return.

    Args:
        body: The lines below `def f(...):`; `lib.corpora.tasks.subset` says what they may hold.
        arguments: Value of each argument; lists are copied, so that the caller's stay as they are.
        limits: Of steps and sizes.

    Raises:
        OutsideSubset: The body lies outside the subset; nothing of it was run.
        LimitExceeded: It ran too long or grew too large.
        RunFailed: It raised an error.
    """
    statements = parse(body, list(arguments))
    values = {name: list(value) if isinstance(value, list) else value for name, value in arguments.items()}
    try:
        ended = _Statements(values, limits).block(statements)
    except RecursionError as error:
        raise LimitExceeded("the program is nested too deeply") from error
    return ended.value if isinstance(ended, _Returned) else None


@dataclass(frozen=True)
class _Returned:
    value: Value


_BREAK, _CONTINUE = object(), object()


class _Statements(Expressions):
    """One run. A statement's method returns how it ended: None normally, else a break, a continue or a return."""

    def block(self, statements: list[ast.stmt]) -> object:
        for statement in statements:
            ended = self._statement(statement)
            if ended is not None:
                return ended
        return None

    def _statement(self, node: ast.stmt) -> object:
        self.meter.spend(1)
        try:
            return getattr(self, f"_{type(node).__name__.lower()}")(node)
        except ProgramError:
            raise
        except _PYTHON_ERRORS as error:
            raise RunFailed(f"line {node.lineno - 1}: {type(error).__name__}: {error}") from error

    def _assign(self, node: ast.Assign) -> None:
        value, target = self.value(node.value), node.targets[0]
        if isinstance(target, ast.Name):
            self.values[target.id] = value
        else:
            self.value(target.value)[self.value(target.slice)] = flat(value)

    def _augassign(self, node: ast.AugAssign) -> None:
        # As in Python the place is found before the right side is computed.
        if isinstance(node.target, ast.Name):
            old = self._name(node.target)
            self.values[node.target.id] = self._in_place(node.op, old, self.value(node.value))
        else:
            items, place = self.value(node.target.value), self.value(node.target.slice)
            old = items[place]
            items[place] = flat(self.meter.binary(type(node.op), old, self.value(node.value)))

    def _in_place(self, operation: ast.operator, old: Value, right: Value) -> Value:
        """Return `old op= right`; a list stays the same list, so that its other names see the change."""
        if isinstance(old, list) and isinstance(operation, ast.Add):
            right = list(right)  # unlike `old + right`, this takes a range too
        new = self.meter.binary(type(operation), old, right)
        if isinstance(old, list):
            old[:] = new
            return old
        return new

    def _return(self, node: ast.Return) -> _Returned:
        return _Returned(None if node.value is None else self.value(node.value))

    def _if(self, node: ast.If) -> object:
        return self.block(node.body if self.value(node.test) else node.orelse)

    def _for(self, node: ast.For) -> object:
        for item in iter(self.value(node.iter)):
            self.meter.spend(1)
            self.values[node.target.id] = item
            ended = self.block(node.body)
            if ended is not None and ended is not _CONTINUE:
                return None if ended is _BREAK else ended
        return None

    def _while(self, node: ast.While) -> object:
        while self.value(node.test):
            ended = self.block(node.body)
            if ended is not None and ended is not _CONTINUE:
                return None if ended is _BREAK else ended
        return None

    def _break(self, node: ast.Break) -> object:
        return _BREAK

    def _continue(self, node: ast.Continue) -> object:
        return _CONTINUE

    def _pass(self, node: ast.Pass) -> None:
        pass

    def _expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        items, item = self._name(node.value.func.value), flat(self.value(node.value.args[0]))
        if not isinstance(items, list):
            raise TypeError(f"{type(items).__name__} has no append")
        self.meter.check_length(len(items) + 1)
        items.append(item)
