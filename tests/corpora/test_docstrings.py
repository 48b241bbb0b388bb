import sys

import pytest

from lib.corpora import CorpusError
from lib.corpora.docstrings import docstrings_of, read_docstrings, version_of

SOURCE = b'''
"""The module."""

class Ring:
    """A ring.

        Indented further.

    Back at the margin.
    """

    if True:
        def turn(self):
            """Turn it."""

def outer():
    "single quoted"
    def inner():
        """Inside."""
    return lambda: """no docstring"""

try:
    pass
except ValueError:
    def fallback():
        """In a handler."""
'''


def test_modules_classes_and_functions_are_found_wherever_they_stand():
    assert dict(docstrings_of(SOURCE)) == {
        "module": "The module.",
        "Ring": "A ring.\n\n    Indented further.\n\nBack at the margin.",
        "Ring.turn": "Turn it.",
        "outer": "single quoted",
        "outer.inner": "Inside.",
        "fallback": "In a handler.",
    }


def test_nothing_of_the_package_is_imported():
    before = set(sys.modules)
    documents = list(read_docstrings("networkx"))
    assert len(documents) > 500
    assert not [name for name in set(sys.modules) - before if name.startswith("networkx")]


def test_each_document_tells_where_it_stands():
    names = [document.name for document in read_docstrings("networkx")]
    assert "networkx/algorithms/centrality/betweenness.py:betweenness_centrality" in names
    assert not [name for name in names if "/tests/" in name]


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(CorpusError, match=r"'no-such-package' is not installed.*requirements\.lock"):
        list(read_docstrings("no-such-package"))


def test_source_that_does_not_parse_is_named():
    with pytest.raises(CorpusError, match=r"broken\.py is not valid Python"):
        list(docstrings_of(b"def (:", "broken.py"))


def test_a_local_build_has_the_version_of_the_release():
    assert "+" not in version_of("torch")
