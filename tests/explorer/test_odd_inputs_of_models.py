"""A model, traffic and constants that are none are named in a sentence."""

import pytest

import hwsim
import models


@pytest.mark.parametrize("model", [None, 3, True, b"gpt-oss-120b", ["gpt-oss-120b"]])
def test_what_is_no_model(model):
    with pytest.raises(hwsim.InputError, match="model = "):
        hwsim.simulate(model)
    with pytest.raises(hwsim.InputError, match="model = "):
        hwsim.serve(model, hwsim.events.traffic.poisson(1, 2))
    with pytest.raises(hwsim.InputError, match="spec = "):
        models.parameters(model)


@pytest.mark.parametrize("traffic", [None, "x", 3.0])
def test_what_is_no_traffic(traffic):
    with pytest.raises(hwsim.InputError, match="traffic = "):
        hwsim.serve("gpt-oss-120b", traffic)


def test_constants_have_names():
    with pytest.raises(hwsim.InputError, match="the key 3"):
        hwsim.simulate("gpt-oss-120b", set={3: 4})
    with pytest.raises(hwsim.InputError, match="clock_hz"):
        hwsim.simulate("gpt-oss-120b", set={"clock_hz": 1e-300})


def test_a_book_without_choices_says_so(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[book]\nextends = "h100"\n[book.choices]\nnorms = "sharded"\n')
    with pytest.raises(hwsim.InputError, match="'h100' has no choices"):
        hwsim.simulate("llama-3-8b", on=path)
