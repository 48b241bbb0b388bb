import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lib.batch.report.cells import read_notebook, render_cells
from lib.batch.report.external import external_references
from lib.batch.report.page import run_page
from lib.batch.report.prose import Place
from lib.batch.run import CellError, RunStatus
from lib.checkout import Checkout
from tests.batch.report import samples


def page_of(tmp_path, *cells, status=RunStatus.DONE, error=None, executed=None):
    checkout = Checkout(tmp_path)
    (checkout.notebooks / "onebit").mkdir(parents=True, exist_ok=True)
    executed = new_notebook(cells=list(cells)) if executed is None else executed
    folder = samples.write_run(checkout, samples.a_run(), samples.an_outcome(status, error=error), executed)
    return run_page(folder, checkout)


def code(source="x", *outputs, **more):
    return new_code_cell(source, outputs=list(outputs), execution_count=1, **more)


def shown(**data):
    kinds = {
        "png": "image/png",
        "html": "text/html",
        "plain": "text/plain",
        "latex": "text/latex",
        "svg": "image/svg+xml",
    }
    return new_output("display_data", {kinds.get(name, name): value for name, value in data.items()})


def test_the_title_is_the_notebooks_heading(tmp_path):
    page = page_of(tmp_path, new_markdown_cell("# Count $b$its\n\ntext"))
    assert page.title == "Count bits"
    assert page.html.count("<h1") == 1


def test_a_notebook_without_a_heading_is_titled_by_its_name(tmp_path):
    assert "<h1>01 separate sign and value</h1>" in page_of(tmp_path, code()).html


def test_contents_link_to_headings_whose_anchors_are_their_words(tmp_path):
    html = page_of(tmp_path, new_markdown_cell("# T\n\n## What it *shows*\n\n## Next\n\n### Next")).html
    assert re.findall(r'<li class="level-(\d)"><a href="#([^"]+)">', html) == [
        ("2", "what-it-shows"),
        ("2", "next"),
        ("3", "next-2"),
    ]
    assert '<h3 id="next-2">' in html


def test_the_cell_that_records_has_the_anchor_that_verdicts_link_to(tmp_path):
    html = page_of(tmp_path, new_markdown_cell("## record"), code("# ledger.record(x)"), code("ledger.record(m)")).html
    assert re.findall(r'<section class="cell[^"]*" id="([^"]+)"', html) == ["cell-0", "cell-1", "record"]
    assert html.count('id="record"') == 1


def test_code_is_folded_and_parameters_are_open(tmp_path):
    tagged = [code("seed: int = 0", metadata={"tags": [tag]}) for tag in ("parameters", "injected-parameters")]
    html = page_of(tmp_path, code("import x"), *tagged).html
    assert re.findall(r"<details class=\"source\"( open)?", html) == ["", " open", " open"]
    assert "Parameters and their defaults" in html
    assert "Parameters of this run" in html


def test_code_has_its_colours(tmp_path):
    html = page_of(tmp_path, code('def f(x: int):  # why\n    return f"{x} < 2" and 3')).html
    found = re.search(r"<code>(def.*|<span.*?)</code>", html, re.DOTALL)[1]
    assert found == (
        '<span class="k">def</span> <span class="f">f</span>(x: <span class="b">int</span>):  '
        '<span class="c"># why</span>\n'
        '    <span class="k">return</span> <span class="s">f"</span><span class="d">{</span>x<span class="d">}</span>'
        '<span class="s"> &lt; 2"</span> <span class="k">and</span> <span class="m">3</span>'
    )


def test_code_in_an_unknown_language_is_plain(tmp_path):
    assert "<code>a &lt; b</code>" in page_of(tmp_path, new_markdown_cell("```nolang\na < b\n```")).html


def test_parameters_that_the_batch_sets_are_marked(tmp_path):
    html = page_of(tmp_path, code()).html
    assert re.findall(r'<li( class="given")?><span class="mono">(.*?)</span>', html) == [
        (' class="given"', "seed = 0"),
        ("", "rank = 1"),
        ("", "note = None"),
    ]


@pytest.mark.parametrize(
    ("output", "metadata"),
    [
        (new_output("display_data", {"image/png": ""}, metadata={"image/png": {"alt": "It falls."}}), {}),
        (new_output("display_data", {"image/png": ""}, metadata={"alt": "It falls."}), {}),
        (shown(png="", plain="[figure: It falls.]"), {}),
        (shown(png=""), {"alt": "It falls."}),
        (shown(html='<img src="data:image/png;base64," alt="It falls.">'), {}),
    ],
    ids=["metadata of the picture", "metadata", "plain text", "metadata of the cell", "html"],
)
def test_a_figure_has_the_alt_text_that_was_published(tmp_path, output, metadata):
    assert 'alt="It falls."' in page_of(tmp_path, code("f()", output, metadata=metadata)).html


