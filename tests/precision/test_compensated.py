"""Sensitivities after compensation: each matrix rounded by GPTQ alone, at every width."""

import json

import numpy as np
import pytest
from inference_cases import needs_gguf, needs_tokenizers, random_weights, tiny_config, tiny_vocabulary, write_gguf
from precision_cases import tiny_language

from explorer.precision import sensitivity
from explorer.precision.compensated import CompensatedMatrices
from explorer.precision.language import LanguageNetwork
from explorer.precision.networks import DEFAULT_ROUNDING, Bits
from hwbase import InputError


def compensated_network(method="gptq", **changed):
    weights = random_weights(tiny_config())
    rounding = DEFAULT_ROUNDING | {"method": method} | changed
    windows = np.random.default_rng(5).integers(3, 13, (8, 48))
    matrices = CompensatedMatrices(weights, windows, rounding)
    cut = tiny_language().windows
    return LanguageNetwork(matrices.weights, cut, name="tiny", rounding=rounding, compensated=matrices)


@pytest.mark.parametrize("method", ["gptq", "rotation+gptq"])
def test_compensated_matrices_lose_less_than_ranges(method):
    plain, network = tiny_language(), compensated_network(method)
    every = {layer.name: Bits(weights=4) for layer in plain.layers}
    assert network.losses(every)["kl"].mean() < 0.7 * plain.losses(every)["kl"].mean()
    assert network.losses({})["kl"].max() < 1e-6 and network.fingerprint != plain.fingerprint
    first = next(iter(every))
    assert np.abs(network.codes(first, 3)).max() <= 3
    assert network.losses({first: Bits(weights=16)})["kl"].max() < 1e-6


def test_sensitivities_are_those_of_compensated_matrices():
    network = compensated_network()
    table = sensitivity(lambda: network, bits=(3, 8)).table
    losses = table.pivot(index="layer", columns="bits", values="loss")
    assert len(losses) == len(network.layers) and (losses[3] > losses[8]).all()


def test_ranges_that_gptq_does_not_have_are_refused():
    with pytest.raises(InputError, match="expected 'channel' or 'group'"):
        compensated_network(per="tensor")
    with pytest.raises(InputError, match="weight format"):
        compensated_network(per="group", block=48)


@needs_gguf
@needs_tokenizers
def test_the_command_measures_them(command, tmp_path):
    begin = {"tokenizer.ggml.bos_token_id": 1}
    file = write_gguf(tmp_path / "tiny.gguf", random_weights(tiny_config(context=160)), tiny_vocabulary(), **begin)
    given = ("sensitivity", "smollm2-135m", "--weights-file", str(file), "--bits", "4", "--json")
    losses = {}
    for ranges in ("min-max", "rotation+gptq"):
        status, printed, errors = command(*given, "--ranges", ranges)
        assert (status, errors) == (0, "")
        losses[ranges] = sum(row["loss"] for row in json.loads(printed)["table"])
    assert losses["rotation+gptq"] < losses["min-max"]
