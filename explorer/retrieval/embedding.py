"""Embeddings of texts, cached on disk by the hash of model and texts. An interrupted run continues where it stopped."""

import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from explorer.progress import Report
from explorer.writing import write_bytes
from hwbase import InputError
from hwbase.arrays import parse_npy
from hwbase.files import open_own
from models.embedding import SentenceEncoder, read_encoder

#: Texts in one file of the cache; an interrupted run loses at most this many.
_BLOCK = 4096
_SUM_BYTES = hashlib.sha256().digest_size


def cache_folder() -> Path:
    """Return the folder of the cache: HWSIM_CACHE, or hwsim in the user's cache folder."""
    folder = os.environ.get("HWSIM_CACHE")
    if folder:
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hwsim"


def embed(
    texts: Sequence[str],
    *,
    encoder: SentenceEncoder | None = None,
    cache: str | Path | None = None,
    report: Report | None = None,
) -> np.ndarray:
    """Return unit vectors, float32 (len(texts), dims), of MiniLM-L6 or of `encoder`.

    `cache` is a folder, by default `cache_folder()`; its files are named by the hash of the model and the texts. A
    broken file is replaced. Raises `InputError` when the model is not installed or the folder cannot be written.
    """
    model = encoder or SentenceEncoder(read_encoder())
    folder = Path(cache) if cache is not None else cache_folder() / "embeddings"
    parts = [np.empty((0, model.dims), np.float32)]
    for start in range(0, len(texts), _BLOCK):
        block = list(texts[start : start + _BLOCK])
        path = folder / f"{_fingerprint(model.fingerprint, block)}.npy"
        vectors = _read(path, (len(block), model.dims))
        if vectors is None:
            vectors = model.embed(block, _shifted(report, start, len(texts)))
            _write(path, vectors)
        if report is not None:
            report("embedding", start + len(block), len(texts))
        parts.append(vectors)
    return np.concatenate(parts)


def _shifted(report: Report | None, start: int, total: int) -> Report | None:
    if report is None:
        return None
    return lambda name, done, _: report(name, start + done, total)


def _fingerprint(model: str, texts: Sequence[str]) -> str:
    digest = hashlib.sha256(model.encode())
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """Return the vectors of a file of the cache, an array and then its SHA-256; None for a broken file."""
    try:
        with open_own(path) as file:
            data = file.read()
        content, digest = data[:-_SUM_BYTES], data[-_SUM_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            return None
        vectors = parse_npy(io.BytesIO(content), path.name)
    except (OSError, InputError):
        return None
    return vectors if vectors.shape == shape and vectors.dtype == np.float32 and np.isfinite(vectors).all() else None


def _write(path: Path, values: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    data = content.getvalue()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        write_bytes(data + hashlib.sha256(data).digest(), path)
    except InputError as error:
        raise InputError(f"the cache {str(path.parent)!r} cannot be written: {error}") from None
    except OSError as error:
        raise InputError(f"the cache {str(path.parent)!r} cannot be written: {error.strerror or error}") from None
