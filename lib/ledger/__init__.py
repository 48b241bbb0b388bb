"""Claims, records, provenance and computed verdicts.

A paper's room states `CLAIMS` in its `claims.py` and one `Metrics` a notebook in its `metrics.py`; a notebook makes one
call, `ledger.record(metrics)`; `ledger.board()` judges every claim on the committed records. The ledger finds the rooms
by looking and knows no paper by name.
"""

from lib.ledger.claim import Claim, Part, Status, Verdict
from lib.ledger.metrics import Metrics, timing

__all__ = ["Claim", "Metrics", "Part", "Status", "Verdict", "timing"]
