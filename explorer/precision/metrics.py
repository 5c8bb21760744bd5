"""Distances of an output from the float one: noise, structural similarity, divergence, spectrum, slopes."""

import numpy as np
from scipy import ndimage

#: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 13(4), 2004.
_SSIM_SIGMA, _SSIM_RADIUS = 1.5, 5
_SSIM_K1, _SSIM_K2 = 0.01, 0.03
#: Keeps the logarithm of an empty part of a spectrum finite: float32's rounding of the strongest part, as power.
_LEAST_POWER = float(np.finfo(np.float32).eps) ** 2


def noise(output: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return sum (output - exact)^2 / sum exact^2 of each unit, float64 (units,), for arrays with units first.

    Its mean over units in decibels, 10 log10(1 / noise), is the signal-to-quantisation-noise ratio.
    """
    wide = exact.reshape(len(exact), -1).astype(np.float64)
    off = output.reshape(len(output), -1) - wide
    return np.vecdot(off, off) / np.vecdot(wide, wide)


def decibels(ratio: np.ndarray | float) -> np.ndarray:
    """Return 10 log10(1 / ratio), a noise-to-signal ratio in decibels; infinite for 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(-10.0 * np.log10(ratio))


def dissimilarity(output: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return 1 - mean SSIM of each image, float64 (images,), for arrays (images, height, width).

    SSIM as Wang et al. 2004 define it (Gaussian window, sigma 1.5, 11 x 11); the range is that of the exact image.
    """
    a, b = output.astype(np.float64), exact.astype(np.float64)
    spread = np.ptp(b, axis=(1, 2))[:, None, None]
    c1, c2 = (_SSIM_K1 * spread) ** 2, (_SSIM_K2 * spread) ** 2

    def blurred(x: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(x, _SSIM_SIGMA, axes=(1, 2), radius=_SSIM_RADIUS)

    mean_a, mean_b = blurred(a), blurred(b)
    var_a, var_b = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2
    both = blurred(a * b) - mean_a * mean_b
    similarity = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return np.asarray(1.0 - similarity.mean(axis=(1, 2)))


def mean_slope(images: np.ndarray) -> np.ndarray:
    """Return the mean length of the gradient of each image, per pixel, float64 (images,)."""
    down, across = np.gradient(images.astype(np.float64), axis=(1, 2))
    return np.hypot(down, across).mean(axis=(1, 2))


def slope_error(output: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return |ln(mean slope / exact mean slope)| of each image, float64 (images,)."""
    with np.errstate(divide="ignore"):
        return np.abs(np.log(mean_slope(output) / mean_slope(exact)))


def spectrum_distance(output: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return the root-mean-square difference of log power over rings of spatial frequency, nats, (images,)."""
    a, b = radial_power(output), radial_power(exact)
    least = _LEAST_POWER * b.max(axis=1, keepdims=True)
    off = np.log(np.maximum(a, least) / np.maximum(b, least))
    return np.sqrt(np.mean(off**2, axis=1))


def radial_power(images: np.ndarray) -> np.ndarray:
    """Return the mean power of each ring of spatial frequency, one cycle an image wide, float64 (images, rings).

    The mean height (frequency 0) and the corners beyond half the sampling rate are left out.
    """
    height, width = images.shape[1:]
    power = np.abs(np.fft.rfft2(images.astype(np.float64))) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None, :] * width)
    ring = np.rint(radius).astype(int)
    last = min(height, width) // 2
    kept = (ring >= 1) & (ring <= last)
    # In the half spectrum every column but the first and the last counts twice.
    weight = np.full(ring.shape, 2.0)
    weight[:, 0] = 1.0
    if width % 2 == 0:
        weight[:, -1] = 1.0
    counts = np.bincount(ring[kept], weight[kept], minlength=last + 1)[1:]
    sums = [np.bincount(ring[kept], (p * weight)[kept], minlength=last + 1)[1:] for p in power]
    return np.stack(sums) / counts


def divergence(log_output: np.ndarray, log_exact: np.ndarray) -> np.ndarray:
    """Return KL(exact || output) of each row, nats, float64 (rows,), for log probabilities (rows, outcomes)."""
    off = log_exact - log_output
    return np.einsum("ij,ij->i", np.exp(log_exact), off, dtype=np.float64)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log probabilities over the last axis, float32."""
    below = logits - logits.max(axis=-1, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=-1, keepdims=True, dtype=np.float64)).astype(np.float32)
