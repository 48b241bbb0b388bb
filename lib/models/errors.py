"""The one error of this room."""


class ModelError(Exception):
    """A model can't be brought, found or read; the message names it and says how to mend it."""
