"""Indexes on disk: a folder of arrays named by their hash, and one manifest that lists the arrays of the index.

Arrays are .npy files without pickle. The manifest is JSON with the size and SHA-256 of each array and of itself. Arrays
are written and synced first; then the manifest is replaced atomically, so an interrupted write leaves the old index
intact; then files that the manifest does not list are removed. Loading checks every file and maps it into memory.
"""

import contextlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from explorer.retrieval.fields import TAG, Field, read_field
from explorer.retrieval.index import Index
from explorer.retrieval.lists import Lists
from explorer.retrieval.segment import Segment
from explorer.writing import ordinary_mode, write_text
from hwbase import InputError
from hwbase.arrays import parse_npy
from hwbase.checksums import file_sum, is_whole, with_sum
from hwbase.errors import shown
from hwbase.files import open_own
from hwbase.parsing import parse_json
from models.binarize import Codec, codec_from_state, codec_state

MANIFEST = "manifest.json"
_FORMAT = "hwsim index"
_VERSION = 1
_ARRAY = re.compile(r"[0-9a-f]{32}\.npy")
#: Files that a folder of an index may hold, those of an interrupted write included.
_OURS = re.compile(r"manifest\.json|[0-9a-f]{32}\.npy|\.manifest\.json\..*|\..*\.part")


def save_index(index: Index, folder: str | Path) -> Path:
    """Write the index to `folder` (created if missing), replacing an index there, and return the folder.

    Raises `InputError` if the folder cannot be written or holds other files; an existing index then stays unchanged.
    """
    target = Path(folder)
    try:
        if target.exists() and not target.is_dir():
            raise InputError(f"cannot write {str(folder)!r}: expected a folder")
        if target.is_dir() and any(not _OURS.fullmatch(file.name) or file.is_symlink() for file in target.iterdir()):
            raise InputError(f"cannot write {str(folder)!r}: it holds files that do not belong to an index")
        made = not target.exists()
        target.mkdir(parents=False, exist_ok=True)
        files: dict[str, dict[str, Any]] = {}
        try:
            body = {
                "format": _FORMAT,
                "version": _VERSION,
                "lists": None if index.lists is None else _put(target, files, index.lists.centroids),
                "segments": [_segment_body(target, files, segment) for segment in index.segments],
                "files": files,
            }
            write_text(json.dumps(with_sum(body), indent=1), target / MANIFEST)
        except BaseException:
            if made:
                # The folder was empty before: leave nothing behind.
                for file in target.iterdir():
                    file.unlink()
                target.rmdir()
            raise
    except OSError as error:
        raise InputError(f"cannot write {str(folder)!r}: {error.strerror or error}") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot write {str(folder)!r}: expected the path of a folder") from None
    for file in target.iterdir():
        # Another process may still map an older index; its files are removed when it is closed.
        if file.name not in files and file.name != MANIFEST:
            with contextlib.suppress(OSError):
                file.unlink()
    return target


def load_index(folder: str | Path) -> Index:
    """Return the index in `folder`, its arrays mapped into memory.

    Raises `InputError` for a folder without an index, a manifest or array that is missing, truncated or changed, or
    inconsistent parts.
    """
    place = Path(folder)
    try:
        with open_own(place / MANIFEST) as file:
            body = parse_json(file.read().decode("utf-8"), MANIFEST)
    except (OSError, ValueError):
        raise InputError(f"{shown(str(folder))} has no whole {MANIFEST}: expected the folder of an index") from None
    if not isinstance(body, dict) or body.get("format") != _FORMAT or body.get("version") != _VERSION:
        raise InputError(f"{str(folder)!r}: {MANIFEST} is not an index manifest of version {_VERSION}")
    if not is_whole(body):
        raise InputError(f"{str(folder)!r}: {MANIFEST} was changed or truncated: its SHA-256 differs")
    try:
        arrays = {name: _get(place / name, facts) for name, facts in body["files"].items()}
        codecs: dict[str, Codec] = {}
        segments = tuple(_segment(part, arrays, codecs) for part in body["segments"])
        lists = None if body["lists"] is None else Lists(arrays[body["lists"]])
        return Index(segments, lists)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{str(folder)!r}: {MANIFEST} lacks {error}: expected a whole index") from None


