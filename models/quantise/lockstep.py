"""Sequences that pass through a transformer together, so that one operator sees the inputs of all of them at a matrix.

Each sequence runs in a thread of its own, which waits at every matrix for the others. A matrix can then be rounded as
soon as its inputs are known, and what follows in the same layer already sees what it gives.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

import numpy as np

from models.inference import Linear, Transformer, Weights

#: Called with the name of a matrix and its inputs in all sequences, float32 (tokens, inputs) each; returns its outputs.
Answer = Callable[[str, list[np.ndarray]], list[np.ndarray]]


class Lockstep:
    """Copies of a network, one for each of `count` sequences, that run layer by layer together."""

    def __init__(self, weights: Weights, count: int) -> None:
        self._inputs: list[np.ndarray] = [np.empty(0)] * count
        self._outputs: list[np.ndarray] = []
        self._name = ""
        self._answer: Answer
        self._models = [Transformer(weights, self._operator(number)) for number in range(count)]
        self._barrier = Barrier(count, self._all)

    def run(
        self, part: Callable[[Transformer, np.ndarray], np.ndarray], states: list[np.ndarray], answer: Answer
    ) -> list[np.ndarray]:
        """Return part(model, state) of every state; `answer` multiplies with the matrices.

        An error of `answer` is raised here.
        """

        def one(model: Transformer, state: np.ndarray) -> np.ndarray:
            try:
                return part(model, state)
            except BaseException:
                self._barrier.abort()
                raise

        self._answer = answer
        self._barrier.reset()
        with ThreadPoolExecutor(len(states)) as threads:
            futures = [threads.submit(one, model, state) for model, state in zip(self._models, states, strict=True)]
        errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None and not isinstance(error, BrokenBarrierError):
                raise error
        return [future.result() for future in futures]

    def _operator(self, number: int) -> Linear:
        def linear(name: str, x: np.ndarray, position: int) -> np.ndarray:
            self._inputs[number], self._name = x, name
            self._barrier.wait()
            return self._outputs[number]

        return linear

    def _all(self) -> None:
        self._outputs = self._answer(self._name, self._inputs)
