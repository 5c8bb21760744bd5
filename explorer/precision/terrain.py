"""The terrain generator on noise and difficulties, its weights and activations rounded layer by layer.

The conditions of a terrain reach the network by one path: embeddings of difficulty and noise level, which scale and
shift the channels of every block. Layers on that path alone (without pixels) are the group "content", judged by the
slope that a difficulty sets; all others are "quality", judged by the noise of the image.
"""

import hashlib
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np

from explorer.precision.metrics import dissimilarity, noise, slope_error, spectrum_distance
from explorer.precision.networks import Choice, Layer, Moments, check_choice, check_rounding
from hwbase import check
from models.diffusion import TERRAIN_MODEL, MatrixLayer, Products, TerrainModel, heights, inputs, read_terrain
from models.diffusion.running import Values, advance, begin
from models.quantise import UNROUNDED, Grid, grid, observer, round_to, rounded, side_by_side

_METRICS = {
    "noise": "noise of the coded heights over their power",
    "ssim": "1 - structural similarity to the terrain in float",
    "slope": "|ln| of the mean slope over that in float",
    "spectrum": "root-mean-square difference of log power over spatial frequencies, nats",
}
_GROUP_METRICS = {"content": "slope", "quality": "noise"}
#: Numbers of terrains for sensitivities and for calibrating activations; difficulties are evenly spread.
DEFAULT_IMAGES, CALIBRATION_IMAGES = 2, 8
_CALIBRATION_SEED, _HELD_OUT_SEED = 1, 2


