"""Every notebook keeps the rules, and each rule finds the fault that it is for."""

import json

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lib import catalogue, ledger
from tests.notebooks.hygiene import SECTIONS, faults

NOTEBOOKS = catalogue.notebooks()
CLAIMS = {row.id for row in ledger.board(fresh=False).rows}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_a_notebook_keeps_the_rules(notebook):
    assert faults(notebook.path) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_every_claim_that_a_notebook_names_exists(notebook):
    assert set(notebook.claims) <= CLAIMS


@pytest.mark.parametrize("notebook", [one for one in NOTEBOOKS if one.paper], ids=lambda notebook: notebook.name)
def test_a_papers_notebook_is_numbered_and_says_which_claims_it_measures(notebook):
    assert notebook.path.name[:2].isdigit() and notebook.path.name[2] == "_"
    assert notebook.claims


def good() -> dict:
    parameters = new_code_cell("seed: int = 0  # of the matrices", execution_count=1, metadata={"tags": ["parameters"]})
    cells = [
        new_markdown_cell("# Title"),
        *(new_markdown_cell(f"## {section}") for section in SECTIONS[:2]),
        parameters,
    ]
    cells += [new_code_cell("1 + 1", execution_count=2), *(new_markdown_cell(f"## {one}") for one in SECTIONS[2:])]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.loads(json.dumps(new_notebook(cells=cells, metadata=metadata)))


def written(book, tmp_path):
    path = tmp_path / "01_show_it.ipynb"
    path.write_text(json.dumps(book))
    return path


def test_a_good_notebook_has_no_faults(tmp_path):
    assert faults(written(good(), tmp_path)) == []


def code(source, **changes):
    return json.loads(json.dumps(new_code_cell(source, execution_count=3))) | changes


def shown(**changes):
    return [json.loads(json.dumps(new_output(**changes)))]


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        (json.loads(json.dumps(new_markdown_cell("# Another"))), "headings of the first level"),
        (json.loads(json.dumps(new_markdown_cell("## Next"))), "the fixed sections"),
        (code("x = 1", execution_count=7), "not those of one clean run"),
        (code("x = 1", execution_count=None), "not those of one clean run"),
        (code("class A: pass"), "a class, A"),
        (code("def f():\n" + "    x = 1\n" * 13), "a function of over 12 lines"),
        (code("x = 1\n" * 17), "a cell of 17 lines"),
        (code("open('/home/me/data')"), "an absolute path"),
        (code("1", outputs=shown(output_type="stream", text="see /tmp/abc")), "an absolute path"),
        (code("1", outputs=shown(output_type="stream", name="stderr", text="a warning")), "standard error"),
        (code("1", outputs=shown(output_type="error", ename="KeyError", evalue="", traceback=[])), "a stored error"),
        (code("x: int = 1  # help", metadata={"tags": ["parameters"]}), "2 cells are tagged"),
    ],
)
def test_a_fault_is_found(cell, fault, tmp_path):
    book = good()
    book["cells"].insert(5, cell)
    assert any(fault in found for found in faults(written(book, tmp_path)))


def test_a_parameter_without_type_or_help_is_found(tmp_path):
    book = good()
    book["cells"][3]["source"] = "seed = 0"
    assert any("not `name: type = default  # help`" in found for found in faults(written(book, tmp_path)))


def test_another_kernel_is_found(tmp_path):
    book = good()
    book["metadata"]["kernelspec"]["name"] = "my-env"
    assert any("my-env" in found for found in faults(written(book, tmp_path)))