def _segment_body(target: Path, files: dict[str, dict[str, Any]], segment: Segment) -> dict[str, Any]:
    return {
        "version": segment.version,
        "ids": list(segment.ids),
        "codec": _codec_body(target, files, segment.codec),
        "data": _put(target, files, segment.data),
        "fine_codec": None if segment.fine_codec is None else _codec_body(target, files, segment.fine_codec),
        "fine": None if segment.fine is None else _put(target, files, segment.fine),
        "places": None if segment.places is None else _put(target, files, segment.places),
        "blank": None if segment.blank is None else _put(target, files, segment.blank),
        "factors": None if segment.factors is None else _put(target, files, segment.factors),
        "fields": {
            name: {
                "names": list(own.names),
                **{part: _put(target, files, getattr(own, part)) for part in ("starts", "numbers", "codes")},
            }
            for name, own in segment.fields.items()
        },
    }


def _codec_body(target: Path, files: dict[str, dict[str, Any]], codec: Codec) -> dict[str, Any]:
    settings, arrays = codec_state(codec)
    return {"settings": settings, "arrays": {name: _put(target, files, value) for name, value in arrays.items()}}


def _segment(part: dict[str, Any], arrays: dict[str, np.ndarray], codecs: dict[str, Codec]) -> Segment:
    ids = tuple(part["ids"])

    def codec(body: dict[str, Any]) -> Codec:
        key = json.dumps(body, sort_keys=True)
        # One codec object for all segments with its codes.
        if key not in codecs:
            codecs[key] = codec_from_state(
                body["settings"], {name: arrays[file] for name, file in body["arrays"].items()}
            )
        return codecs[key]

    return Segment(
        part["version"],
        codec(part["codec"]),
        ids,
        arrays[part["data"]],
        None if part["fine_codec"] is None else codec(part["fine_codec"]),
        None if part["fine"] is None else arrays[part["fine"]],
        None if part["places"] is None else arrays[part["places"]],
        # Indexes of older versions have none.
        None if part.get("blank") is None else arrays[part["blank"]],
        None if part.get("factors") is None else arrays[part["factors"]],
        _fields(part, arrays),
    )


def _fields(part: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Field]:
    if "fields" not in part:
        # Indexes of older versions have tags alone, in the manifest.
        return {} if part["tags"] is None else {TAG: read_field(part["tags"], TAG)}
    return {
        name: Field(arrays[own["starts"]], arrays[own["numbers"]], arrays[own["codes"]], tuple(own["names"]))
        for name, own in part["fields"].items()
    }


def _put(target: Path, files: dict[str, dict[str, Any]], values: np.ndarray) -> str:
    """Write an array under its hash unless it exists, record it in `files`, and return the name."""
    with tempfile.NamedTemporaryFile(dir=target, prefix=".", suffix=".part", delete=False) as file:
        temporary = Path(file.name)
        try:
            np.save(file, np.ascontiguousarray(values), allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
            with open_own(temporary) as written:
                digest = file_sum(written)
            name = f"{digest[:32]}.npy"
            if name not in files:
                # Temporary files are private; make the index as readable as its folder.
                temporary.chmod(ordinary_mode(0o666))
                temporary.replace(target / name)
            files[name] = {"bytes": size, "sha256": digest}
        finally:
            temporary.unlink(missing_ok=True)
    return name


def _get(path: Path, facts: dict[str, Any]) -> np.ndarray:
    if not _ARRAY.fullmatch(path.name):
        raise InputError(f"{MANIFEST} names {shown(path.name)}: expected the arrays of this folder only")
    try:
        with open_own(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size != facts["bytes"]:
                raise InputError(f"{path.name} has {size} bytes, expected {facts['bytes']}: the index is truncated")
            if file_sum(file) != facts["sha256"]:
                raise InputError(f"{path.name} was changed: its SHA-256 differs from the manifest's")
            return parse_npy(file, path.name, mapped=True)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}") from None
