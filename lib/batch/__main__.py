"""Batches from the command line: `python -m lib.batch run|plan|report|accept|reproduce`.

Exit status: 0 all is done; 1 a run is not, see the closing words; 2 nothing was started, the message says why;
130 after Ctrl-C; 141 where the reader of the output has left (`| head`).
"""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.checkout import Checkout

_INTERRUPTED = 130
_NOBODY_READS = 141


def main(arguments: list[str] | None = None, checkout: "Checkout | None" = None) -> int:
    """Carry out one command and return the exit status.

    Args:
        arguments: As typed, without the program's name.
        checkout: Where the notebooks are; None for this one.
    """
    try:
        from lib.batch.commands import carry_out  # here, since Ctrl-C may come while it loads

        status = carry_out(arguments, checkout)
        sys.stdout.flush()  # here, where it is seen that nobody reads
        return status
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # What is left in the buffer goes nowhere, or Python would complain of it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOBODY_READS


if __name__ == "__main__":
    sys.exit(main())
