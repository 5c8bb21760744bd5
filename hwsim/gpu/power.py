"""What a GPU and its share of the server draw, by what the steps of a network keep busy.

Power runs from that of a server with nothing to do to that of one at full load, both as shares of its stated power:

    P = stated power (idle + (load - idle) min(1, working + memory m + compute c)),

where m and c are the shares of time in which memory and arithmetic are busy. A GPU that runs kernels draws `working` of
the span however little they do, which holds for exchanges and latencies too. `explorer.serving.fit_power` has the fit
to measured kernels.
"""

import numpy as np

from hwbase.check import Number
from hwsim.accelerator import Accelerator
from hwsim.gpu.step import StepTime


def step_power_share(device: Accelerator, step: StepTime) -> Number:
    """Return the power of a GPU that runs such steps one after the other, over its stated power."""
    return busy_power_share(device, step.memory_s / step.seconds, step.compute_s / step.seconds)


def busy_power_share(device: Accelerator, memory_share: Number, compute_share: Number) -> Number:
    """Return the power of a GPU that runs steps, over its stated power; everything broadcasts.

    Parameters
    ----------
    device : Accelerator
        The GPU.
    memory_share, compute_share : float or array
        Shares of the time of the steps in which memory and arithmetic are busy.

    Returns
    -------
    float or array
    """
    activity = (
        device.working_power_share
        + device.memory_power_share * np.minimum(memory_share, 1.0)
        + device.compute_power_share * np.minimum(compute_share, 1.0)
    )
    span = np.maximum(device.load_power_share - device.idle_power_share, 0.0)
    return (device.idle_power_share + span * np.minimum(activity, 1.0))[()]
