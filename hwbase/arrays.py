"""Arrays in .npy files: the header is read with care, and must fit the size of the file."""

import os
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np

from hwbase.errors import InputError, shown

#: Bytes of the longest header; that of a plain array has 128.
_LONGEST_HEADER = 10_000
#: Elements of the longest dimension, which matters for arrays without elements.
_LONGEST_SIDE = 10**12


def read_npy(path: str | Path) -> np.ndarray:
    """Return the array of a .npy file.

    Raises `InputError` for a file that cannot be read, and one that is not exactly one array of plain values.
    """
    try:
        with Path(path).open("rb") as file:
            return parse_npy(file, str(path))
    except OSError as error:
        raise InputError(f"cannot read {shown(str(path))}: {error.strerror or error}") from None
    except InputError:
        raise
    except ValueError:
        raise InputError(f"cannot read {shown(str(path))}: no file can have this name") from None


def parse_npy(file: BinaryIO, name: str, *, mapped: bool = False) -> np.ndarray:
    """Return the array in an open .npy file, or one that maps the file into memory.

    Parameters
    ----------
    file : binary file
        The file, at its beginning.
    name : str
        Name of the file, for messages.
    mapped : bool
        Whether to map a file on disk in place of reading it. Default False.

    Raises
    ------
    InputError
        For a file that is not exactly one array of plain values, by its header and its size.
    """
    refusal = f"{shown(name)} is not a whole .npy file of numbers"
    if file.read(2) == b"PK":
        raise InputError(f"{shown(name)} holds several arrays: expected one, a .npy file")
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = read_header[version](file, max_header_size=_LONGEST_HEADER)
    except Exception:  # NumPy evaluates the header as Python source, which can fail in many ways
        raise InputError(f"{refusal}: its header cannot be read") from None
    if dtype.hasobject:
        raise InputError(f"{refusal}: it holds Python objects")
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    claimed = prod(shape) * dtype.itemsize
    if size != claimed or (shape and not 0 <= min(shape) <= max(shape) <= _LONGEST_SIDE) or not dtype.itemsize:
        raise InputError(f"{refusal}: its header claims {claimed:,} bytes of data, and it has {size:,}")
    if not claimed:
        return np.empty(shape, dtype)
    if mapped:
        # Compiled code takes plain arrays only, not np.memmap.
        return np.asarray(np.memmap(file, dtype, "r", start, shape, "F" if fortran else "C"))
    file.seek(start)
    return np.frombuffer(bytearray(file.read()), dtype).reshape(shape, order="F" if fortran else "C")
