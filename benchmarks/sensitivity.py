"""How fast sensitivities are measured, and what is saved by not running the layers before the one that is rounded.

Layers are taken evenly over the network, each rounded to 4 bits alone. "From its layer" is how `hwsim sensitivity`
measures; "from the start" is the same call with the first layer named as well, in float, so that nothing is skipped.
Layers are measured in order, as there, once each way, and both must lose the same. Seconds are of processor time, which
a busy machine stretches little; set OPENBLAS_NUM_THREADS=1 for those of one core.
"""

import time
from collections.abc import Iterator

import numpy as np

from benchmarks.measure import Measure
from explorer.precision import MAKERS, Bits, Network

BITS = Bits(4)
#: Layers measured of each network.
LAYERS = 24


def measured(network: Network, count: int) -> dict[str, list[float]]:
    """Return the seconds of each measurement, both ways."""
    layers = network.layers
    chosen = [layers[i] for i in np.linspace(0, len(layers) - 1, count).astype(int)]
    first = layers[0].name
    network.losses({chosen[0].name: BITS})
    seconds: dict[str, list[float]] = {}
    losses_by_way: dict[str, list[dict[str, np.ndarray]]] = {}
    for way, others in (("from its layer", {}), ("from the start", {first: Bits()})):
        seconds[way], losses_by_way[way] = [], []
        for layer in chosen:
            start = time.process_time()
            losses_by_way[way].append(network.losses(others | {layer.name: BITS}))
            seconds[way].append(time.process_time() - start)
    for layer, one, other in zip(chosen, *losses_by_way.values(), strict=True):
        for name, losses in one.items():
            np.testing.assert_array_equal(losses, other[name], err_msg=f"{layer.name}: {name}")
    return seconds


def measures(quick: bool) -> Iterator[Measure]:
    """Yield measurements a second for each network, both ways."""
    for name, make in MAKERS.items():
        network = make()
        seconds = measured(network, 2 if quick else LAYERS)
        rates = {way: len(times) / sum(times) for way, times in seconds.items()}
        hours = len(network.layers) / rates["from its layer"] / 3600.0
        yield Measure(
            f"{name}, from its layer",
            rates["from its layer"],
            "measurements/s",
            "from the start",
            rates["from the start"],
            f"one width of all {len(network.layers)} layers takes {hours:.2f} h",
        )
