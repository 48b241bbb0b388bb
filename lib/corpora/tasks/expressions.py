"""Evaluates the expressions of the subset: each method is named like the node of the syntax tree that it takes."""

import ast

from lib.corpora.tasks.errors import RunFailed
from lib.corpora.tasks.values import CALLS, COMPARISONS, UNARY, Limits, Meter, Value, flat, size


class Expressions:
    """The names' values in one run, and what expressions make of them.

    Attributes:
        values: Value of each name.
        meter: What the run may still use.
    """

    def __init__(self, values: dict[str, Value], limits: Limits) -> None:
        self.values = values
        self.meter = Meter(limits)

    def value(self, node: ast.expr) -> Value:
        """Return the value of an expression; Python's own errors come through."""
        self.meter.spend(1)
        return getattr(self, f"_{type(node).__name__.lower()}")(node)

    def _constant(self, node: ast.Constant) -> Value:
        return self.meter.checked(node.value)

    def _name(self, node: ast.Name) -> Value:
        if node.id not in self.values:
            raise RunFailed(f"line {node.lineno - 1}: {node.id!r} has no value yet")
        return self.values[node.id]

    def _binop(self, node: ast.BinOp) -> Value:
        return self.meter.binary(type(node.op), self.value(node.left), self.value(node.right))

    def _unaryop(self, node: ast.UnaryOp) -> Value:
        return self.meter.checked(UNARY[type(node.op).__name__](self.value(node.operand)))

    def _boolop(self, node: ast.BoolOp) -> Value:
        stops_at = isinstance(node.op, ast.Or)
        for operand in node.values:
            value = self.value(operand)
            if bool(value) == stops_at:
                break
        return value

    def _compare(self, node: ast.Compare) -> Value:
        left = self.value(node.left)
        for operation, operand in zip(node.ops, node.comparators, strict=True):
            right = self.value(operand)
            self.meter.spend(size(left) + size(right))
            result = COMPARISONS[type(operation).__name__](left, right)
            if not result:
                break
            left = right
        return result

    def _ifexp(self, node: ast.IfExp) -> Value:
        return self.value(node.body if self.value(node.test) else node.orelse)

    def _list(self, node: ast.List) -> Value:
        return [flat(self.value(item)) for item in node.elts]

    def _listcomp(self, node: ast.ListComp) -> Value:
        loop, result = node.generators[0], []
        name, items = loop.target.id, self.value(loop.iter)
        outer = {name: self.values[name]} if name in self.values else {}  # the loop's name is its own
        for item in iter(items):
            self.meter.spend(1)
            self.values[name] = item
            if all(self.value(condition) for condition in loop.ifs):
                result.append(flat(self.value(node.elt)))
        self.values.pop(name, None)
        self.values |= outer
        return self.meter.checked(result)

    def _subscript(self, node: ast.Subscript) -> Value:
        items = self.value(node.value)
        place = self._slice(node.slice) if isinstance(node.slice, ast.Slice) else self.value(node.slice)
        return self.meter.checked(items[place])

    def _slice(self, node: ast.Slice) -> slice:
        return slice(*(part and self.value(part) for part in (node.lower, node.upper, node.step)))

    def _call(self, node: ast.Call) -> Value:
        given = [self.value(argument) for argument in node.args]
        self.meter.spend(sum(size(value) for value in given))
        return self.meter.checked(CALLS[node.func.id](*given))
