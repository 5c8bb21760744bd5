"""Networks small enough to measure in a test; `python precision_cases.py CACHE` measures one, slowly, to be killed."""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "inference"))
from inference_cases import random_weights, tiny_config

from explorer.precision import sensitivity
from explorer.precision.language import LanguageNetwork, text_windows

BITS = (2, 4, 8)


def tiny_language(seed=0, windows=2, **options):
    ids = np.random.default_rng(seed).integers(3, 13, windows * 23)
    cut = text_windows(ids, 1, windows, 24)
    return LanguageNetwork(random_weights(tiny_config()), cut, name="tiny", **options)


class Slow:
    """A network that takes its time and counts what it measures, one line a measurement in a file."""

    def __init__(self, inner, count, seconds):
        self._inner, self._count, self._seconds = inner, count, seconds

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def losses(self, choice):
        time.sleep(self._seconds)
        with Path(self._count).open("a") as file:
            file.write(f"{choice}\n")
        return self._inner.losses(choice)


def slow(count, seconds=0.0):
    return Slow(tiny_language(), count, seconds)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    sensitivity(lambda: slow(folder / "count", 0.05), bits=BITS, cache=folder / "cache")
