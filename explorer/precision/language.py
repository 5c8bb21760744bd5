"""A language model on windows of text, its matrices and activations rounded layer by layer.

Every window begins with the model's begin token, as its training sequences did. That token carries the massive
activations and is the same in every window. It is treated in one of three ways: "shared" uses one scale for all tokens
of a window; "float" keeps the begin token in float and scales the others alone; "precomputed" also replaces the begin
token's rounded products with the float ones.
"""

import hashlib
from collections import ChainMap
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from explorer.inference.text import (
    CALIBRATION_LENGTH,
    CALIBRATION_WINDOWS,
    calibration_text,
    calibration_windows,
    real_text,
)
from explorer.precision.compensated import COMPENSATED, CompensatedMatrices
from explorer.precision.metrics import divergence, log_softmax, noise
from explorer.precision.networks import DEFAULT_ROUNDING, Bits, Choice, Layer, Moments, check_choice, check_rounding
from hwbase import InputError, check, unknown_name
from hwbase.errors import shown
from models.inference import DEFAULT_MODEL, HEAD, Tokenizer, Transformer, Weights, read_model
from models.quantise import RoundedLinear, codes, dynamic, first_products, is_stored, rounded

OUTLIERS = ("shared", "float", "precomputed")
_SCALINGS = {"shared": "tensor", "float": "first-float", "precomputed": "first-float"}
_METRICS = {
    "kl": "divergence of the next token's distribution from that in float, nats",
    "perplexity": "growth of the negative log-likelihood of the text, nats",
    "recall": "as kl, over tokens that occurred earlier in the window, which attention can copy",
    "noise": "noise of the logits over their power",
}
#: Attention copies earlier tokens, so its layers are judged by "recall"; the others by every token.
_GROUP_METRICS = {"attention": "recall", "feed-forward": "kl"}
#: Layers of a block that read the same input.
_FUSED = (("attn_q", "attn_k", "attn_v"), ("ffn_gate", "ffn_up"))
#: Default number of windows for sensitivities and their length, the begin token included.
DEFAULT_WINDOWS, DEFAULT_LENGTH = 2, 128


