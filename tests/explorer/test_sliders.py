"""Sliders call the function they stand above, and a notebook goes on without them."""

import builtins
from typing import Any

import pytest

from explorer.documents.sliders import INSTALL, Slide, sliders
from hwbase import InputError


@pytest.mark.slow
def test_moving_a_slider_draws_again() -> None:
    pytest.importorskip("ipywidgets")
    seen: list[dict[str, Any]] = []
    box = sliders(
        lambda **given: seen.append(given),
        bandwidth=Slide(1e9, 1e12, 1e10, log=True, unit="B/s"),
        chips=Slide(1, 64, 16),
        share=Slide(0.0, 1.0, 0.5),
        node=["n5", "n3"],
    )
    bandwidth, chips, share, node, _ = box.children
    assert seen[-1] == {"bandwidth": 1e10, "chips": 16, "share": 0.5, "node": "n5"}
    chips.value, share.value, node.value = 32, 0.25, "n3"
    bandwidth.value = 1e11
    assert seen[-1]["chips"] == 32 and seen[-1]["share"] == 0.25 and seen[-1]["node"] == "n3"
    assert seen[-1]["bandwidth"] == pytest.approx(1e11)
    assert bandwidth.description == "bandwidth [B/s]"


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "ipywidgets":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert INSTALL in sliders(lambda chips: None, chips=Slide(1, 64, 16))


@pytest.mark.parametrize(
    ("control", "said"),
    [
        (Slide(2, 1, 1), "low < high"),
        (Slide(0, 1, 0.5, log=True), "low of x"),
        (Slide(0, 1, 2), "start of x"),
        (Slide(float("nan"), 1, 0.5), "low of x"),
        ([], "choices"),
        ("n5", "choices"),
    ],
)
def test_bad_controls(control: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        sliders(lambda x: None, x=control)
