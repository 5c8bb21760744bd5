"""Files written whole or not at all."""

import os
import tempfile
from pathlib import Path

from hwbase import InputError


def write_text(text: str, path: str | Path) -> Path:
    """Write `text` to `path` by way of a temporary file beside it, and return the path.

    Raises `InputError` if it cannot be written; then nothing is left behind and an older file stays as it was.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(f"cannot write {str(target)!r}: it is a folder")
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(text)
        # Temporary files are private; the result is an ordinary file.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise InputError(f"cannot write {str(target)!r}: {error.strerror}") from None
    return target
