"""Whether the code that a record depends on is still what it was."""

from collections.abc import Iterable

from lib.checkout import Checkout
from lib.ledger.evidence import Kept
from lib.ledger.fingerprint import notebook_code_hash, sources
from lib.ledger.provenance import lock_hash


class Freshness:
    """Compares records with a checkout as it stands; each notebook is read once an instance."""

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout
        self._present: dict[str, dict[str, str]] = {}
        self._lock = lock_hash(checkout)

    def changed(self, kept: Kept) -> tuple[str, ...]:
        """Return the files of code that were changed, added or deleted since, relative to the root, sorted.

        A file that is still there and no longer reached does not count: as all that is reached is what it was, it had
        no part in the result. The lock is left out: it changes often and rarely a result; `notes` mentions it.
        """
        provenance, name = kept.record.provenance, f"notebooks/{kept.record.notebook}.ipynb"
        now = self._code(kept.record.notebook, name)
        if provenance is None or not now:
            return (name,)
        then = {**provenance.sources, name: provenance.notebook_hash}
        deleted = {path for path in then.keys() - now.keys() if not (self._checkout.root / path).is_file()}
        return tuple(sorted(deleted | {path for path in now if then.get(path) != now[path]}))

    def is_current(self, kept: Kept) -> bool:
        """Tell whether a record was measured by the code as it stands."""
        return not self.changed(kept)

    def notes(self, evidence: Iterable[Kept]) -> tuple[str, ...]:
        """Return what is to be known of the evidence besides its age."""
        provenances = [each.record.provenance for each in evidence if each.record.provenance]
        notes = []
        if any(each.lock_hash != self._lock for each in provenances):
            notes.append("measured with another requirements.lock")
        if any(each.dirty for each in provenances):
            notes.append("measured with changes that were not committed")
        return tuple(notes)

    def _code(self, notebook: str, name: str) -> dict[str, str]:
        if notebook not in self._present:
            path = self._checkout.notebooks / f"{notebook}.ipynb"
            try:
                now = {**sources(path, self._checkout), name: notebook_code_hash(path)}
            except (OSError, ValueError):  # gone, or no notebook any more
                now = {}
            self._present[notebook] = now
        return self._present[notebook]
