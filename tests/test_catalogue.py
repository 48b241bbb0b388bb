"""The catalogue reads titles and claims from the notebooks themselves."""

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from lib import catalogue
from lib.checkout import Checkout


@pytest.fixture
def checkout(tmp_path):
    for name, text in {
        "00_start_here": "# Start here",
        "toy/02_second": "# Second\n\nIt measures toy.C2 and toy.C1, as toy.C2 says; numpy.C1 is no claim.",
        "toy/01_first": "# First",
    }.items():
        path = tmp_path / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(new_notebook(cells=[new_markdown_cell(text)]), path)
    (tmp_path / "notebooks/toy/batch.yaml").write_text("quick: []")
    return Checkout(tmp_path)


def test_notebooks_come_in_reading_order(checkout):
    assert [one.name for one in catalogue.notebooks(checkout)] == ["00_start_here", "toy/01_first", "toy/02_second"]


def test_a_notebook_knows_its_title_paper_and_claims(checkout):
    second = catalogue.notebooks(checkout)[2]
    assert (second.title, second.paper, second.claims) == ("Second", "toy", ("toy.C2", "toy.C1"))


def test_checkpoints_of_jupyter_are_no_notebooks(checkout):
    folder = checkout.notebooks / "toy/.ipynb_checkpoints"
    folder.mkdir()
    (folder / "01_first-checkpoint.ipynb").write_text("{}")
    assert len(catalogue.notebooks(checkout)) == 3


def test_the_contents_link_each_papers_notebooks(checkout):
    table = catalogue.contents(checkout)._repr_html_()
    assert '<a href="toy/01_first.ipynb">' in table and "00_start_here" not in table
