"""A small checkout with runs of every kind, as a batch would have left them; no kernel is started."""

import base64
import functools
import io
import json
from dataclasses import replace
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from lib.batch.run import BatchEntry, BatchSummary, CellError, Outcome, Run, RunStatus
from lib.checkout import Checkout
from lib.ledger.boards import Board, FreshVerdict, Row
from lib.ledger.claim import Status
from lib.ledger.faults import Fault

PROSE = r"""# Separate sign and value

## What this notebook shows

Claims `onebit.C1` to `onebit.C4`, from section 3.3 and appendix A.1 of the paper: a matrix is split into its signs and
a rank-1 matrix of sizes. See [the next notebook](02_count_the_bits.ipynb), [the paper](https://example.org/paper) and
the variable `$HOME`, which is no formula."""

METHOD = r"""## Method

For $W \in \mathbb{R}^{m \times n}$ the **sign-value-independent decomposition** keeps $\operatorname{Sign}(W)$ and
the best rank-1 approximation $|W| \approx a b^\top$ with $a \in \mathbb{R}^m$ and \(b \in \mathbb{R}^n\):

$$
\begin{aligned}
W &\approx \operatorname{Sign}(W) \odot a b^\top, \\
\left\lVert W - \operatorname{Sign}(W) \odot \tilde a \tilde b^\top \right\rVert_F^2 &\le \lVert W - a b^\top \rVert_F^2
\end{aligned} \tag{4}
$$

- first, the signs: one bit a weight, $W_{\pm1} \in \{-1, +1\}^{m \times n}$;
- then the sizes:
  1. $h \leftarrow a$ on the output side,
  2. $g \leftarrow b$ on the input side.

> The error comes from $|W| \approx a b^\top$ alone.

### Alternatives

| approximation | relative error | bits a weight |
| :--- | ---: | ---: |
| sign $\times$ one scalar, $\hat W = \alpha\,\operatorname{Sign}(W)$ | 0.423 | 1.000 |
| SVID, with $|W| \approx a b^\top$ | **0.372** | 1.043 |
| `2-bit` round to nearest, per row, asymmetric min-max, without groups and without clipping | 0.485 | 2.028 |

```python
signs = torch.where(weight < 0, -1, 1)   # $0$ counts as +1
```"""

TABLE = (
    '<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th></th>'
    + "".join(
        f"<th>{name}</th>" for name in ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    )
    + "</tr></thead><tbody>"
    + "".join(f"<tr><th>block {row}</th>" + "<td>0.3719</td>" * 7 + "</tr>" for row in range(4))
    + "</tbody></table>"
)

CODE = '''from lib import ledger, plotting

@torch.no_grad()
def relative_error(weight: torch.Tensor, approximation: torch.Tensor) -> float:
    """Squared Frobenius error over squared norm."""
    # float64: 10⁸ squares in float32 lose the fourth digit
    return float(((weight - approximation).double() ** 2).sum() / (weight.double() ** 2).sum())

errors = {name: relative_error(w, svid(w, steps=8)) for name, w in layers.items() if "proj" in name}
print(f"{len(errors)} matrices, mean {np.mean(list(errors.values())):.4f}")'''

COLOURS = ("red", "green", "yellow", "blue", "magenta", "cyan")
ANSI = " ".join(f"\x1b[{code}m{name}\x1b[0m" for code, name in enumerate(COLOURS, 31))
LONG_LINE = "tensor([" + ", ".join(f"{number / 7:.4f}" for number in range(40)) + "])"


@functools.cache
def picture() -> str:
    """Return a figure in the house style, PNG in base64."""
    from matplotlib.figure import Figure

    from lib import plotting

    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(30), [0.36 + 0.02 * ((7 * block) % 5) / 5 for block in range(30)], color=plotting.COLOURS[0])
    plotting.paper_value(axes, 0.37, "paper: 0.37")
    axes.set(xlabel="block", ylabel="relative squared error", title="SVID")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return base64.b64encode(buffer.getvalue()).decode()


