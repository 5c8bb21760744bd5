"""A conditional one-step generator: noise and a difficulty go in, a terrain of that difficulty comes out.

The network is the consistency U-Net of the package adaptive-terrain-diffusion (MIT), 10.5 M parameters in float32. One
pass turns noise of 128 x 128 pixels into heights; `difficulty`, 1 to 100, decides how rough they are.
"""

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hwbase import InputError, check
from models.diffusion.graph import Graph, MatrixLayer, read_graph
from models.diffusion.products import Product
from models.diffusion.running import check_operators, run

#: The name that commands know it by.
TERRAIN_MODEL = "terrain"
MODEL_PACKAGE = "terrain_diffusion"
#: adaptive-terrain-diffusion asks for onnxruntime-gpu, which is not needed here.
INSTALL = "pip install 'hwsim[terrain]' && pip install --no-deps adaptive-terrain-diffusion==0.4.2"
#: Pixels of a side, and the noise level that a terrain starts from (adaptive-terrain-diffusion 0.4.2, its generator).
SIDE, NOISE_LEVEL = 128, 80.0
#: Difficulties that the network was trained on.
EASIEST, HARDEST = 1, 100
#: Heights are coded as asinh(height / bend), scaled so that the highest is 1 and the lowest -1 (same source).
_HIGHEST, _BEND = 22.16864013671875, 0.1


@dataclass(frozen=True, eq=False)
class TerrainModel:
    """The network, ready to run; its inputs are "noisy", "sigma" and "difficulty", its output "denoised"."""

    graph: Graph

    @property
    def layers(self) -> tuple[MatrixLayer, ...]:
        """Convolutions and linear layers, in order."""
        return self.graph.layers

    @cached_property
    def condition_layers(self) -> frozenset[str]:
        """Layers that see the difficulty and the noise level but no pixel: they tell the others what to make."""
        pixels = self.graph.reached_from("noisy")
        return frozenset(layer.name for layer in self.layers if self.graph.nodes[layer.index].inputs[0] not in pixels)

    def generate(self, feeds: dict[str, np.ndarray], product: Product | None = None) -> np.ndarray:
        """Return the coded heights, float32 (images, side, side), from -1 to 1, for inputs such as `inputs` makes."""
        return run(self.graph, feeds, product)["denoised"][:, 0]


def read_terrain(path: str | Path | None = None) -> TerrainModel:
    """Return the network of an ONNX file, by default the one that the package carries.

    Raises `InputError` for missing packages (with what to install), a file that cannot be read, or a network with
    other inputs and outputs, or operators that cannot be run.
    """
    graph = read_graph(terrain_file() if path is None else path, INSTALL)
    expected = {"noisy", "sigma", "difficulty"}, ("denoised",)
    if (set(graph.inputs), graph.outputs) != expected:
        raise InputError(f"the network takes {graph.inputs} and gives {graph.outputs}: expected {expected}")
    check_operators(graph)
    return TerrainModel(graph)


def inputs(difficulties: np.ndarray, seed: int, side: int = SIDE) -> dict[str, np.ndarray]:
    """Return what the network takes for one terrain of each difficulty, its noise drawn by `seed`.

    Raises `InputError` for difficulties that are not whole numbers from 1 to 100.
    """
    levels = np.atleast_1d(check.number("difficulty", difficulties, low=EASIEST, high=HARDEST, whole=True))
    noise = np.random.default_rng(seed).standard_normal((len(levels), 1, side, side), dtype=np.float32)
    return {
        "noisy": noise * np.float32(NOISE_LEVEL),
        "sigma": np.full(len(levels), NOISE_LEVEL, np.float32),
        "difficulty": ((levels - EASIEST) / (HARDEST - EASIEST)).astype(np.float32),
    }


def heights(coded: np.ndarray) -> np.ndarray:
    """Return heights, float64, from 0 to 22.2 in the package's unit, of coded ones from -1 to 1."""
    unit = np.clip((np.asarray(coded, np.float64) + 1.0) / 2.0, 0.0, 1.0)
    return np.asarray(_BEND * np.sinh(unit * np.arcsinh(_HIGHEST / _BEND)))


def terrain_file() -> Path:
    """Return the ONNX file that the package carries; raises `InputError` where it is not installed."""
    package = importlib.util.find_spec(MODEL_PACKAGE)
    folders = list(package.submodule_search_locations or ()) if package else []
    if not folders:
        raise InputError(f"the terrain network is not installed: {INSTALL}")
    files = sorted(file for folder in folders for file in Path(folder).glob("weights/*.onnx"))
    if len(files) != 1:
        raise InputError(f"the package {MODEL_PACKAGE} holds {len(files)} ONNX files, expected 1: {INSTALL}")
    return files[0]
