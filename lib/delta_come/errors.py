"""The one error of this room."""


class DeltaError(Exception):
    """A delta can't be taken, compressed, stored or served; the message names what is wrong and how to mend it."""
