"""Embedding-to-embedding training: a contrastive loss with in-batch negatives, Adam, and a stop when recall falls."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from hwbase import unknown_name
from hwbase.check import count, positive
from models.binarize.network import Gradients, Parameters, backward, forward, trained_names, value_of

Report = Callable[[str, int, int], None]

#: How parameters begin: as the rotation of iterative quantisation, so that training improves on codes that are good
#: already, or at random as published, which learns more where the embeddings themselves say little.
STARTS = ("rotation", "random")
#: Batches that settle the statistics of batch norm before anything is learned.
_SETTLING = 40


@dataclass(frozen=True)
class Training:
    """How a binariser is trained. Temperature as published; the rest trains on one core in a minute or two.

    `start` is one of `STARTS`; a random start wants about ten times the learning rate.

    `hardest`: negatives that count in each row of the loss, those nearest to it, as the authors' code keeps 5; None
    keeps all. `patience`: epochs without a better recall on held-out pairs before it stops. `held_out` is their share.
    """

    epochs: int = 12
    batch: int = 512
    learning_rate: float = 2e-4
    temperature: float = 0.05
    patience: int = 3
    held_out: float = 0.1
    seed: int = 0
    hardest: int | None = None
    start: str = "rotation"

    def __post_init__(self) -> None:
        """Raise `InputError` for what cannot be."""
        for name in ("epochs", "patience"):
            count(name, getattr(self, name), high=1e5)
        count("batch", self.batch, low=2, high=1e6)
        count("seed", self.seed, low=0)
        if self.hardest is not None:
            count("hardest", self.hardest, high=1e6)
        for name in ("learning_rate", "temperature"):
            positive(name, getattr(self, name))
        positive("held_out", self.held_out, high=0.5)
        if self.start not in STARTS:
            raise unknown_name("start", self.start, STARTS)


@dataclass
class Adam:
    """Kingma and Ba, ICLR 2015, with its default rates of decay."""

    learning_rate: float
    first: Gradients = field(default_factory=dict)
    second: Gradients = field(default_factory=dict)
    steps: int = 0

    def update(self, parameters: Parameters, gradients: Gradients) -> None:
        """Move the parameters, in place."""
        slow, fast, tiny = 0.999, 0.9, 1e-8
        self.steps += 1
        rate = self.learning_rate * np.sqrt(1 - slow**self.steps) / (1 - fast**self.steps)
        for name, gradient in gradients.items():
            first = self.first.setdefault(name, np.zeros_like(gradient))
            second = self.second.setdefault(name, np.zeros_like(gradient))
            first += (1 - fast) * (gradient - first)
            second += (1 - slow) * (gradient**2 - second)
            parameters[name] -= (rate * first / (np.sqrt(second) + tiny)).astype(parameters[name].dtype)


def contrastive(
    left: np.ndarray, right: np.ndarray, same: np.ndarray, temperature: float, hardest: int | None = None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return (loss, slope in `left`, slope in `right`): each row's partner against all others, in both directions.

    Rows are scaled to length 1; logits are cosines over `temperature`. `same` bool (n, n) marks pairs of the same
    things, which are no negatives; the diagonal is the positive whatever it says. With `hardest`, so many negatives
    count, those of the largest cosines, each direction choosing its own.

    Parameters
    ----------
    left : ndarray, (n, dims)
        Vectors that ask.
    right : ndarray, (n, dims)
        Their partners, row by row.
    same : ndarray of bool, (n, n)
        Pairs of the same things.
    temperature : float
        What cosines are divided by.
    hardest : int, optional
        Negatives that count in each direction; all unless given.
    """
    norms = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (left, right)]
    one, two = left / norms[0], right / norms[1]
    masked = same & ~np.eye(len(left), dtype=bool)
    logits = np.where(masked, -np.inf, one @ two.T / temperature)
    loss, slope = 0.0, np.zeros_like(one @ two.T)
    for axis in (0, 1):
        seen = logits if hardest is None else _hardest(logits, hardest, axis)
        shifted = seen - seen.max(axis=axis, keepdims=True)
        chances = np.exp(shifted)
        total = chances.sum(axis=axis, keepdims=True)
        loss += float(np.mean(np.log(total).ravel() - np.diagonal(shifted))) / 2
        slope += (chances / total - np.eye(len(left), dtype=one.dtype)) / (2 * len(left))
    slope /= temperature
    outs = []
    for rows, other, norm, weight in ((one, two, norms[0], slope), (two, one, norms[1], slope.T)):
        inner = weight @ other
        outs.append((inner - rows * (inner * rows).sum(axis=1, keepdims=True)) / norm)
    return loss, outs[0], outs[1]


