"""Files written whole or not at all."""

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwbase import InputError
from hwbase.record import finite

if TYPE_CHECKING:
    import pandas as pd

#: What a spreadsheet takes for the beginning of a formula, and texts that are numbers all the same.
_FORMULAS, _NUMBER = ("=", "+", "-", "@", "\t", "\r"), re.compile(r"[+-]\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")


def write_text(text: str, path: str | Path) -> Path:
    """Write `text` in UTF-8 to `path`, whole or not at all; return the path. Raises `InputError` as `write_bytes`."""
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(f"cannot write {str(path)!r}: its text has characters that are not Unicode") from None
    return write_bytes(content, path)


def write_bytes(content: bytes, path: str | Path) -> Path:
    """Write `content` to `path` through a temporary file beside it, and return the path.

    Raises `InputError` if it cannot be written; then an existing file stays unchanged and nothing is left behind.
    """
    temporary = None
    try:
        # Follow links to their target; a link stays a link.
        target = Path(path).resolve()
        if target.is_dir():
            raise InputError(f"cannot write {str(path)!r}: it is a folder")
        if target.exists() and not target.is_file():
            # A device or a pipe is written directly, never replaced.
            target.write_bytes(content)
            return Path(path)
        remove_leftovers(target)
        with tempfile.NamedTemporaryFile("wb", dir=target.parent, prefix=_prefix(target), delete=False) as file:
            temporary = Path(file.name)
            _lock(file.fileno())
            file.write(content)
        # Temporary files are private; give the result ordinary permissions.
        temporary.chmod(ordinary_mode(0o666))
        temporary.replace(target)
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror}") from None
    except ValueError:
        raise InputError(f"cannot write {str(path)!r}: expected a path") from None
    except RuntimeError:
        # Python before 3.13 raises this for circular links.
        raise InputError(f"cannot write {str(path)!r}: its links go round in a circle") from None
    finally:
        # The file is gone if it became the result; otherwise an error or an interrupt came first.
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return Path(path)


def ordinary_mode(mode: int) -> int:
    """Return the permissions of a new file (0o666) or folder (0o777) under the current umask."""
    mask = os.umask(0)
    os.umask(mask)
    return mode & ~mask


#: Files that a result folder may hold; only such a folder is replaced.
FILES = ("result.json", "requests.csv", "timeline.csv", "trace.json", "page.html", "comparison.json", "comparison.csv")


#: The result that a writer replaces, in its folder beside it.
_OLD = "old"
#: Characters of a path in a message.
_SHOWN = 200


def check_folder(path: str | Path, known: Collection[str] = FILES) -> Path:
    """Return the folder `path` after checking that results can be written there. Raises `InputError`.

    An existing folder may hold files of the names `known` only.
    """
    where = f"--out {str(path)[:_SHOWN]!r}"
    try:
        folder = Path(path).resolve()
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{where} is a file: expected a folder to write")
        if folder.is_dir() and (others := sorted(p.name for p in folder.iterdir() if p.name not in known)):
            raise InputError(f"{where} holds {others[0]!r}: expected a new folder, or an older result of hwsim")
        if not folder.parent.is_dir():
            raise InputError(f"{where}: {str(folder.parent)!r} is not a folder")
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{where}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return folder


def write_folder(path: str | Path, files: Mapping[str, str]) -> Path:
    """Write `files` (name to text) as the folder `path` and return it; an older result there is replaced as a whole.

    Raises `InputError` if that fails; an existing folder then stays unchanged.
    """
    folder = check_folder(path, {*FILES, *files})
    try:
        remove_leftovers(folder)
        with _beside(folder) as scratch:
            new, old = scratch / "new", scratch / _OLD
            new.mkdir()
            for name, text in files.items():
                (new / name).write_text(text, encoding="utf-8")
            if folder.is_dir():
                folder.replace(old)
            try:
                new.replace(folder)
            except OSError:
                if old.is_dir():
                    old.replace(folder)
                raise
    except OSError as error:
        raise InputError(f"--out {str(path)!r}: cannot be written ({error.strerror})") from None
    return folder


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target`, locked while it is in use and removed at the end."""
    made = Path(tempfile.mkdtemp(dir=target.parent, prefix=_prefix(target)))
    descriptor = None
    try:
        with contextlib.suppress(OSError):  # systems that do not open folders
            descriptor = os.open(made, os.O_RDONLY)
            _lock(descriptor)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def remove_leftovers(target: Path) -> None:
    """Remove what writers of `target` left beside it that were killed; one that still writes holds a lock on its own.

    A result that a writer had moved aside, and not yet replaced, goes back to its place.
    """
    for left in target.parent.iterdir():
        if not left.name.startswith(_prefix(target)) or not _is_abandoned(left):
            continue
        if (left / _OLD).is_dir() and not target.exists():
            (left / _OLD).replace(target)
        with contextlib.suppress(OSError):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _prefix(target: Path) -> str:
    return f".{target.name}.hwsim-"


def _is_abandoned(path: Path) -> bool:
    """Whether a file or folder of a writer is ours and locked by nobody; never where the system has no locks."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Return whether the lock of an open file was free, which is now held until the file is closed."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def csv_text(frame: "pd.DataFrame") -> str:
    """Return a frame as CSV that a spreadsheet shows and never runs.

    Names and texts that begin like a formula (=, +, -, @, a tab or a carriage return) have a ' before them.
    """
    safe = frame.copy(deep=False)
    for at, kind in enumerate(frame.dtypes):
        if kind.kind not in "biufcmM":
            safe.isetitem(at, frame.iloc[:, at].astype(object).map(_inert).to_numpy())
    safe.columns = [_inert(name) for name in frame.columns]
    return safe.to_csv(index=False)


def _inert(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    runs = cell.startswith(_FORMULAS) and not _NUMBER.fullmatch(cell)
    # A carriage return alone would begin a line.
    return ("'" if runs else "") + cell.replace("\r\n", "\n").replace("\r", "\n")


def json_text(data: Any) -> str:
    """Return `data` as strict JSON; numbers that are not finite become null."""
    return json.dumps(finite(data), indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
