"""What a notebook's `parameters` cell declares, read without running it.

One cell is tagged `parameters`; each of its lines reads `name: type = default  # help`. A type is int, float, str,
bool, list[type], dict[str, type], or several of them with `|`, None among them. Values are what JSON can hold.

What it leaves out: any code in that cell; what must be computed is computed in the next one.
"""

import ast
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.batch.errors import PlanError

TAG = "parameters"
_PLAIN = {"int": int, "float": float, "str": str, "bool": bool}
_FORM = "write one `name: type = default  # help` a line"
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")


@dataclass(frozen=True)
class Parameter:
    """One line of a `parameters` cell.

    Attributes:
        name: The variable.
        type: Its type as it stands there, such as "int" or "list[float] | None".
        default: Its value in the notebook.
        help: What stands after `#`.
    """

    name: str
    type: str
    default: Any
    help: str = ""

    def value(self, given: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return a value as the declared type takes it: 1 becomes 1.0 where a float is declared.

        Raises:
            PlanError: The value is of another type; the message does not say where it stands.
        """
        fits, value = _convert(ast.parse(self.type, mode="eval").body, given)
        if fits:
            return value
        message = f"parameter {self.name!r} is declared {self.type}, found {given!r} ({_type_name(given)})"
        if isinstance(given, str) and _NUMBER.fullmatch(given):
            message += f"; YAML takes {given} for text: write {_with_point(given)}"
        raise PlanError(message)


def read_parameters(notebook: Path, shown: str) -> dict[str, Parameter]:
    """Return a notebook's parameters by name, in their order.

    Args:
        notebook: The file.
        shown: How messages name it.

    Raises:
        PlanError: The file is no notebook, has not exactly one cell tagged `parameters`, or that cell holds something
            other than declarations.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        tagged = [cell for cell in cells if TAG in cell.get("metadata", {}).get("tags", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"{shown}: not a notebook that can be read ({type(error).__name__}: {error})") from error
    if len(tagged) != 1 or tagged[0].get("cell_type") != "code":
        raise PlanError(f"{shown}: expected one code cell tagged {TAG!r}, found {len(tagged)}; tag one, {_FORM}")
    source = "".join(tagged[0]["source"])
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise PlanError(f"{shown}: `parameters` cell, line {error.lineno}: {error.msg}; {_FORM}") from error
    declared = [_declaration(statement, source.splitlines(), shown) for statement in statements]
    parameters = {parameter.name: parameter for parameter in declared}
    if len(parameters) != len(declared):
        raise PlanError(f"{shown}: a parameter is declared twice in the `parameters` cell; delete one")
    return parameters


def _declaration(statement: ast.stmt, lines: list[str], shown: str) -> Parameter:
    where = f"{shown}: `parameters` cell, line {statement.lineno}"
    is_declaration = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    if not is_declaration or statement.value is None:
        raise PlanError(f"{where}: found `{lines[statement.lineno - 1].strip()}`; {_FORM}")
    if not _is_type(statement.annotation):
        expected = "int, float, str, bool, list[...], dict[str, ...] or None, joined by |"
        raise PlanError(f"{where}: type `{ast.unparse(statement.annotation)}` is not one of {expected}")
    try:
        default = ast.literal_eval(statement.value)
    except ValueError:
        raise PlanError(f"{where}: the default must be a plain value, not `{ast.unparse(statement.value)}`") from None
    comment = lines[statement.end_lineno - 1][_end_column(statement, lines) :].partition("#")[2].strip()
    parameter = Parameter(statement.target.id, ast.unparse(statement.annotation), default, comment)
    try:
        return Parameter(parameter.name, parameter.type, parameter.value(default), comment)
    except PlanError as error:
        raise PlanError(f"{where}: the default does not fit: {error}") from None


def _end_column(statement: ast.stmt, lines: list[str]) -> int:
    line = lines[statement.end_lineno - 1]
    return len(line.encode()[: statement.end_col_offset].decode())  # ast counts bytes


def _is_type(annotation: ast.expr) -> bool:
    match annotation:
        case ast.Name(id=name):
            return name in _PLAIN
        case ast.Constant(value=None):
            return True
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _is_type(left) and _is_type(right)
        case ast.Subscript(value=ast.Name(id="list"), slice=item):
            return _is_type(item)
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), item])):
            return _is_type(item)
    return False


def _convert(annotation: ast.expr, value: Any) -> tuple[bool, Any]:  # noqa: ANN401 - any JSON value
    match annotation:
        case ast.Name(id="float") if isinstance(value, int | float) and not isinstance(value, bool):
            return math.isfinite(value), float(value)
        case ast.Name(id=name) if name in _PLAIN:
            return type(value) is _PLAIN[name], value
        case ast.Constant(value=None):
            return value is None, None
        case ast.BinOp(left=left, right=right):
            # The exact type first: in `float | int` a 1 stays 1.
            sides = sorted((left, right), key=lambda side: not _is_exact(side, value))
            return next((found for side in sides if (found := _convert(side, value))[0]), (False, None))
        case ast.Subscript(value=ast.Name(id="list"), slice=item) if isinstance(value, list):
            items = [_convert(item, element) for element in value]
            return all(fits for fits, _ in items), [element for _, element in items]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[_, item])) if isinstance(value, dict):
            items = {name: _convert(item, element) for name, element in value.items()}
            fits = all(isinstance(name, str) and found for name, (found, _) in items.items())
            return fits, {name: element for name, (_, element) in items.items()}
    return False, None


def _is_exact(annotation: ast.expr, value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return isinstance(annotation, ast.Name) and annotation.id == type(value).__name__


def _type_name(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return "None" if value is None else type(value).__name__


def _with_point(number: str) -> str:
    digits, exponent = re.split("[eE]", number)
    sign = "" if exponent[0] in "+-" else "+"
    return f"{digits if '.' in digits else digits + '.0'}e{sign}{exponent}"
