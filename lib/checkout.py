"""Where things lie in a checkout of the project.

Whatever reads or writes the tree takes a `Checkout`, so that a test can hand it a temporary one.
"""

from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Checkout:
    """The folders and files of one checkout.

    Attributes:
        root: The folder that holds `notebooks`, `lib` and `reports`; by default the one this file lies in.
    """

    root: Path = _ROOT

    @property
    def notebooks(self) -> Path:
        """The notebooks, one folder a paper."""
        return self.root / "notebooks"

    @property
    def lib(self) -> Path:
        """The import package."""
        return self.root / "lib"

    @property
    def reports(self) -> Path:
        """Pages, runs and records."""
        return self.root / "reports"

    @property
    def records(self) -> Path:
        """Committed evidence: reports/records/<profile>/<paper>/."""
        return self.reports / "records"

    @property
    def runs(self) -> Path:
        """What batches wrote here, ignored by git: reports/runs/<profile>/<paper>/."""
        return self.reports / "runs"

    @property
    def index(self) -> Path:
        """The page that opens the reports."""
        return self.reports / "index.html"

    @property
    def lock(self) -> Path:
        """The pinned environment."""
        return self.root / "requirements.lock"

    def papers(self) -> list[str]:
        """Return the names of the papers: folders of `notebooks` that hold a batch.yaml."""
        return sorted(found.parent.name for found in self.notebooks.glob("*/batch.yaml"))

    def relative(self, path: Path) -> str:
        """Return a path as it stands below the root, with forward slashes."""
        return path.resolve().relative_to(self.root.resolve()).as_posix()
