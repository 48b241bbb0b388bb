"""Claims, records, provenance and computed verdicts.

A paper's room states `CLAIMS` in its `claims.py` and one `Metrics` a notebook in its `metrics.py`; a notebook makes one
call, `ledger.record(metrics)`; `ledger.board()` judges every claim on the committed records. The ledger finds the rooms
by looking and knows no paper by name.
"""

from lib.ledger.boards import Board, FreshVerdict, Row, board
from lib.ledger.claim import Claim, Part, Status, Verdict
from lib.ledger.faults import Fault, RecordError
from lib.ledger.intervals import Estimate, exact, over_items, over_seeds, proportion
from lib.ledger.metrics import Metrics, timing
from lib.ledger.records import Record, record
from lib.ledger.verdicts import JudgeError, above, agrees, all_of, below, judge, no_violations, not_measured
from lib.ledger.views import to_csv, to_json, to_markdown

__all__ = [
    "Board",
    "Claim",
    "Estimate",
    "Fault",
    "FreshVerdict",
    "JudgeError",
    "Metrics",
    "Part",
    "Record",
    "RecordError",
    "Row",
    "Status",
    "Verdict",
    "above",
    "agrees",
    "all_of",
    "below",
    "board",
    "exact",
    "judge",
    "no_violations",
    "not_measured",
    "over_items",
    "over_seeds",
    "proportion",
    "record",
    "timing",
    "to_csv",
    "to_json",
    "to_markdown",
]
