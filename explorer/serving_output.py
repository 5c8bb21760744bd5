"""The folder of a serving simulation, written whole or not at all."""

import json
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from explorer.figures.serving import timeline_frame
from explorer.output import json_text
from explorer.serving_inside import inside
from explorer.serving_page import Section, render_serving
from explorer.writing import ordinary_mode
from hwbase import InputError
from hwsim.events.recording import Recording
from hwsim.events.results import ServingResult

#: What a folder of ours may hold; only such a folder is replaced.
FILES = ("result.json", "requests.csv", "timeline.csv", "trace.json", "page.html", "comparison.json", "comparison.csv")
#: Characters of a path that a message shows.
_SHOWN = 200


def serving_files(result: ServingResult, command: str, recording: Recording | None = None) -> dict[str, str]:
    """Return the files of one simulation by name: summary, requests, timeline, page, and the trace of a recording."""
    constants = {name: quantity.__dict__ for name, quantity in result.assumptions.items()}
    extra: tuple[Section, ...] = ()
    files: dict[str, str] = {}
    if recording is not None:
        grid = (int(result.assumptions[name].nominal) for name in ("rows", "columns"))
        extra = inside(recording, *grid)
        files["trace.json"] = json.dumps(recording.chrome_trace(), allow_nan=False)
    return files | {
        "result.json": json_text(result.summary() | {"assumptions": constants}),
        "requests.csv": result.to_frame().to_csv(index=False),
        "timeline.csv": timeline_frame(result).to_csv(index=False),
        "page.html": render_serving(result, command, extra),
    }


def check_folder(path: str | Path, known: Collection[str] = FILES) -> Path:
    """Return the folder that `path` names, after checking that results can go there; raises `InputError`.

    A folder that is there already may hold files of the names `known` only.
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
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return folder


def write_folder(path: str | Path, files: Mapping[str, str]) -> Path:
    """Write `files` (name to text) as the folder `path` and return it; an older result there is replaced as a whole.

    Raises `InputError` if that cannot be done; then what was there stays as it was.
    """
    folder = check_folder(path, {*FILES, *files})
    made = None
    try:
        made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        made.chmod(ordinary_mode(0o777))
        for name, text in files.items():
            (made / name).write_text(text, encoding="utf-8")
        if folder.is_dir():
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            folder.replace(old / folder.name)
            try:
                made.replace(folder)
            except OSError:
                (old / folder.name).replace(folder)
                raise
            finally:
                shutil.rmtree(old)
        else:
            made.replace(folder)
    except OSError as error:
        raise InputError(f"--out {str(path)!r}: cannot be written ({error.strerror})") from None
    finally:
        if made is not None and made.is_dir():
            shutil.rmtree(made)
    return folder
