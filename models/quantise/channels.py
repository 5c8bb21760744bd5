"""Channels scaled up by their activations before rounding, and down in what comes before ("AWQ").

Lin et al., "AWQ: Activation-aware Weight Quantization", arXiv 2306.00978.
"""

from collections.abc import Mapping

import numpy as np

from models.inference import HEAD
from models.quantise.formats import WeightFormat
from models.quantise.gptq import nearest

#: Exponents of the activations' magnitudes that scale channels; 0 leaves them.
_EXPONENTS = (0.0, 0.2, 0.35, 0.5, 0.65, 0.8)


def scaled_channels(
    tensors: Mapping[str, np.ndarray],
    stage: str,
    matrices: dict[str, np.ndarray],
    hessians: Mapping[str, np.ndarray],
    to: WeightFormat,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return matrices whose input channels are scaled up by their activations, the gains that undo it, and Hessians."""
    matrices, gains, sums = dict(matrices), {}, dict(hessians)
    if stage == HEAD:
        groups = {"output_norm": [HEAD]}
    else:
        readers = {"attn_norm": ("attn_q", "attn_k", "attn_v"), "ffn_norm": ("ffn_gate", "ffn_up")}
        groups = {f"{stage}.{norm}": [f"{stage}.{name}" for name in names if f"{stage}.{name}" in matrices]
                  for norm, names in readers.items()}  # fmt: skip
        if f"{stage}.ffn_gate" in matrices:
            # Without a gate an activation stands between the two.
            groups = {f"{stage}.ffn_up": [f"{stage}.ffn_down"]} | groups
    for before, names in groups.items():
        hessian = hessians[names[0]]
        magnitudes = np.sqrt(np.maximum(np.diagonal(hessian), 1e-12 * hessian.max()))
        best, chosen = np.inf, np.ones(len(hessian), np.float32)
        for exponent in _EXPONENTS:
            scale = magnitudes**exponent
            scale = (scale / np.sqrt(scale.max() * scale.min())).astype(np.float32)
            loss = 0.0
            for name in names:
                errors = nearest(matrices[name] * scale, to).values / scale - matrices[name]
                loss += float(((errors @ hessian) * errors).sum(dtype=np.float64))
            if loss < best:
                best, chosen = loss, scale
        for name in names:
            matrices[name] = matrices[name] * chosen
            sums[name] = hessian / np.outer(chosen, chosen)
        if before in matrices:
            matrices[before] = matrices[before] / chosen[:, None]
        else:
            gains[before] = tensors[before] / chosen
        if f"{before}.bias" in tensors:
            gains[f"{before}.bias"] = tensors[f"{before}.bias"] / chosen
    return matrices, gains, sums
