"""What can go wrong with a corpus."""


class CorpusError(ValueError):
    """A source of text cannot be used; the message says what was found, what was expected and how to mend it."""
