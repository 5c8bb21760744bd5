"""Files written whole or not at all."""

import os
import tempfile
from pathlib import Path

from hwbase import InputError


def write_text(text: str, path: str | Path) -> Path:
    """Write `text` in UTF-8 to `path`, whole or not at all; return the path. Raises `InputError` as `write_bytes`."""
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"cannot write {str(path)!r}: its text has characters that are not Unicode") from None
    return write_bytes(content, path)


def write_bytes(content: bytes, path: str | Path) -> Path:
    """Write `content` to `path` by way of a temporary file beside it, and return the path.

    Raises `InputError` if it cannot be written; then nothing is left behind and an older file stays as it was.
    """
    temporary = None
    try:
        # Through links to what they point at; a link stays a link.
        target = Path(path).resolve()
        if target.is_dir():
            raise InputError(f"cannot write {str(path)!r}: it is a folder")
        if target.exists() and not target.is_file():
            # A device or a pipe takes what it is given and is never replaced.
            target.write_bytes(content)
            return Path(path)
        with tempfile.NamedTemporaryFile("wb", dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
        # Temporary files are private; the result is an ordinary file.
        temporary.chmod(ordinary_mode(0o666))
        temporary.replace(target)
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror}") from None
    except ValueError:
        raise InputError(f"cannot write {str(path)!r}: expected a path") from None
    finally:
        # Gone already where it became the result; left only when something, an interrupt included, went wrong.
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return Path(path)


def ordinary_mode(mode: int) -> int:
    """Return the permissions that a new file (0o666) or folder (0o777) gets here."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask
