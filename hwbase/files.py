"""Files of folders that we keep: plain files only, so that nobody's link leads us elsewhere and no pipe holds us up."""

import os
import stat
from pathlib import Path
from typing import BinaryIO, cast

from hwbase.errors import InputError, shown

#: Never through a link, and never waiting for the other end of a pipe.
_CAREFUL = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_FLAGS = {"rb": os.O_RDONLY, "ab": os.O_RDWR | os.O_CREAT | os.O_APPEND, "xb": os.O_WRONLY | os.O_CREAT | os.O_EXCL}


def open_own(path: Path, mode: str = "rb") -> BinaryIO:
    """Return a file of a folder that we keep, opened to read ("rb"), to add to ("ab") or new ("xb").

    Raises `InputError` for a link, a pipe or a device, and `OSError` as `open` does.
    """
    try:
        descriptor = os.open(path, _FLAGS[mode] | _CAREFUL | _BINARY, 0o666)
    except OSError:
        if path.is_symlink():
            raise InputError(f"{shown(str(path))} is a link: expected a plain file") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{shown(str(path))} is no plain file: expected one")
    return cast(BinaryIO, os.fdopen(descriptor, {"xb": "wb"}.get(mode, mode)))
