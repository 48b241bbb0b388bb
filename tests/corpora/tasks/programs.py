"""Random programs of the subset, as hypothesis strategies: what they do is compared with Python itself."""

from hypothesis import strategies as st

_COMPARISONS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_SIGNS = st.sampled_from(["+", "-", "*", "//", "%"])

_leaves = st.one_of(
    st.integers(-9, 30).map(str), st.sampled_from(["n", "total", "n", "i", "True", "len(xs)", "sum(ys)"])
)


def _wider(inner):
    return st.one_of(
        st.tuples(inner, _SIGNS, inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, st.integers(0, 4)).map(lambda parts: f"({parts[0]}) ** {parts[1]}"),
        inner.map(lambda text: f"-({text})"),
        inner.map(lambda text: f"abs({text})"),
        inner.map(lambda text: f"xs[{text}]"),
        st.tuples(inner, inner).map(lambda parts: f"max({parts[0]}, {parts[1]})"),
        st.tuples(inner, _COMPARISONS, inner, inner).map(
            lambda parts: f"({parts[0]} if {parts[0]} {parts[1]} {parts[2]} else {parts[3]})"
        ),
    )


numbers = st.recursive(_leaves, _wider, max_leaves=5)

conditions = st.recursive(
    st.one_of(
        st.tuples(numbers, _COMPARISONS, numbers).map(" ".join),
        st.tuples(numbers, _COMPARISONS, numbers, _COMPARISONS, numbers).map(" ".join),
        numbers.map(lambda text: f"({text}) not in xs"),
        st.sampled_from(["xs", "ys", "total", "xs == ys", "xs < ys", "True", "None"]),
    ),
    lambda inner: st.one_of(
        inner.map(lambda text: f"not ({text})"),
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(lambda p: f"(({p[0]}){p[1]}({p[2]}))"),
    ),
    max_leaves=3,
)

lists = st.one_of(
    st.sampled_from(["xs", "ys", "[]", "sorted(ys)", "list(range(n))", "ys + xs", "xs * 2", "xs[::-1]", "ys[1:]"]),
    st.tuples(numbers, numbers).map(lambda parts: f"[{parts[0]}, {parts[1]}]"),
    st.tuples(numbers, numbers).map(lambda parts: f"xs[{parts[0]}:{parts[1]}]"),
    st.tuples(numbers, conditions).map(lambda parts: f"[{parts[0]} for i in xs if {parts[1]}]"),
)

_simple = st.one_of(
    numbers.map(lambda text: f"total = {text}"),
    st.tuples(_SIGNS, numbers).map(lambda parts: f"total {parts[0]}= {parts[1]}"),
    lists.map(lambda text: f"ys = {text}"),
    lists.map(lambda text: f"ys += {text}"),
    st.just("ys *= 2"),
    numbers.map(lambda text: f"ys.append({text})"),
    st.tuples(numbers, numbers).map(lambda parts: f"ys[{parts[0]}] = {parts[1]}"),
    st.tuples(numbers, numbers).map(lambda parts: f"ys[{parts[0]}] -= {parts[1]}"),
    st.sampled_from(["break", "continue", "pass", "return total", "return ys", "return xs"]),
)


def _indented(statements):
    return "\n".join("    " + line for statement in statements for line in statement.splitlines())


def _compound(inner):
    block = st.lists(inner, min_size=1, max_size=3).map(_indented)
    return st.one_of(
        st.tuples(conditions, block, block).map(lambda p: f"if {p[0]}:\n{p[1]}\nelse:\n{p[2]}"),
        st.tuples(lists, block).map(lambda p: f"for i in {p[0]}:\n{p[1]}"),
        st.tuples(numbers, block).map(lambda p: f"for i in range({p[0]}):\n{p[1]}"),
        st.tuples(conditions, block).map(lambda p: f"while {p[0]}:\n{p[1]}\n    total += 1"),
    )


_statements = st.recursive(_simple, _compound, max_leaves=6)

# One round around all: break and continue are right everywhere.
bodies = st.lists(_statements, min_size=1, max_size=4).map(
    lambda statements: "total = 0\nys = [n, 3]\nfor i in range(2):\n" + _indented(statements) + "\nreturn total"
)