def _hardest(logits: np.ndarray, most: int, axis: int) -> np.ndarray:
    """Return the logits, all but the diagonal and the `most` largest others along `axis` at minus infinity."""
    if most >= len(logits) - 1:
        return logits
    others = logits.copy()
    np.fill_diagonal(others, -np.inf)
    places = np.argpartition(-others, most - 1, axis=axis).take(range(most), axis=axis)
    kept = np.eye(len(logits), dtype=bool)
    np.put_along_axis(kept, places, True, axis=axis)
    return np.where(kept, logits, -np.inf)


def train(
    parameters: Parameters,
    planes: int,
    x: np.ndarray,
    pairs: np.ndarray,
    settings: Training,
    *,
    old: np.ndarray | None = None,
    report: Report | None = None,
) -> tuple[Parameters, list[float]]:
    """Return the parameters of the epoch with the best held-out recall@1 (or the first ones, if none is better), and
    the recall of every epoch.

    `x` float32 (N, inputs), `pairs` int (P, 2) of rows that belong together. With `old` (N, dims), what another
    binariser stands for, the loss adds that of new left against old right (backward-compatible training), and recall
    is that of new codes against old ones. A pair's two sides and the batch share batch-norm statistics.

    Parameters
    ----------
    parameters : dict of ndarray
        Parameters to start from; changed in place.
    planes : int
        Bits of a dimension.
    x : ndarray of float32, (N, inputs)
        Embeddings.
    pairs : ndarray of int, (P, 2)
        Rows that belong together.
    settings : Training
        Rates, sizes and the seed.
    old : ndarray, (N, dims), optional
        Decoded vectors of another binariser.
    report : callable, optional
        Called after each epoch.
    """
    rng = np.random.default_rng(settings.seed)
    mixed = pairs[rng.permutation(len(pairs))]
    held = max(int(settings.held_out * len(mixed)), 1)
    tests, learned = mixed[:held], mixed[held:]
    adam, names = Adam(settings.learning_rate), trained_names(parameters)
    batches = max(len(learned) // settings.batch, 1)
    for _ in range(_SETTLING):
        chosen = learned[rng.integers(0, len(learned), min(settings.batch, len(learned)))]
        forward(parameters, x[chosen.T.ravel()], planes, training=True)
    best, waited = {name: value.copy() for name, value in parameters.items()}, 0
    history, top = list[float](), _recall(parameters, planes, x, tests, old)
    for epoch in range(settings.epochs):
        for batch in np.array_split(rng.permutation(len(learned)), batches):
            chosen = learned[batch]
            _step(parameters, planes, x, chosen, settings, old, adam, names)
        recall = _recall(parameters, planes, x, tests, old)
        if report is not None:
            report("training", epoch + 1, settings.epochs)
        waited = 0 if recall > top else waited + 1
        history.append(recall)
        top = max(top, recall)
        if waited == 0:
            best = {name: value.copy() for name, value in parameters.items()}
        elif waited >= settings.patience:
            break
    return best, history


def _step(
    parameters: Parameters,
    planes: int,
    x: np.ndarray,
    chosen: np.ndarray,
    settings: Training,
    old: np.ndarray | None,
    adam: Adam,
    names: list[str],
) -> None:
    half = len(chosen)
    outputs, kept = forward(parameters, x[chosen.T.ravel()], planes, training=True)
    value = value_of(outputs)
    left, right = value[:half], value[half:]
    same = (chosen[:, :1] == chosen[:, 0]) | (chosen[:, 1:] == chosen[:, 1])
    _, left_slope, right_slope = contrastive(left, right, same, settings.temperature, settings.hardest)
    if old is not None:
        _, more, _ = contrastive(left, old[chosen[:, 1]], same, settings.temperature, settings.hardest)
        left_slope = left_slope + more
    slope = np.concatenate([left_slope, right_slope]).astype(x.dtype)
    gradients = backward(parameters, kept, slope)
    adam.update(parameters, {name: gradients[name] for name in names})


def _recall(parameters: Parameters, planes: int, x: np.ndarray, tests: np.ndarray, old: np.ndarray | None) -> float:
    """Return the share of held-out pairs whose right side is the nearest of all right sides; ties count as missed."""
    outputs, _ = forward(parameters, x[tests.T.ravel()], planes, training=False)
    value = value_of(outputs)
    left, right = value[: len(tests)], value[len(tests) :] if old is None else old[tests[:, 1]]
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    hits = 0
    for start in range(0, len(tests), 1024):
        part = slice(start, start + 1024)
        scores = left[part] @ right.T
        own = (left[part] * right[part]).sum(axis=1)
        # Another copy of the same right side is as good as the own one.
        better = (scores >= own[:, None] - 1e-5 * np.abs(own[:, None])) & (tests[part, 1:] != tests[:, 1])
        hits += int((~better.any(axis=1)).sum())
    return hits / len(tests)
