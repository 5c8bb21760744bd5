"""Write data/terrain_reference.npz: what onnxruntime makes of the terrain network, for the tests to compare with.

Made with onnxruntime 1.32.0 (CPU) and adaptive-terrain-diffusion 0.4.2 in an environment of their own:

    pip install onnxruntime numpy && pip install --no-deps adaptive-terrain-diffusion==0.4.2
    python tests/diffusion/make_terrain_reference.py

The inputs are those of `models.diffusion.inputs` for the difficulties and the seed below; they are drawn again here.
"""

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime

DIFFICULTIES, SEED = (1, 40, 100), 7
#: The whole first image, and every so many pixels of each.
STEP = 4


def main() -> None:
    """Run the network and write the file beside this script."""
    folder = Path(importlib.util.find_spec("terrain_diffusion").submodule_search_locations[0])
    (file,) = (folder / "weights").glob("*.onnx")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    noise = np.random.default_rng(SEED).standard_normal((len(DIFFICULTIES), 1, 128, 128), dtype=np.float32)
    feeds = {
        "noisy": noise * np.float32(80.0),
        "sigma": np.full(len(DIFFICULTIES), 80.0, np.float32),
        "difficulty": ((np.array(DIFFICULTIES) - 1) / 99).astype(np.float32),
    }
    (found,) = session.run(["denoised"], feeds)
    path = Path(__file__).parent / "data" / "terrain_reference.npz"
    np.savez_compressed(
        path,
        difficulties=DIFFICULTIES,
        seed=SEED,
        whole=found[0, 0],
        sampled=found[:, 0, ::STEP, ::STEP],
        made_with=f"onnxruntime {onnxruntime.__version__}, {file.name}",
    )


if __name__ == "__main__":
    main()