def notebook(pictures=True, fails=False):
    """Return an executed notebook of the house's shape."""
    figure = new_output(
        "display_data",
        {"image/png": picture() if pictures else "", "text/plain": "[figure: x]"},
        metadata={"image/png": {"alt": "Relative error by block; it stays between 0.36 and 0.38."}},
    )
    cells = [
        new_markdown_cell(PROSE),
        new_markdown_cell("## Parameters"),
        new_code_cell(
            "seed: int = 0  # random seed\nrank: int = 1", metadata={"tags": ["parameters"]}, execution_count=1
        ),
        new_code_cell("# Parameters\nseed = 1", metadata={"tags": ["injected-parameters"]}, execution_count=2),
        new_markdown_cell(METHOD),
        _code(CODE, 3, _printed("210 matrices, mean 0.3719\n")),
        _code(
            "errors_by_block",
            4,
            new_output("execute_result", {"text/html": TABLE, "text/plain": "…"}, execution_count=4),
        ),
        _code("vector", 5, new_output("execute_result", {"text/plain": LONG_LINE}, execution_count=5)),
        _code("print(coloured)", 6, _printed(ANSI), new_output("stream", name="stderr", text="a warning\n")),
        new_markdown_cell("## Results against the paper\n\nWhere does the error sit?"),
        *(
            [_code("plotting.show(figure, alt=...)", 7, figure, _printed("largest: 0.3779 in block 3\n"))]
            if pictures
            else []
        ),
    ]
    if fails:
        error = new_output(
            "error", ename="ValueError", evalue="rank must be 1, got 7", traceback=["\x1b[31mValueError\x1b[0m: rank"]
        )
        return new_notebook(cells=[*cells, _code("svid(weight, rank=7)", 8, error), new_code_cell("ledger.record(x)")])
    recorded = new_output(
        "execute_result", {"text/html": "<p>Recorded: <b>mean_error</b> 0.3719</p>"}, execution_count=8
    )
    return new_notebook(cells=[*cells, _code("ledger.record(SeparationMetrics(mean_error=0.3719))", 8, recorded)])


def write_run(checkout: Checkout, run: Run, outcome: Outcome, executed=None) -> Path:
    """Write a run's folder and return it."""
    folder = run.folder(checkout)
    folder.mkdir(parents=True)
    run.save(folder)
    if executed is not None:
        nbformat.write(executed, folder / "notebook.ipynb")
    (folder / "log.txt").write_text("a line of the log\n")
    outcome.save(folder)
    return folder


def a_run(name="onebit/01_separate_sign_and_value", seed=0, profile="quick", key="0123456789ab") -> Run:
    paper = name.rpartition("/")[0]
    return Run(name, paper, profile, {"seed": seed, "rank": 1, "note": None}, {"seed": seed}, key)


def an_outcome(status=RunStatus.DONE, seconds=12.3, error=None) -> Outcome:
    return Outcome(status, "2026-11-23T01:20:03+00:00", "2026-11-23T01:20:15+00:00", seconds, error)


def sample_checkout(root: Path) -> Checkout:
    """Return a checkout with five runs: done, done before, failed in a cell, out of time, died without a notebook."""
    checkout = Checkout(root)
    for name in (
        "onebit/01_separate_sign_and_value",
        "onebit/02_count_the_bits",
        "delta_come/02_count_the_bits",
        "00_start_here",
    ):
        path = checkout.notebooks / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook(pictures=False), path)
    room = checkout.lib / "onebit" / "__init__.py"
    room.parent.mkdir(parents=True)
    room.write_text('"""OneBit (Xu et al., NeurIPS 2024): one sign a weight and two vectors.\n\nMore.\n"""\n')
    entries = []
    for run, outcome, executed, cached, before in _sample_runs():
        folder = write_run(checkout, run, outcome, executed)
        previous = (before, outcome.duration_s * 0.8) if before else (None, None)
        entries.append(
            BatchEntry(
                folder.relative_to(checkout.runs).as_posix(), cached, outcome.status, outcome.duration_s, *previous
            )
        )
    machine = {
        "processor": "AMD EPYC",
        "cores": 2,
        "memory_gb": 25.2,
        "gpus": [],
        "python": "3.11.7",
        "versions": {"torch": "2.13.0"},
    }
    BatchSummary("quick", "2026-11-23T01:20:00+00:00", "2026-11-23T01:23:12+00:00", 2, tuple(entries), machine).save(
        checkout
    )
    return checkout


