"""Pages that a person reads: one a run, one a committed record, and the index that opens them.

No request leaves a page: styles, scripts, figures and formulas (MathML) stand in it.
"""