def test_a_figure_without_alt_text_is_described_by_what_stands_below(tmp_path):
    output = new_output("stream", name="stdout", text="largest:\n0.38")
    assert (
        'alt="Figure; the text below it says: largest: 0.38"'
        in page_of(tmp_path, code("f()", shown(png=""), output)).html
    )


def test_a_figure_keeps_its_place_while_the_page_loads(tmp_path):
    html = page_of(tmp_path, code("f()", shown(png=samples.picture()))).html
    assert 'width="770" height="374"' in html


def test_formulas_also_in_tables_lists_and_html_are_mathml(tmp_path):
    text = "| a |\n|---|\n| $|W|$ |\n\n- \\(x\\)\n\n<p>$y$</p>\n\n`$z$`"
    html = page_of(tmp_path, new_markdown_cell(text), code("f()", shown(latex="$\\displaystyle q$"))).html
    assert html.count("<math") == 4
    assert "<code>$z$</code>" in html


def test_a_formula_that_cannot_be_shown_is_a_fault_with_its_source_in_the_page(tmp_path):
    page = page_of(tmp_path, new_markdown_cell(r"so $\nonsense$"))
    assert len(page.faults) == 1
    assert r"\nonsense" in page.faults[0]
    assert r"$\nonsense$</code>" in page.html


def test_tables_stand_in_a_box_that_scrolls(tmp_path):
    html = page_of(tmp_path, new_markdown_cell("| a |\n|---|\n| 1 |"), code("t", shown(html=samples.TABLE))).html
    assert len(re.findall(r'<div class="table[^"]*">\s*<table', html)) == 2


def test_a_failed_run_shows_its_cell_and_error_above_what_ran(tmp_path):
    error = CellError(1, "ValueError", "got <7>", "Traceback\nline")
    cells = [code("a = 1"), code("a / 0", new_output("error", ename="ValueError", evalue="got <7>", traceback=["T"]))]
    html = page_of(tmp_path, *cells, status=RunStatus.FAILED, error=error).html
    assert '<a href="#cell-1">cell [1]</a>' in html
    assert "ValueError: got &lt;7&gt;" in html
    assert 'class="cell failed" id="cell-1"' in html
    assert "Traceback\nline" in html


def test_papermills_own_notes_on_a_failure_are_left_out(tmp_path):
    notes = [new_markdown_cell("An Exception", metadata={"tags": ["papermill-error-cell-tag"]}) for _ in range(2)]
    error = CellError(0, "E", "m")
    html = page_of(tmp_path, notes[0], notes[1], code("a / 0"), status=RunStatus.FAILED, error=error).html
    assert "An Exception" not in html
    assert 'class="cell failed" id="cell-0"' in html


@pytest.mark.parametrize("status", [RunStatus.TIMED_OUT, RunStatus.DIED, RunStatus.INTERRUPTED])
def test_a_run_that_left_no_notebook_has_a_page_that_says_so(tmp_path, status):
    checkout = Checkout(tmp_path)
    folder = samples.write_run(checkout, samples.a_run(), samples.an_outcome(status))
    html = run_page(folder, checkout).html
    assert "No notebook is shown: notebook.ipynb cannot be read" in html
    assert f"</svg>{status}</span>" in html
    assert '<a href="log.txt">Log</a>' in html


def test_a_damaged_notebook_has_a_page_too(tmp_path):
    checkout = Checkout(tmp_path)
    folder = samples.write_run(checkout, samples.a_run(), samples.an_outcome(RunStatus.DIED))
    (folder / "notebook.ipynb").write_text('{"cells": [')
    assert "No notebook is shown" in run_page(folder, checkout).html


def test_a_notebook_that_cannot_be_rendered_is_a_fault_of_its_own_page(tmp_path):
    page = page_of(tmp_path, new_markdown_cell("![x](attachment:gone.png)"))
    assert "gone.png" in page.html
    assert [fault.partition(" (")[0] for fault in page.faults] == ["its cells cannot be shown"]


def test_links_between_notebooks_lead_to_their_runs_in_the_index(tmp_path):
    other = tmp_path / "notebooks" / "onebit" / "02_x.ipynb"
    other.parent.mkdir(parents=True)
    nbformat.write(new_notebook(), other)
    (tmp_path / "README.md").write_text("x")
    html = page_of(
        tmp_path, new_markdown_cell("[a](02_x.ipynb) [b](../../README.md#c) [d](https://e.org) [f](#g)")
    ).html
    assert re.findall(r'<a href="([^"]+)">[abdf]<', html) == [
        "../../../../index.html#onebit/02_x",
        "../../../../../README.md#c",
        "https://e.org",
        "#g",
    ]


def test_links_in_outputs_lead_there_too(tmp_path):
    (tmp_path / "README.md").write_text("x")
    html = page_of(tmp_path, code("t", shown(html="<a class='x' href='../../README.md'>a</a>"))).html
    assert "<a class='x' href=\"../../../../../README.md\">a</a>" in html