class LanguageNetwork:
    """SmolLM2-135M, or another network of its family, on windows of text."""

    metrics: Mapping[str, str] = _METRICS
    group_metrics: Mapping[str, str] = _GROUP_METRICS

    def __init__(
        self,
        weights: Weights,
        windows: np.ndarray,
        *,
        name: str = DEFAULT_MODEL,
        outlier: str = "precomputed",
        rounding: Mapping[str, Any] | None = None,
        compensated: CompensatedMatrices | None = None,
    ) -> None:
        """Run the network in float on `windows`, token ids (windows, tokens) that all begin with the same token.

        `rounding` is passed to `models.quantise.rounded` for weights (default: min-max per channel), unless
        `compensated` has them; `outlier` is one of `OUTLIERS`. Raises `InputError` for windows of fewer than two tokens
        or an unknown name.
        """
        if outlier not in OUTLIERS:
            raise unknown_name("treatment of the outlier token", outlier, OUTLIERS)
        if windows.ndim != 2 or windows.shape[1] < 3 or len(np.unique(windows[:, 0])) != 1:
            raise InputError(f"windows have shape {windows.shape}: expected rows of 3 tokens or more, one begin token")
        self.name, self._weights, self._windows = name, weights, windows
        self._outlier, self.compensated = outlier, compensated
        self.rounding = check_rounding(rounding) if compensated is None else dict(rounding or {})
        self._matrices = weights.matrices()
        model = Transformer(weights)
        #: Inputs of each layer in each window: rounding a layer leaves the layers before it unchanged.
        self._states = [model.states(window) for window in windows]
        self._exact = [self._log_probabilities(model, i, weights.config.layers) for i in range(len(windows))]
        self._first = first_products(model, int(windows[0, 0])) if outlier == "precomputed" else {}

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every matrix in the order of use; inputs and macs are those of one token."""
        shapes = self._weights.config.linear_shapes()
        return tuple(
            Layer(
                name,
                "attention" if ".attn_" in name else "feed-forward",
                outputs * inputs,
                inputs,
                outputs * inputs,
                _fused(name),
            )
            for name, (outputs, inputs) in shapes.items()
        )

    @property
    def windows(self) -> np.ndarray:
        """Token ids (windows, tokens), the begin token first in each."""
        return self._windows

    @cached_property
    def fingerprint(self) -> str:
        """Hash of tensors, windows and rounding."""
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self._weights.tensors.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(tensor).view(np.uint8).data)
        settings = sorted(self.rounding.items()), self._outlier, self._windows.shape
        digest.update(repr((self._weights.config, settings)).encode())
        digest.update(np.ascontiguousarray(self._windows, np.int64).tobytes())
        if self.compensated is not None:
            digest.update(np.ascontiguousarray(self.compensated.windows, np.int64).tobytes())
        return digest.hexdigest()

    def losses(self, choice: Choice) -> dict[str, np.ndarray]:
        """Return each loss of each window, float64 (windows,), with the layers of `choice` rounded.

        Raises `InputError` for an unknown layer or bits out of range.
        """
        chosen = check_choice(choice, self.layers)
        matrices = ChainMap(
            {name: self._rounded(name, bits.weights) for name, bits in chosen.items()},
            self._matrices,
        )
        roundings = {name: dynamic(bits.activations, _SCALINGS[self._outlier]) for name, bits in chosen.items()}
        first = {name: self._first[name] for name in chosen if name in self._first}
        operator = RoundedLinear(matrices, {name: r for name, r in roundings.items() if r is not None}, first)
        return self._losses(Transformer(self._weights, operator), self._first_layer(chosen))

    def disturbed(self, seed: int) -> dict[str, np.ndarray]:
        """Return the losses when every product is off by about one float32 rounding."""
        random = np.random.default_rng(seed)
        inner = RoundedLinear(self._matrices)
        one = np.float32(np.finfo(np.float32).eps)

        def operator(name: str, x: np.ndarray, position: int) -> np.ndarray:
            y = inner(name, x, position)
            return y + y * (one * random.uniform(-0.5, 0.5, y.shape).astype(np.float32))

        return self._losses(Transformer(self._weights, operator), 0)

    def perplexity(self, losses: Mapping[str, np.ndarray]) -> float:
        """Return the perplexity for the losses of all windows."""
        return float(np.exp(self._nll.mean() + losses["perplexity"].mean()))

    def weight(self, name: str) -> np.ndarray:
        """Return the matrix (outputs, inputs) of a layer."""
        return self._matrices[name]

    def codes(self, name: str, bits: int) -> np.ndarray:
        """Return the integers of a matrix at a width, less the zero point. Raises `InputError` for 16 or 32 bits."""
        if self.compensated is not None:
            return self.compensated.solution(name, bits).codes
        return codes(self._matrices[name], bits, **self.rounding)

    def _rounded(self, name: str, bits: int) -> np.ndarray:
        if self.compensated is not None:
            return self.compensated(name, bits)
        return rounded(self._matrices[name], bits, **self.rounding)

    def moments(self) -> dict[str, Moments]:
        """Return mean squares of the inputs and outputs of each matrix over all windows.

        The begin token is left out where it is treated separately.
        """
        start = 0 if self._outlier == "shared" else 1
        seen: dict[str, list[Moments]] = {}
        inner = RoundedLinear(self._matrices)

        def watching(name: str, x: np.ndarray, position: int) -> np.ndarray:
            y = inner(name, x, position)
            squares = np.square(x[start:], dtype=np.float64).mean(axis=0)
            seen.setdefault(name, []).append(Moments(squares, float(np.square(y[start:]).mean())))
            return y

        for states in self._states:
            Transformer(self._weights, watching).resume(states[0], 0)
        return {
            name: Moments(np.mean([m.inputs for m in several], axis=0), float(np.mean([m.output for m in several])))
            for name, several in seen.items()
        }

    def _losses(self, model: Transformer, first: int) -> dict[str, np.ndarray]:
        rows = [self._window_losses(model, i, first) for i in range(len(self._windows))]
        return {metric: np.array([row[metric] for row in rows]) for metric in self.metrics}

    def _window_losses(self, model: Transformer, i: int, first: int) -> dict[str, float]:
        try:
            logits = model.resume(self._states[i][first], first)[:-1]
        except InputError:
            # An activation overflowed: the loss is not defined.
            return dict.fromkeys(self.metrics, float("nan"))
        log_probabilities, (exact_logits, exact) = log_softmax(logits), self._exact[i]
        per_token = divergence(log_probabilities, exact)
        targets = self._windows[i, 1:, None]
        off = np.take_along_axis(exact, targets, 1) - np.take_along_axis(log_probabilities, targets, 1)
        # The first token has no context, so its prediction does not count.
        return {
            "kl": float(per_token[1:].mean()),
            "perplexity": float(off[1:].mean(dtype=np.float64)),
            "recall": float(per_token[self._seen[i]].mean()) if self._seen[i].any() else float("nan"),
            "noise": float(noise(logits[None, 1:], exact_logits[None, 1:])[0]),
        }

    def _log_probabilities(self, model: Transformer, i: int, layer: int) -> tuple[np.ndarray, np.ndarray]:
        logits = model.resume(self._states[i][layer], layer)[:-1]
        return logits, log_softmax(logits)

    def _first_layer(self, chosen: Mapping[str, Bits]) -> int:
        layers = self._weights.config.layers
        return min((layers if name == HEAD else int(name.split(".")[1]) for name in chosen), default=layers)

    @cached_property
    def _nll(self) -> np.ndarray:
        pairs = zip(self._exact, self._windows, strict=True)
        return np.array([-np.take_along_axis(e, w[1:, None], 1)[1:].mean(dtype=np.float64) for (_, e), w in pairs])

    @cached_property
    def _seen(self) -> list[np.ndarray]:
        """Return the positions followed by a token that occurred earlier in the window, without the first position."""
        return [np.array([False] + [w[t] in w[:t] for t in range(2, len(w))]) for w in self._windows]


def _fused(name: str) -> str:
    """Return the common name of layers that read one input: queries, keys and values, or both halves of SwiGLU."""
    block, _, kind = name.rpartition(".")
    return next((f"{block}.{'+'.join(kinds)}" for kinds in _FUSED if kind in kinds), "")


def language_network(
    windows: int = DEFAULT_WINDOWS,
    length: int = DEFAULT_LENGTH,
    *,
    held_out: bool = False,
    skip: int = 0,
    path: str | None = None,
    text: str | None = None,
    calibration: str | None = None,
    compensated: CompensatedMatrices | None = None,
    outlier: str = "precomputed",
    rounding: Mapping[str, Any] | None = None,
) -> LanguageNetwork:
    """Return the network of a GGUF file (default: SmolLM2-135M) on windows of `text` (default: `real_text`).

    Windows of `length` tokens, begin token included, are taken from the start of the text after `skip` windows, or with
    `held_out` from its end backwards. A `method` of `rounding` that is one of `COMPENSATED` rounds by GPTQ on windows
    of the text `calibration` (default: `calibration_text`), or as another network did that made `compensated`. Raises
    `InputError` for a text that is too short, and as `models.inference.read_model` does.
    """
    if is_stored(path):
        raise InputError(
            f"{shown(path)} holds compensated weights: expected a model file, whose layers are rounded here"
        )
    weights, vocabulary = read_model(path)
    if vocabulary.begin is None:
        raise InputError("the model has no begin token: expected one, since every window starts with it")
    tokenizer = Tokenizer(vocabulary)
    ids = tokenizer.encode(real_text()[1] if text is None else text)
    name = DEFAULT_MODEL if path is None else Path(path).stem
    skipped = check.integer("skip", skip, low=0, high=1e6) * (length - 1)
    cut = text_windows(
        ids[: len(ids) - skipped] if held_out else ids[skipped:], vocabulary.begin, windows, length, held_out=held_out
    )
    whole = DEFAULT_ROUNDING | dict(rounding or {})
    if whole["method"] not in COMPENSATED:
        return LanguageNetwork(weights, cut, name=name, outlier=outlier, rounding=rounding)
    check_rounding(whole | {"method": DEFAULT_ROUNDING["method"]})
    if compensated is None:
        others = np.asarray(tokenizer.encode(calibration_text()[1] if calibration is None else calibration), np.int64)
        each = min(CALIBRATION_LENGTH, weights.config.context)
        chosen = calibration_windows(others, CALIBRATION_WINDOWS, each, CompensatedMatrices.seed)
        compensated = CompensatedMatrices(weights, chosen, whole)
    return LanguageNetwork(
        compensated.weights, cut, name=name, outlier=outlier, rounding=whole, compensated=compensated
    )


def text_windows(ids: Sequence[int], begin: int, windows: int, length: int, *, held_out: bool = False) -> np.ndarray:
    """Return token ids (windows, length), each row the begin token and a piece of text. Raises `InputError`."""
    count, each = check.integer("windows", windows, high=1e6), check.integer("length", length, low=3) - 1
    if len(ids) < count * each:
        raise InputError(f"the text has {len(ids)} tokens: expected at least {count * each}")
    chosen = np.asarray(ids[-count * each :] if held_out else ids[: count * each], np.int64).reshape(count, each)
    return np.concatenate([np.full((count, 1), begin, np.int64), chosen], axis=1)
