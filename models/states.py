"""Layers with a state of fixed size instead of a cache: gated delta rules, Mamba, linear attention, convolutions.

A short convolution over the newest positions keeps them as a cache with a window.
"""

from dataclasses import replace

from models.layers import Cache, Matrix, Mixer

#: Bits of a state, where a configuration does not say: implementations keep it in float32.
STATE_BITS = 32
#: Products with each element of a state that a token makes: decay and update, and reading.
STATE_PRODUCTS = 2
#: The delta rule reads the state once more, to see what it holds for the key (Yang et al., arXiv 2412.06464).
DELTA_PRODUCTS = 3


def _projection(role: str, inputs: int, outputs: int, biased: bool = False) -> Matrix:
    return Matrix(role=role, component="attention", inputs=inputs, outputs=outputs, biased=biased)


def _convolution(channels: int, kernel: int) -> tuple[Cache, ...]:
    return (Cache(elements=channels, window=kernel - 1),) if kernel > 1 else ()


def gated_delta(
    hidden: int, key_heads: int, value_heads: int, key_dim: int, value_dim: int, kernel: int, *, fused: bool
) -> Mixer:
    """Return a layer of the gated delta rule (Yang et al., arXiv 2412.06464), without the norms around it.

    `fused`: q, k, v and the output gate come from one projection, decay and write strength from another.
    """
    keys, values = key_heads * key_dim, value_heads * value_dim
    if fused:
        inputs = [_projection("qkvz", hidden, 2 * keys + 2 * values), _projection("ba", hidden, 2 * value_heads)]
    else:
        inputs = [_projection("qkv", hidden, 2 * keys + values), _projection("z", hidden, values)]
        inputs += [_projection("b", hidden, value_heads), _projection("a", hidden, value_heads)]
    channels = 2 * keys + values
    return Mixer(
        kind="gated-delta",
        matrices=(*inputs, _projection("out", values, hidden)),
        caches=_convolution(channels, kernel),
        state_elements=value_heads * key_dim * value_dim,
        state_bits=STATE_BITS,
        state_macs=DELTA_PRODUCTS * value_heads * key_dim * value_dim,
        norms=value_dim,
        other=channels * kernel + 2 * value_heads,
    )


def delta_attention(hidden: int, heads: int, dim: int, kernel: int, *, full_gate: bool) -> Mixer:
    """Return a layer of Kimi delta attention (arXiv 2510.26692): a decay for each channel, low-rank gates.

    `full_gate`: the output gate is one projection instead of two of rank `dim`.
    """
    width = heads * dim
    gates = [_projection("f_a", hidden, dim), _projection("f_b", dim, width), _projection("b", hidden, heads)]
    if full_gate:
        gates.append(_projection("g", hidden, width))
    else:
        gates += [_projection("g_a", hidden, dim), _projection("g_b", dim, width)]
    inputs = [_projection(role, hidden, width) for role in ("q", "k", "v")]
    return Mixer(
        kind="kda",
        matrices=(*inputs, *gates, _projection("o", width, hidden)),
        caches=_convolution(3 * width, kernel),
        state_elements=heads * dim * dim,
        state_bits=STATE_BITS,
        state_macs=DELTA_PRODUCTS * heads * dim * dim,
        norms=dim,
        other=3 * width * kernel + width + heads,
    )


def mamba2(
    hidden: int,
    heads: int,
    head_dim: int,
    state: int,
    groups: int,
    kernel: int,
    *,
    biased: bool = False,
    convolution_bias: bool = True,
    normed: bool = True,
    bits: int = STATE_BITS,
) -> Mixer:
    """Return a Mamba-2 layer (Dao and Gu, arXiv 2405.21060), without the norm around it.

    Parameters
    ----------
    hidden, heads, head_dim : int
        Width of the residual stream; heads and their width.
    state, groups, kernel : int
        Elements of the state for each channel, groups that share their input and output matrices, and the length of
        the convolution.
    biased, convolution_bias : bool
        Biases on the projections; on the convolution.
    normed : bool
        A norm before the output projection.
    bits : int
        Bits of an element of the state.

    Returns
    -------
    Mixer
        One layer.
    """
    inner = heads * head_dim
    channels = inner + 2 * groups * state
    return Mixer(
        kind="mamba2",
        matrices=(
            _projection("in", hidden, inner + channels + heads, biased),
            _projection("out", inner, hidden, biased),
        ),
        caches=_convolution(channels, kernel),
        state_elements=inner * state,
        state_bits=bits,
        state_macs=STATE_PRODUCTS * inner * state,
        norms=inner if normed else 0,
        other=channels * (kernel + convolution_bias) + 3 * heads,
    )


def mamba(
    hidden: int,
    inner: int,
    state: int,
    rank: int,
    kernel: int,
    *,
    biased: bool = False,
    convolution_bias: bool = True,
    normed: bool = False,
) -> Mixer:
    """Return a Mamba layer (Gu and Dao, arXiv 2312.00752), without the norm around it.

    Parameters
    ----------
    hidden, inner : int
        Width of the residual stream and of the layer.
    state, rank, kernel : int
        Elements of the state for each channel, rank of the step sizes, length of the convolution.
    biased, convolution_bias : bool
        Biases on the projections in and out; on the convolution.
    normed : bool
        Norms on step sizes, input and output matrices (Jamba).

    Returns
    -------
    Mixer
        One layer.
    """
    return Mixer(
        kind="mamba",
        matrices=(
            _projection("in", hidden, 2 * inner, biased),
            _projection("x", inner, rank + 2 * state),
            _projection("dt", rank, inner, True),
            _projection("out", inner, hidden, biased),
        ),
        caches=_convolution(inner, kernel),
        state_elements=inner * state,
        state_bits=STATE_BITS,
        state_macs=STATE_PRODUCTS * inner * state,
        norms=rank + 2 * state if normed else 0,
        other=inner * (kernel + convolution_bias) + inner * state + inner,
    )


def lightning(hidden: int, heads: int, dim: int) -> Mixer:
    """Return a layer of lightning attention (MiniMax-01, arXiv 2501.08313), without the norms around it."""
    width = heads * dim
    return Mixer(
        kind="lightning",
        matrices=(
            _projection("qkv", hidden, 3 * width),
            _projection("gate", hidden, width),
            _projection("out", width, hidden),
        ),
        state_elements=heads * dim * dim,
        state_bits=STATE_BITS,
        state_macs=STATE_PRODUCTS * heads * dim * dim,
        norms=width,
    )


def short_convolution(hidden: int, kernel: int, *, biased: bool = False) -> Mixer:
    """Return a layer of a gated short convolution (LFM2, arXiv 2511.23404), without the norms around it."""
    return Mixer(
        kind="conv",
        matrices=(_projection("in", hidden, 3 * hidden, biased), _projection("out", hidden, hidden, biased)),
        caches=_convolution(hidden, kernel),
        other=hidden * (kernel + biased),
    )


def beside(first: Mixer, second: Mixer) -> Mixer:
    """Return a layer in which attention and Mamba-2 work side by side on the same input."""
    return replace(
        second,
        kind="attention and mamba2",
        matrices=first.matrices + second.matrices,
        caches=first.caches + second.caches,
        norms=first.norms + second.norms,
        other=first.other + second.other,
    )
