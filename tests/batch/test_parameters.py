import pytest

from lib.batch.errors import PlanError
from lib.batch.parameters import Parameter, read_parameters
from tests.batch.tree import new_checkout, write_cells, write_notebook


@pytest.fixture
def read(tmp_path):
    checkout = new_checkout(tmp_path)
    return lambda source: read_parameters(write_notebook(checkout, "01_x", parameters=source), "01_x")


def test_a_line_becomes_a_parameter_with_its_help(read):
    declared = read('seed: int = 3  # of the generator\nname: str = "a # b"\n\nrates: list[float] | None = None')
    assert list(declared) == ["seed", "name", "rates"]
    assert declared["seed"] == Parameter("seed", "int", 3, "of the generator")
    assert declared["name"] == Parameter("name", "str", "a # b", "")
    assert declared["rates"].default is None


def test_nothing_in_the_cell_is_executed(read, tmp_path):
    with pytest.raises(PlanError, match="plain value"):
        read(f"seed: int = open({str(tmp_path / 'made')!r}, 'w').write('x')")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("declaration", "given", "taken"),
    [
        ("x: float = 0.5", 1, 1.0),
        ("x: float = 1", 2.5, 2.5),
        ("x: float | int = 0.5", 1, 1),
        ("x: int | None = None", None, None),
        ("x: list[float] = []", [1, 2.5], [1.0, 2.5]),
        ("x: dict[str, int] = {}", {"a": 1}, {"a": 1}),
        ("x: bool = False", True, True),
    ],
)
def test_a_value_of_the_declared_type_is_taken(read, declaration, given, taken):
    value = read(declaration)["x"].value(given)
    assert (value, type(value)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("declaration", "given", "message"),
    [
        ("x: int = 0", True, r"declared int, found True \(bool\)"),
        ("x: int = 0", 1.0, "declared int"),
        ("x: bool = False", 1, "declared bool"),
        ("x: str = ''", 1, "declared str"),
        ("x: float = 0.0", "1e-4", r"write 1\.0e-4"),
        ("x: float = 0.0", "1.5e5", r"write 1\.5e\+5"),
        ("x: float = 0.0", float("nan"), "declared float"),
        ("x: list[int] = []", [1, "a"], r"declared list\[int\]"),
        ("x: dict[str, int] = {}", {1: 1}, "declared dict"),
        ("x: int | None = None", "a", r"declared int \| None"),
    ],
)
def test_a_value_of_another_type_is_refused(read, declaration, given, message):
    with pytest.raises(PlanError, match=message):
        read(declaration)["x"].value(given)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("seed = 0", "line 1: found `seed = 0`"),
        ("import os", "found `import os`"),
        ("seed: int", "found `seed: int`"),
        ("seed: int = 'a'", "the default does not fit"),
        ("a: int = 0\nseed: tuple[int] = (1,)", "line 2: type"),
        ("seed: int = ", "line 1"),
        ("seed: int = 0\nseed: int = 1", "declared twice"),
    ],
)
def test_anything_but_declarations_is_refused_by_line(read, source, message):
    with pytest.raises(PlanError, match=message):
        read(source)


@pytest.mark.parametrize("count", [0, 2])
def test_exactly_one_cell_must_carry_the_tag(tmp_path, count):
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "seed: int = 0", "outputs": []}
    write_cells(tmp_path / "x.ipynb", [cell] * count)
    with pytest.raises(PlanError, match=f"found {count}"):
        read_parameters(tmp_path / "x.ipynb", "x.ipynb")


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    (tmp_path / "x.ipynb").write_text("{")
    with pytest.raises(PlanError, match=r"x\.ipynb: not a notebook"):
        read_parameters(tmp_path / "x.ipynb", "x.ipynb")
