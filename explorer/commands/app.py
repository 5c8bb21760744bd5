"""The `hwsim` command. Exit status: 0 success, 1 a comparison failed, 2 bad input, 130 interrupted."""

import os
import sys
from typing import NoReturn

from hwbase import InputError

BAD_INPUT = 2
INTERRUPTED = 130
#: Set by a shell that asks how to go on with a line.
_COMPLETE = "_HWSIM_COMPLETE"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input ends in one sentence on standard error and exit status 2."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        status = _run(given)
    except InputError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has gone; there is nobody left to tell.
        sys.stderr.close()
        status = 0
    sys.exit(status)


def _run(given: list[str]) -> int:
    """Return the exit status of a command. What needs no parser answers without importing one."""
    first = given[0] if given else "--help"
    if _COMPLETE not in os.environ and first == "--version":
        import hwsim

        sys.stdout.write(f"hwsim {hwsim.__version__}\n")
        return 0
    if _COMPLETE not in os.environ and first == "--help":
        from explorer.commands.overview import show_overview

        show_overview()
        return 0
    from explorer.commands.parser import run

    return run(given)


def _fail(message: str, status: int = BAD_INPUT) -> NoReturn:
    sys.stderr.write(f"hwsim: {message}\n")
    sys.exit(status)
