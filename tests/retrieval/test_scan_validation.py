"""The roofline beside this machine's kernels: that it runs and adds up. How close it comes is for a benchmark."""

import numpy as np
import pytest

from hwbase import InputError
from hwsim.retrieval import validate_cpu


def test_a_scan_is_predicted_and_timed() -> None:
    found = validate_cpu(documents=20_000, bits=(64, 100), batches=(1, 3), k=5, runs=1, backend="numpy")
    frame = found.to_frame()
    assert list(frame["bits"]) == [64, 64, 100, 100]
    assert list(frame["batch"]) == [1, 3, 1, 3]
    assert np.all(frame["measured_s"] > 0) and np.all(frame["predicted_s"] > 0)
    assert np.allclose(frame["ratio"], frame["predicted_s"] / frame["measured_s"])
    # The prediction is no slower than its slowest resource says and no faster.
    streamed = 20_000 * np.ceil(found.bits / 8) / found.read_bytes_per_s
    compared = 20_000 * found.bits * found.batch / found.compared_bits_per_s
    assert np.all(found.predicted_s >= np.maximum(streamed, compared) * (1 - 1e-9))
    assert found.processor


@pytest.mark.parametrize("name", ["documents", "runs"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), 1.5])
def test_bad_input(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        validate_cpu(**{name: value})  # type: ignore[arg-type]
