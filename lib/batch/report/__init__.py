"""Pages that a person reads: one a run, one a committed record, and the index that opens them.

No request leaves a page: styles, scripts, figures and formulas (MathML) stand in it. The templates lie in `templates/`;
`external_references` checks the result.
"""

from lib.batch.report.build import ReportError, build_report
from lib.batch.report.external import external_references

__all__ = ["ReportError", "build_report", "external_references"]