def test_pictures_of_the_notebooks_folder_are_embedded_and_missing_ones_are_a_fault(tmp_path):
    folder = tmp_path / "notebooks" / "onebit"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"\x89PNG")
    page = page_of(tmp_path, new_markdown_cell("![here](a.png) ![gone](b.png)"))
    assert 'src="data:image/png;base64,' in page.html
    assert page.faults == ("refers to something outside the page (img src: b.png); embed it",)


def test_widgets_and_scripts_show_their_plain_text(tmp_path):
    widget = shown(**{"application/vnd.jupyter.widget-view+json": {}, "application/javascript": "go()"}, plain="8 of 8")
    html = page_of(tmp_path, code("w", widget)).html
    assert "8 of 8" in html
    assert "go()" not in html


def test_printed_text_is_escaped_and_keeps_its_colours(tmp_path):
    html = page_of(tmp_path, code("p", new_output("stream", name="stdout", text="<b> \x1b[31mred\x1b[0m"))).html
    assert '&lt;b&gt; <span class="ansi-red-fg">red</span>' in html


def test_cells_with_neither_source_nor_output_are_left_out(tmp_path):
    assert "<section" not in page_of(tmp_path, code("")).html


def test_a_page_without_figures_is_small(tmp_path):
    page = page_of(tmp_path, executed=samples.notebook(pictures=False))
    assert len(page.html.encode()) < 150_000


def test_a_long_output_is_cut_with_a_note_that_names_where_the_rest_is(tmp_path):
    page = page_of(tmp_path, code("x", new_output("stream", text="0123456789abcde\n" * 200_000)), code("'short'"))
    assert len(page.html) < 700_000
    note = "cut here: 500 of 3 200 kB are shown; the rest is in notebook.ipynb beside this page, and what was printed"
    assert note in page.html.replace("\u202f", " ")
    assert page.faults == ()


@pytest.mark.parametrize("kind", ["plain", "html", "latex"])
def test_what_is_displayed_at_length_is_cut_too(tmp_path, kind):
    page = page_of(tmp_path, code("x", shown(**{"plain": "p" * 600_000, kind: "q" * 600_000})))
    assert len(page.html) < 700_000
    assert "cut here" in page.html


def test_many_outputs_of_one_cell_are_cut_together(tmp_path):
    outputs = [new_output("display_data", {"text/plain": f"{number:06d}" * 1000}) for number in range(200)]
    page = page_of(tmp_path, code("x", *outputs))
    assert len(page.html) < 700_000
    assert page.html.count("cut here") == 1


def test_pictures_and_short_outputs_are_not_cut(tmp_path):
    html = page_of(tmp_path, code("x", shown(png="A" * 600_000), new_output("stream", text="y" * 400_000))).html
    assert "A" * 600_000 in html and "y" * 400_000 in html
    assert "cut here" not in html


def test_provenance_stands_in_the_footer(tmp_path):
    checkout = samples.sample_checkout(tmp_path)
    run = samples.a_run(seed=1)
    samples.write_record(checkout, run)
    footer = run_page(run.folder(checkout), checkout).html.partition("<footer>")[2]
    for fact in (
        "4150dee0123456789, clean",
        "torch 2.13.0",
        "cpu-x86_64",
        "12.3\u00a0s",
        "0123456789ab",
        "AMD EPYC, 2 cores",
    ):
        assert fact in footer


NOTEBOOKS = [path for path in sorted(Checkout().notebooks.rglob("*.ipynb")) if ".ipynb_checkpoints" not in path.parts]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_repositorys_own_notebooks_can_be_shown_offline(path):
    checkout = Checkout()
    place = Place(path.parent, checkout.runs / "quick" / "x", checkout.notebooks, checkout.index)
    cells = render_cells(read_notebook(path), place)
    assert cells.faults == ()
    assert external_references(cells.html) == []
    assert len(re.sub(r'src="data:[^"]+"', "", cells.html)) < 130_000


def test_no_page_of_a_report_refers_to_anything_outside(report):
    pages = sorted(report.reports.rglob("*.html"))
    assert len(pages) == 7
    assert {
        page.name: external_references(page.read_text()) for page in pages if external_references(page.read_text())
    } == {}


def test_links_between_pages_lead_to_files_and_places_that_exist(report):
    for page in report.reports.rglob("*.html"):
        for address in re.findall(r'href="(?!data:|https?:)([^"]+)"', page.read_text()):
            path, _, fragment = address.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.is_file(), f"{page}: {address}"
            if fragment and target.suffix == ".html":
                assert f'id="{fragment}"' in target.read_text(), f"{page}: {address}"


def test_every_id_of_a_page_is_its_own(report):
    for page in report.reports.rglob("*.html"):
        ids = re.findall(r'\bid="([^"]+)"', page.read_text())
        assert len(ids) == len(set(ids)), page
