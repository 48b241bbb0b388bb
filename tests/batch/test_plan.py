import pytest

from lib.batch.errors import PlanError
from lib.batch.plan import make_plan
from tests.batch.tree import new_checkout, write_batch, write_notebook


@pytest.fixture
def checkout(tmp_path):
    checkout = new_checkout(tmp_path)
    write_notebook(checkout, "01_first", parameters="seed: int = 0\nrate: float = 0.5")
    write_notebook(checkout, "02_second", parameters="model: str = 'tiny'")
    return checkout


def runs(checkout, *arguments, **options):
    return [planned.run for planned in make_plan(checkout, *arguments, **options)]


def test_quick_without_entries_runs_every_notebook_at_its_defaults(checkout):
    found = runs(checkout)
    assert [run.notebook for run in found] == ["demo/01_first", "demo/02_second"]
    assert found[0].parameters == {"seed": 0, "rate": 0.5}
    assert found[0].given == {}


def test_notebooks_of_no_paper_stand_beside_the_papers(checkout):
    (checkout.notebooks / "demo" / "01_first.ipynb").rename(checkout.notebooks / "00_start.ipynb")
    found = runs(checkout)
    assert [(run.notebook, run.paper) for run in found] == [("00_start", ""), ("demo/02_second", "demo")]
    assert found[0].folder(checkout).parent == checkout.runs / "quick"
    assert [run.notebook for run in runs(checkout, paper="demo")] == ["demo/02_second"]


def test_a_grid_gives_a_run_for_each_combination(checkout):
    write_batch(
        checkout,
        "cpu:\n  - notebook: 01_first\n    parameters: {rate: 1}\n    grid: {seed: [0, 1, 2]}\n    threads: 2\n",
    )
    found = runs(checkout, "cpu")
    assert [run.given for run in found] == [{"rate": 1.0, "seed": seed} for seed in range(3)]
    assert {run.threads for run in found} == {2}
    assert len({run.key for run in found}) == 3


def test_the_limit_is_ten_minutes_or_ten_times_the_expected_ones(checkout):
    write_batch(
        checkout,
        "cpu:\n  - {notebook: 01_first, minutes: 30}\n  - {notebook: 02_second, limit_minutes: 3}\n"
        "a:\n  - {notebook: 01_first}\n",
    )
    assert [run.limit_s for run in runs(checkout, "cpu")] == [18000, 180]
    assert runs(checkout, "a")[0].limit_s == 600


@pytest.mark.parametrize("pattern", ["02_*", "demo/02*", "*second"])
def test_only_chooses_notebooks_by_pattern(checkout, pattern):
    assert [run.name for run in runs(checkout, only=pattern)] == ["02_second"]


BAD = {
    "not YAML": ("quick:\n  - notebook: [1\n", "line 3: not YAML"),
    "not a mapping": ("- a\n", "line 1: expected a mapping from profiles"),
    "profile is no list": ("quick: 3\n", "line 1: profile 'quick': expected a list"),
    "profile's name": ("Quick run:\n  - notebook: 01_first\n", "lower-case"),
    "reserved profile": ("records:\n  - notebook: 01_first\n", "not 'records'"),
    "alone is no number": (
        "quick:\n  - {notebook: 01_first, alone: 1}\n",
        "line 2: alone: expected true or false, found 1",
    ),
    "entry without notebook": ("quick:\n  - threads: 1\n", "line 2: an entry without"),
    "unknown setting": (
        "quick:\n  - notebook: 01_first\n    thread: 2\n",
        "line 3: unknown setting 'thread'.*'threads'",
    ),
    "setting twice": (
        "quick:\n  - notebook: 01_first\n    notebook: 02_second\n",
        "line 3: 'notebook' stands here twice",
    ),
    "unknown notebook": ("quick:\n  - notebook: 01_frist\n", "line 2: no notebook '01_frist'; did you mean '01_first'"),
    "unknown parameter": (
        "quick:\n  - notebook: 01_first\n    parameters: {sede: 1}\n",
        "line 2: 01_first has no parameter 'sede'; did you mean 'seed'",
    ),
    "wrong type": (
        "quick:\n  - {notebook: 01_first, parameters: {seed: one}}\n",
        "'seed' is declared int, found 'one'",
    ),
    "wrong type in a grid": ("quick:\n  - {notebook: 01_first, grid: {seed: [0, x]}}\n", "declared int, found 'x'"),
    "wrong type elsewhere": ("cpu:\n  - {notebook: 01_first, parameters: {seed: one}}\n", "found 'one'"),
    "grid without list": ("quick:\n  - {notebook: 01_first, grid: {seed: 1}}\n", "expected a list"),
    "grid and parameters": (
        "quick:\n  - {notebook: 01_first, grid: {seed: [1]}, parameters: {seed: 1}}\n",
        "seed stands in `parameters` and in `grid`",
    ),
    "same run twice": ("quick:\n  - notebook: 01_first\n  - notebook: 01_first\n", "asks twice for demo/01_first"),
    "threads": ("quick:\n  - {notebook: 01_first, threads: 0}\n", "line 2: threads: expected a whole number from 1"),
    "two GPUs": ("quick:\n  - {notebook: 01_first, gpus: 2}\n", "gpus: expected a whole number from 0 to 1"),
    "minutes": ("quick:\n  - {notebook: 01_first, minutes: -1}\n", "minutes above 0"),
    "input outside": ("quick:\n  - {notebook: 01_first, inputs: [../x]}\n", "below the checkout's root"),
    "input missing": ("quick:\n  - {notebook: 01_first, inputs: [data]}\n", "'data' does not exist"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_a_bad_batch_file_is_refused_before_anything_starts(checkout, text, message):
    write_batch(checkout, text)
    with pytest.raises(PlanError, match=message):
        make_plan(checkout)
    assert not checkout.reports.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paper": "dmeo"}, "unknown paper 'dmeo'; did you mean 'demo'"),
        ({"profile": "cpu"}, "unknown profile 'cpu'; known: quick"),
        ({"only": "07*"}, r"matches '07\*'; there are: demo/01_first, demo/02_second"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(checkout, options, message):
    with pytest.raises(PlanError, match=message):
        make_plan(checkout, **options)


def test_a_notebook_without_parameters_cell_is_refused(checkout):
    write_notebook(checkout, "03_third", "1", parameters=None)
    with pytest.raises(PlanError, match=r"notebooks/demo/03_third\.ipynb: expected one code cell tagged 'parameters'"):
        make_plan(checkout)


def test_a_run_with_a_gpu_has_the_gpus_name_in_its_key(checkout):
    write_batch(checkout, "quick:\n  - {notebook: 01_first, gpus: 1}\n")
    assert runs(checkout, gpu_name="A")[0].key != runs(checkout, gpu_name="B")[0].key