class TerrainNetwork:
    """The generator on fixed noise; calibration of activations on noise of its own."""

    metrics: Mapping[str, str] = _METRICS
    group_metrics: Mapping[str, str] = _GROUP_METRICS
    name = TERRAIN_MODEL

    def __init__(
        self,
        model: TerrainModel,
        feeds: dict[str, np.ndarray],
        calibration: dict[str, np.ndarray],
        *,
        split: bool = True,
        observe: str = "histogram",
        rounding: Mapping[str, Any] | None = None,
    ) -> None:
        """Run the network in float on `feeds`.

        Activations are rounded per tensor, asymmetric, in ranges that observers of kind `observe` see on `calibration`;
        with `split` each part of a joined input has its own range.

        `rounding` is passed to `models.quantise.rounded` for weights (default: min-max per channel).
        """
        self._model, self._feeds, self._calibration = model, feeds, calibration
        self._split, self._observe = split, observe
        self.rounding = check_rounding(rounding)
        self._by_name = {layer.name: layer for layer in model.layers}
        self._start = begin(model.graph, feeds)
        #: A node and the values before it, in float; a run that rounds only later layers starts there.
        self._cut: tuple[int, Values] = (0, self._start)
        self._exact = model.generate(feeds)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Convolutions and linear layers in order; inputs and macs are those of one terrain."""
        sizes: dict[str, tuple[int, int]] = {}
        plain = Products(self._model.layers)

        def watching(name: str, x: np.ndarray) -> np.ndarray:
            y = plain(name, x)
            weight = self._by_name[name].weight
            sizes[name] = x[0].size, y[0].size * weight[0].size
            return y

        self._model.generate({name: value[:1] for name, value in self._feeds.items()}, watching)
        content = self._model.condition_layers
        return tuple(
            Layer(layer.name, "content" if layer.name in content else "quality", layer.weight.size, *sizes[layer.name])
            for layer in self._model.layers
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of weights, inputs and rounding."""
        digest = hashlib.blake2b(digest_size=16)
        graph = self._model.graph
        arrays = sorted(graph.constants.items()), *(sorted(f.items()) for f in (self._feeds, self._calibration))
        for name, array in (pair for group in arrays for pair in group):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        nodes = [(node.op, node.inputs, node.outputs, sorted(node.attributes.items())) for node in graph.nodes]
        settings = sorted(self.rounding.items(), key=lambda pair: pair[0]), self._split, self._observe
        digest.update(repr((nodes, settings)).encode())
        return digest.hexdigest()

    def losses(self, choice: Choice) -> dict[str, np.ndarray]:
        """Return each loss of each terrain, float64 (images,), with the layers of `choice` rounded.

        Raises `InputError` for an unknown layer or bits out of range.
        """
        return self._judged(self.coded(choice))

    def coded(self, choice: Choice) -> np.ndarray:
        """Return the terrains with the layers of `choice` rounded, coded heights, float32 (images, side, side).

        Raises `InputError` for an unknown layer or bits out of range.
        """
        chosen = check_choice(choice, self.layers)
        weights = {
            name: rounded(self._by_name[name].weight, bits.weights, **self.rounding) for name, bits in chosen.items()
        }
        roundings = {
            name: partial(round_to, to=self._grid(name, bits.activations))
            for name, bits in chosen.items()
            if bits.activations not in UNROUNDED
        }
        product = Products(self._model.layers, weights, roundings)
        first = min((self._by_name[name].index for name in chosen), default=len(self._model.graph.nodes))
        return self._finish(first, product)

    def disturbed(self, seed: int) -> dict[str, np.ndarray]:
        """Return the losses when every product is off by about one float32 rounding."""
        random = np.random.default_rng(seed)
        plain = Products(self._model.layers)
        one = np.float32(np.finfo(np.float32).eps)

        def product(name: str, x: np.ndarray) -> np.ndarray:
            y = plain(name, x)
            return y + y * (one * random.uniform(-0.5, 0.5, y.shape).astype(np.float32))

        return self._judged(self._model.generate(self._feeds, product))

    def weight(self, name: str) -> np.ndarray:
        """Return the weights of a layer, outputs first."""
        return self._by_name[name].weight

    def moments(self) -> dict[str, Moments]:
        """Return mean squares of the inputs and outputs of each layer over all terrains."""
        moments: dict[str, Moments] = {}
        plain = Products(self._model.layers)

        def watching(name: str, x: np.ndarray) -> np.ndarray:
            y = plain(name, x)
            away = tuple(axis for axis in range(x.ndim) if axis != 1)
            moments[name] = Moments(np.square(x, dtype=np.float64).mean(axis=away), float(np.square(y).mean()))
            return y

        self._model.generate(self._feeds, watching)
        return moments

    def _finish(self, first: int, product: Products) -> np.ndarray:
        graph = self._model.graph
        at, values = self._cut
        if at > first:
            at, values = 0, self._start
        self._cut = first, advance(graph, values, at, first)
        return advance(graph, self._cut[1], first, len(graph.nodes), product)["denoised"][:, 0]

    def _judged(self, coded: np.ndarray) -> dict[str, np.ndarray]:
        exact = self._exact
        if not np.isfinite(coded).all():
            return {name: np.full(len(exact), np.nan) for name in self.metrics}
        return {
            "noise": noise(coded, exact),
            "ssim": dissimilarity(coded, exact),
            "slope": slope_error(heights(coded), heights(exact)),
            "spectrum": spectrum_distance(coded, exact),
        }

    def _grid(self, name: str, bits: int) -> Grid:
        layer = self._by_name[name]
        lengths = self._lengths(layer)
        parts = []
        for seen in self._ranges[name]:
            low, high = seen.range(bits, symmetric=False)
            parts.append(grid(np.asarray(low), np.asarray(high), bits, symmetric=False))
        return side_by_side(parts, lengths, ndim=layer.weight.ndim, axis=1)

    def _lengths(self, layer: MatrixLayer) -> tuple[int, ...]:
        return layer.parts if self._split and layer.parts else (layer.weight.shape[1],)

    @cached_property
    def _ranges(self) -> dict[str, list[Any]]:
        """Return the observers of each part of each layer's input, fed with each terrain."""
        observers = {
            layer.name: [observer(self._observe) for _ in self._lengths(layer)] for layer in self._model.layers
        }
        plain = Products(self._model.layers)

        def watching(name: str, x: np.ndarray) -> np.ndarray:
            cuts = np.cumsum(self._lengths(self._by_name[name]))[:-1]
            for seen, part in zip(observers[name], np.split(x, cuts, axis=1), strict=True):
                seen.observe(part)
            return plain(name, x)

        for i in range(len(self._calibration["sigma"])):
            self._model.generate({name: value[i : i + 1] for name, value in self._calibration.items()}, watching)
        return observers


def terrain_network(
    images: int = DEFAULT_IMAGES,
    *,
    held_out: bool = False,
    path: str | None = None,
    split: bool = True,
    observe: str = "histogram",
    rounding: Mapping[str, Any] | None = None,
) -> TerrainNetwork:
    """Return the network of an ONNX file (default: the package's) on `images` terrains.

    Difficulties are spread over 1 to 100; `held_out` takes other noise. Activations are always calibrated on the same
    `CALIBRATION_IMAGES`.

    Raises `InputError` as `models.diffusion.read_terrain` does.
    """
    count = check.integer("images", images, high=1e4)
    calibration = inputs(spread(CALIBRATION_IMAGES), _CALIBRATION_SEED)
    feeds = inputs(spread(count), _HELD_OUT_SEED if held_out else _CALIBRATION_SEED)
    model = read_terrain(path)
    return TerrainNetwork(model, feeds, calibration, split=split, observe=observe, rounding=rounding)


def spread(count: int) -> np.ndarray:
    """Return `count` difficulties in the middles of equal parts of 1 to 100."""
    return np.rint(1 + 99 * (np.arange(count) + 0.5) / count)
