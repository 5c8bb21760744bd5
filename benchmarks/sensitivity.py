"""How fast sensitivities are measured, and what is saved by not running the layers before the one that is rounded.

    python benchmarks/sensitivity.py [--layers 24]

Layers are taken evenly over the network, each rounded to 4 bits alone. "From its layer" is how `hwsim sensitivity`
measures; "from the start" is the same call with the first layer named as well, in float, so that nothing is skipped.
Layers are measured in order, as there, once each way, and both must lose the same. Seconds are of processor time, which
a busy machine stretches little; set OPENBLAS_NUM_THREADS=1 for those of one core.
"""

import argparse
import time

import numpy as np

from explorer.precision import MAKERS, Bits, Network

BITS = Bits(4)


def measured(network: Network, count: int) -> dict[str, list[float]]:
    """Return the seconds of each measurement, both ways."""
    layers = network.layers
    chosen = [layers[i] for i in np.linspace(0, len(layers) - 1, count).astype(int)]
    first = layers[0].name
    network.losses({chosen[0].name: BITS})
    seconds: dict[str, list[float]] = {}
    found: dict[str, list[dict[str, np.ndarray]]] = {}
    for way, others in (("from its layer", {}), ("from the start", {first: Bits()})):
        seconds[way], found[way] = [], []
        for layer in chosen:
            start = time.process_time()
            found[way].append(network.losses(others | {layer.name: BITS}))
            seconds[way].append(time.process_time() - start)
    for layer, one, other in zip(chosen, *found.values(), strict=True):
        for name, losses in one.items():
            np.testing.assert_array_equal(losses, other[name], err_msg=f"{layer.name}: {name}")
    return seconds


def main() -> None:
    """Print measurements a second for each network, both ways, and their ratio."""
    parser = argparse.ArgumentParser(description="Speed of measuring sensitivities.")
    parser.add_argument("--layers", type=int, default=24, help="layers measured of each network")
    count = parser.parse_args().layers
    for name, make in MAKERS.items():
        network = make()
        seconds = measured(network, count)
        rates = {way: len(times) / sum(times) for way, times in seconds.items()}
        told = ", ".join(f"{way} {rate:.2f}/s" for way, rate in rates.items())
        ratio = rates["from its layer"] / rates["from the start"]
        hours = len(network.layers) / rates["from its layer"] / 3600.0
        print(f"{name}: {told}, {ratio:.2f} times as fast; a width of all {len(network.layers)} layers {hours:.2f} h")


if __name__ == "__main__":
    main()
