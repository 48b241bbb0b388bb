import textwrap
import time

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from lib.corpora.tasks import LimitExceeded, Limits, OutsideSubset, RunFailed, run
from tests.corpora.tasks.programs import bodies

ERRORS = (ArithmeticError, LookupError, TypeError, ValueError, NameError)


def in_python(body, **arguments):
    """Run a program that this file's own strategy wrote: the only text here that Python itself runs."""
    names = {}
    exec(compile(f"def f(xs, n):\n{textwrap.indent(body, ' ')}", "generated", "exec"), names)
    return names["f"](**arguments)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(bodies, st.lists(st.integers(-9, 30), max_size=5), st.integers(-3, 12))
@example("ys = xs\nys += [n]\nreturn xs", [1], 2)
@example("ys = xs\nys *= 2\nreturn xs", [1], 2)
@example("i = 7\nys = [i for i in xs]\nreturn i", [1], 2)
@example("ys = [1]\nys[xs[0]] = xs[5]\nreturn 1", [3], 2)
def test_a_program_does_what_it_does_in_python(body, xs, n):
    failed = result = None
    try:
        result = run(body, {"xs": xs, "n": n})
    except LimitExceeded:
        assume(False)  # Python has no limits to compare with
    except RunFailed as error:
        failed = error
    try:
        expected = in_python(body, xs=list(xs), n=n)
    except ERRORS:
        assert failed is not None
    else:
        assert failed is None
        assert (type(result), result) == (type(expected), expected)


def test_it_runs_a_function_of_lists_and_numbers():
    body = "    total = 0\n    for x in xs:\n        if x % 2 == 0 and x > k:\n            total += x\n    return total"
    assert run(body, {"xs": [1, 2, 4, 8], "k": 2}) == 12


def test_a_function_without_a_return_gives_none():
    assert run("x = 1", {}) is None


def test_the_callers_list_stays_as_it_is():
    given_list = [1, 2]
    assert run("xs.append(3)\nreturn xs", {"xs": given_list}) == [1, 2, 3]
    assert given_list == [1, 2]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import os", "line 1: Import is not"),
        ("x = 1\nreturn xs.__class__", "line 2: the attribute .__class__"),
        ("return xs.append", "the attribute .append"),
        ("return xs.append(1)", "a call of something other"),
        ("xs.pop()", "an expression whose value is lost"),
        ("return ().append(1)", "Tuple|a call"),
        ("return open(1)", "the name 'open'|a call of something other"),
        ("return eval", "the name 'eval'"),
        ("f = len\nreturn f(xs)", "a call of something other|len stands for"),
        ("return len", "len stands for a function"),
        ("return [len][0](xs)", "a call of something other"),
        ("return 'text'", "the constant 'text'"),
        ("return 1.5", "the constant 1.5"),
        ("return 1 / 2", "Div is not"),
        ("return xs @ xs", "MatMult is not"),
        ("return 1 << 9", "LShift is not"),
        ("return lambda: 1", "Lambda is not"),
        ("return (x := 1)", "NamedExpr is not"),
        ("return {1: 2}", "Dict is not"),
        ("return [x for x in xs for y in xs]", "other than one for"),
        ("return [x async for x in xs]", "other than one for"),
        ("return sorted(xs, key=abs)", "keywords|abs stands for"),
        ("return max(*xs)", r"keywords or \*"),
        ("a, b = 1, 2", "an assignment to something other|Tuple"),
        ("xs[0:1] = [1]", "an assignment to something other"),
        ("xs[0].y = 1", "an assignment to something other"),
        ("a = b = 1", "an assignment to something other"),
        ("for a, b in xs: pass", "a for loop over other than one name"),
        ("for a in xs: pass\nelse: pass", "a loop with an else"),
        ("if xs: break", "break or continue outside a loop"),
        ("def g(): return 1", "FunctionDef is not"),
        ("class A: pass", "ClassDef is not"),
        ("global xs", "Global is not"),
        ("del xs", "Delete is not"),
        ("try: pass\nexcept: pass", "Try is not"),
        ("with xs: pass", "With is not"),
        ("yield 1", "an expression whose value is lost"),
        ("return f'{xs}'", "JoinedStr is not"),
        ("return 1 is 1", "Is is not"),
        ("len = 1", "len stands for a function"),
        ("return 1 +", "no Python that can be read"),
        ("", "no Python that can be read"),
        ("x = 1\n\x0cy = 2\n)", "no Python that can be read"),
        ("\x00", "no Python that can be read"),
        ("return 1\n" * 1000, "has 9000 characters, at most 2000"),
        ("return " + "(" * 500 + "1" + ")" * 500, "no Python that can be read"),
    ],
)
def test_what_lies_outside_the_subset_is_refused_by_name(body, message):
    with pytest.raises(OutsideSubset, match=message):
        run(body, {"xs": [1]})


def test_what_lies_outside_is_refused_even_where_it_is_never_reached():
    with pytest.raises(OutsideSubset, match="line 2: Import"):
        run("return 1\nimport os", {})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("while True:\n    pass", "more than 20000 steps"),
        ("for x in xs:\n    xs.append(x)", "a list of 1001 items, at most 1000"),
        ("while True:\n    xs += xs", "a list of"),
        ("return [0] * 10 ** 9", "a list of 10000000000?0? items"),
        ("return 10 ** 9 * [0]", "a list of"),
        ("return range(10 ** 9)", "a list of 1000000000 items"),
        ("x = 3\nwhile True:\n    x = x * x", "an integer of .* bits, at most 256"),
        ("return 9 ** 9 ** 9", "an integer of over 256 bits|an integer of"),
        ("return -2 ** 999999999999", "an integer of over 256 bits"),
        ("xs = list(range(1000))\nwhile True:\n    ys = sorted(xs)", "more than 20000 steps"),
        ("xs = list(range(1000))\nwhile xs == xs:\n    pass", "more than 20000 steps"),
        ("return " + "-" * 1500 + "1", "nested too deeply|no Python"),
    ],
)
def test_no_program_takes_more_than_its_limits(body, message):
    started = time.process_time()
    with pytest.raises((LimitExceeded, OutsideSubset), match=message):
        run(body, {"xs": [1]})
    assert time.process_time() - started < 5  # processor time: a limit that did not hold would take minutes


def test_limits_can_be_chosen():
    body = "total = 0\nfor i in range(50):\n    total += i\nreturn total"
    assert run(body, {}) == 1225
    with pytest.raises(LimitExceeded, match="more than 100 steps"):
        run(body, {}, Limits(steps=100))
    with pytest.raises(LimitExceeded, match="a list of 50 items, at most 10"):
        run(body, {}, Limits(length=10))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x = 1\nreturn x // 0", "line 2: ZeroDivisionError"),
        ("return xs[9]", "line 1: IndexError"),
        ("return xs + 1", "line 1: TypeError"),
        ("return max([])", "line 1: ValueError"),
        ("if 0:\n    y = 1\nreturn y", "line 3: 'y' has no value yet"),
        ("n = 1\nn.append(2)", "line 2: TypeError: int has no append"),
        ("return 2 ** -1", "a negative exponent gives a fraction"),
        ("xs.append(xs)", "a list inside a list"),
        ("return [xs]", "a list inside a list"),
        ("xs[0] = range(2)", "a list inside a list"),
    ],
)
def test_a_failing_program_names_line_and_error(body, message):
    with pytest.raises(RunFailed, match=message):
        run(body, {"xs": [1]})
