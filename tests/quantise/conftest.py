"""The tiny network, its vocabulary and its GGUF file are those of the inference tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "inference"))
