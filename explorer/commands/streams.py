"""Standard streams that accept any text, or report in one sentence why they cannot."""

import codecs
import errno
import io
import os
import sys
from typing import TextIO


class _Closed(io.TextIOBase):
    """A standard stream that was closed before the program began."""

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _escape(error: UnicodeError) -> tuple[str, int]:
    r"""Write characters outside a stream's encoding as \uXXXX, which JSON reads as the characters."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(units[::2], units[1::2], strict=True)), error.end


def prepare_streams() -> None:
    """Prepare standard output and error for any text, whether closed, in ASCII or without a width."""
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    codecs.register_error("hwsim.escape", _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="hwsim.escape")
    if os.environ.get("COLUMNS", "").strip() in ("0", ""):
        # Some editors and build servers set no width; use 80 columns.
        os.environ.pop("COLUMNS", None)


def abandon(stream: TextIO) -> None:
    """Discard what a standard stream has not written: the reader has closed the pipe, or the disk is full."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        pass
    finally:
        os.close(nowhere)
