import json

import pytest

from lib.batch.plan import make_plan
from tests.batch.tree import new_checkout, write_batch, write_notebook

MODULE = '"""What it does."""\n\n\ndef double(x):\n    """Return twice x."""\n    return 2 * x\n'


@pytest.fixture
def checkout(tmp_path):
    checkout = new_checkout(tmp_path)
    (checkout.lib / "demo" / "method.py").write_text(MODULE)
    (checkout.lib / "demo" / "unused.py").write_text(MODULE)
    (checkout.root / "data").mkdir()
    (checkout.root / "data" / "table.csv").write_text("1,2\n")
    write_notebook(checkout, "01_x", "from lib.demo import method", "method.double(seed)")
    write_batch(checkout, "quick:\n  - {notebook: 01_x, inputs: [data]}\n")
    return checkout


def key(checkout):
    return make_plan(checkout)[0].run.key


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lib/demo/method.py", "2 * x", "3 * x"),
        ("notebooks/demo/01_x.ipynb", "double(seed)", "double(seed + 1)"),
        ("notebooks/demo/batch.yaml", "01_x,", "01_x, threads: 2,"),
        ("notebooks/demo/batch.yaml", "01_x,", "01_x, parameters: {seed: 1},"),
        ("requirements.lock", "2.0", "2.1"),
        ("data/table.csv", "1", "2"),
    ],
)
def test_what_the_result_depends_on_changes_the_key(checkout, file, old, new):
    before = key(checkout)
    edit(checkout.root / file, old, new)
    assert key(checkout) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lib/demo/method.py", "Return twice x.", "Return x, doubled."),
        ("lib/demo/unused.py", "2 * x", "3 * x"),
        ("notebooks/demo/01_x.ipynb", '"outputs": []', '"outputs": [{"output_type": "stream"}]'),
        ("notebooks/demo/batch.yaml", "01_x,", "01_x, minutes: 3,"),
    ],
)
def test_what_it_does_not_depend_on_leaves_the_key(checkout, file, old, new):
    before = key(checkout)
    edit(checkout.root / file, old, new)
    assert key(checkout) == before


def test_text_cells_leave_the_key(checkout):
    before = key(checkout)
    path = checkout.notebooks / "demo" / "01_x.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"].insert(0, {"cell_type": "markdown", "metadata": {}, "source": "# Title"})
    path.write_text(json.dumps(notebook))
    assert key(checkout) == before
