"""Why a program that a model wrote gave no result."""


class ProgramError(ValueError):
    """A program gave no result; the message says where and why."""


class OutsideSubset(ProgramError):
    """It uses something that the subset does not have, or is no Python at all; nothing of it was run."""


class LimitExceeded(ProgramError):
    """It took more steps, items or bits than it may."""


class RunFailed(ProgramError):
    """It did something that raises an error in Python too, such as a division by zero."""
