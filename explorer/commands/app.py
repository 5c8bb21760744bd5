"""The `hwsim` command. Exit status: 0 success, 1 a comparison failed, 2 bad input, 130 interrupted."""

import os
import sys
from typing import NoReturn

from explorer.commands.streams import abandon, prepare_streams
from hwbase import InputError
from hwbase.errors import brief

BAD_INPUT = 2
INTERRUPTED = 130
#: Set by a shell that requests completions.
_COMPLETE = "_HWSIM_COMPLETE"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input ends in one sentence on standard error and exit status 2."""
    prepare_streams()
    try:
        status = _run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except InputError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has closed it.
        abandon(sys.stdout)
        status = 0
    except OSError as error:
        abandon(sys.stdout)
        _fail(f"cannot read or write {error.filename or 'standard output'}: {error.strerror or error}")
    except RecursionError:
        _fail("the input is nested too deeply: expected fewer levels")
    except MemoryError:
        _fail("not enough memory for this input: expected a smaller one")
    sys.exit(status)


def _run(arguments: list[str]) -> int:
    """Return the exit status of a command. Simple requests are answered without importing a parser."""
    first = arguments[0] if arguments else "--help"
    if _COMPLETE not in os.environ and first == "--version":
        import hwsim

        sys.stdout.write(f"hwsim {hwsim.__version__}\n")
        return 0
    if _COMPLETE not in os.environ and first == "--help":
        from explorer.commands.overview import show_overview

        show_overview()
        return 0
    from explorer.commands.parser import run

    return run(arguments)


def _fail(message: str, status: int = BAD_INPUT) -> NoReturn:
    try:
        sys.stderr.write(f"hwsim: {brief(message)}\n")
        sys.stderr.flush()
    except OSError:
        # There is no place for the message; the status says it.
        abandon(sys.stderr)
    sys.exit(status)