def sample_board() -> Board:
    """Return a board with every verdict, stale evidence, fresh evidence, a list of values, and a fault."""
    record = "reports/records/cpu/onebit/01_separate_sign_and_value-0a1b2c3d.json"
    model = "SmolLM2-135M-Instruct"
    tested = {"profile": "cpu", "model": model, "records": (record,)}
    run = "reports/runs/quick/onebit/01_separate_sign_and_value-0123456789ab"
    seen = "mean over 210 matrices 0.3719, below 0.40 in each of 3 seeds"
    fresh = FreshVerdict(
        Status.HOLDS, seen, 0.3722, (0.37, 0.3744), "quick", model, (run,), "2026-11-23T01:20:03+00:00"
    )
    rows = (
        _row("onebit.C1", Status.HOLDS, seen, 0.3719, (0.3702, 0.3741), 0.38, fresh=fresh, **tested),
        _row("onebit.C2", Status.HOLDS, "0 violations among 210 matrices", 0, None, None, **tested),
        _row(
            "onebit.C3",
            Status.HOLDS_IN_DIRECTION,
            "3.8 times smaller, the paper says 10.1",
            3.8,
            None,
            10.1,
            "x",
            **tested,
        ),
        _row("onebit.C4", Status.FAILS, "two of seven sizes do not add up", 2, None, 0, "sizes", **tested),
        _row(
            "onebit.C5",
            Status.INCONCLUSIVE,
            "the interval holds 0",
            0.011,
            (-0.02, 0.04),
            0.15,
            **tested,
            stale=("lib/onebit/svid.py",),
        ),
        _row("onebit.C6", Status.NOT_MEASURED, "needs a GPU", None, None, (5.2, 7.1), "perplexity"),
        _row("delta_come.C1", Status.NOT_MEASURED, "needs the hub", None, None, None),
    )
    return Board(rows, (Fault("reports/records/cpu/x.json", "its checksum does not match", "measure again"),))


def _row(id_, verdict, reason, measured, interval, paper_value, unit="", **more):
    sentence = "Splitting a matrix into signs and a rank-1 matrix of sizes loses less than rank 1 of the matrix itself."
    place = {"source": "§3.3, Prop. 2", "paper_scale": "LLaMA-7B", "scale": "all 210 matrices of a 135M model"}
    return Row(
        id_,
        id_.partition(".")[0],
        sentence,
        verdict=verdict,
        reason=reason,
        measured=measured,
        interval=interval,
        unit=unit,
        paper_unit=unit,
        paper_value=paper_value,
        **place,
        **more,
    )


def write_record(checkout: Checkout, run: Run) -> Path:
    """Write one record twice, as it stands after `accept`: committed, and in the folder of the run that gave it."""
    metrics = {
        "model": "SmolLM2-135M-Instruct",
        "model_parameters": 134515008,
        "mean_error": 0.37190123,
        "layers": list(range(30)),
        "by_type": {"q_proj": 0.37, "k_proj": 0.377},
        "exact": True,
    }
    device = {"name": "cpu-x86_64", "processor": "AMD EPYC", "cores": 2}
    provenance = {
        "commit": "4150dee0123456789",
        "dirty": False,
        "content": None,
        "lock_hash": "ab12",
        "notebook_hash": "cd34",
        "sources": {},
        "versions": {"torch": "2.13.0"},
        "python": "3.11.7",
        "device": device,
        "started": "2026-11-23T01:20:03+00:00",
        "duration_s": 61.2,
    }
    content = {
        "format": 1,
        "metrics_type": "lib.onebit.metrics.Separation",
        "metrics": metrics,
        "notebook": run.notebook,
        "profile": "cpu",
        "parameters": run.parameters,
        "seed": 1,
        "threads": 1,
        "provenance": provenance,
    }
    committed = checkout.records / "cpu" / "onebit" / "01_separate_sign_and_value-0a1b2c3d.json"
    committed.parent.mkdir(parents=True)
    committed.write_text(json.dumps(content))
    (run.folder(checkout) / "record.json").write_text(committed.read_text())
    return committed


def _sample_runs():
    failed = CellError(
        11, "ValueError", "rank must be 1, got 7", "Traceback (most recent call last):\nValueError: rank must be 1"
    )
    late = CellError(5, "TimeLimit", "the run took longer than its limit of 600 s")
    dead = CellError(None, "DeadKernel", "the kernel ended without a word; out of memory is the usual cause")
    sample = a_run(seed=1)
    yield sample, an_outcome(), notebook(), False, RunStatus.FAILED
    yield replace(sample, key="1" * 12, given={"seed": 0}), an_outcome(seconds=75.2), notebook(), True, RunStatus.DONE
    name = "onebit/02_count_the_bits"
    yield a_run(name), an_outcome(RunStatus.FAILED, 3.0, failed), notebook(fails=True), False, RunStatus.DONE
    timed_out = notebook(pictures=False)
    yield a_run("delta_come/02_count_the_bits"), an_outcome(RunStatus.TIMED_OUT, 600.0, late), timed_out, False, None
    yield a_run("00_start_here"), an_outcome(RunStatus.DIED, 1.0, dead), None, False, None


def _code(source, count, *outputs):
    return new_code_cell(source, execution_count=count, outputs=list(outputs))


def _printed(text):
    return new_output("stream", name="stdout", text=text)
