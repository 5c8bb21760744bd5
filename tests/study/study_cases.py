"""Functions that studies of the tests evaluate: in this module, so that workers find them by name."""

import os
import sys
import time

import numpy as np


def plane(x, y=0.0):
    """Two objectives that pull apart."""
    return {"cost": x + y, "speed": x * (1.0 - y)}


def spread(x, y, n, kind, z):
    """Two objectives over parameters of all kinds, one of them under a condition."""
    return {"cost": x + y + n + (kind == "b"), "speed": x * (1.0 - y) + (z if z == z else 0.0)}


def troubled(x, kind="a"):
    """Fails at some points; texts, flags, whole numbers and gaps at others."""
    if x > 0.9:
        raise ValueError(f"{kind} is too much")
    return {
        "cost": x,
        "count": int(x * 100),
        "flag": x > 0.5,
        "word": "low" if x < 0.3 else "high",
        "gap": None if x < 0.2 else x,
        "sometimes": float("nan") if x < 0.1 else 1.0,
    }


def troubled_at_once(x, kind="a"):
    """The same, of arrays: refuses all of them if one is too large."""
    if np.any(x > 0.9):
        raise ValueError("too much")
    return {"cost": x, "word": np.where(x < 0.3, "low", "higher"), "flag": x > 0.5}


def halves(x):
    """Everything fails beyond a half, so that late pieces of a grid fail as a whole."""
    if x > 0.5:
        raise ValueError("beyond a half")
    return {"cost": x, "flag": x > 0.1, "word": "fine"}


def slow(x, wait=0.02):
    """Takes its time."""
    time.sleep(wait)
    if x > 0.95:
        raise ValueError("too much")
    return {"cost": x, "speed": 0.1 + x, "word": "low" if x < 0.5 else "high"}


def where_it_runs(x):
    """The process that computes a point."""
    time.sleep(0.01)
    return {"process": float(os.getpid())}


def dies(x):
    """Takes its process along, now and then."""
    if x > 0.95:
        os._exit(3)
    return {"cost": x}


def wide(x):
    """Many columns, so that files are large."""
    return {"cost": x} | {f"column_{i}": x * i for i in range(200)}


def chatty(x):
    """Says what it does, and leaves now and then."""
    print("computing", x)
    if x > 0.9:
        sys.exit("enough")
    return {"cost": x}
