"""`hwsim uncertainty` and `hwsim break-even`: screen, JSON, CSV, pages, and bad input in one line."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from explorer.documents import html
from explorer.uncertainty import Probability, analyse, break_even
from explorer.uncertainty.document import break_even_document, probability_text, uncertainty_document

FEW = ("--samples", "16", *(part for pattern in ("b200.*", "service.*", "use.*") for part in ("--only", pattern)))


def figures(page):
    """Figures of a page, by name."""
    found = re.findall(r'<script type="application/json" id="plot-([^"]+)-data">(.*?)</script>', page, re.S)
    return {name: json.loads(code) for name, code in found}


@pytest.mark.slow
def test_the_screen_says_what_decides(command):
    status, out, err = command("uncertainty", *FEW)
    assert (status, err) == (0, "")
    assert "Hardwiring costs less than the GPUs that generate as many tokens in" in out
    assert (
        "Factors of GPU cost over hardwired" in out and "Factors of GPU carbon over hardwired" in out and "b200" in out
    )


@pytest.mark.slow
def test_json_is_what_the_function_finds(command):
    status, out, _ = command("uncertainty", *FEW, "--json")
    told = json.loads(out)
    found = analyse(samples=16, only=["b200.*", "service.*", "use.*"])
    assert status == 0 and told["percentiles"] == found.to_dict()["percentiles"]
    assert told["probabilities"][0]["probability"] == found.probability("tco_ratio").probability
    assert list(told["sobol"]) == list(told["tornado"]) == ["tco_ratio", "carbon_ratio"]
    assert told["sobol"]["tco_ratio"][0]["name"] == found.sobol("tco_ratio")["name"][0]


@pytest.mark.slow
def test_choices_reach_the_analysis(command):
    _, out, _ = command(
        "uncertainty", "llama-3-8b", *FEW, "--volume", "7", "--context", "4K", "--technology", "n5-synthesised",
        "--seed", "3", "--shape", "uniform", "--shape", "use.respins=levels", "--set", "b200.power_w=1 kW",
        "--output", "tco_usd", "--versus", "volume=8", "--versus", "use.respins=0", "--json",
    )  # fmt: skip
    told = json.loads(out)
    assert (told["model"], told["volume"], told["context"], told["technology"], told["seed"]) == (
        "llama-3-8b", 7, 4096, "n5-synthesised", 3,
    )  # fmt: skip
    assert told["versus"] == {"volume": 8, "use.respins": "0"} and list(told["sobol"]) == ["tco_usd"]
    shapes = {row["name"]: row["shape"] for row in told["constants"]}
    assert shapes["use.respins"] == "levels" and shapes["service.gpu_speed_factor"] == "uniform"
    assert "b200.power_w" not in shapes
    asked = {chance["what"] for chance in told["probabilities"]}
    assert "versus_usd_per_token_ratio > 1" in asked


@pytest.mark.slow
def test_the_speed_of_a_gpu_is_that_of_the_model(command):
    for model in ("llama-3-8b", "gpt-oss-120b"):
        assert f"predicted for {model}" in command("uncertainty", model, *FEW)[1]
    few = ("--samples", "16", "--only", "use.*")
    known = command("uncertainty", "llama-3-8b", *few, "--set", "b200.tokens_per_s=20000", "--json")[1]
    assert json.loads(known)["notes"] == []


@pytest.mark.slow
def test_independent_draws(command):
    together, alone = (
        json.loads(command("uncertainty", *FEW, *flag, "--json")[1])["correlations"]
        for flag in ((), ("--independent",))
    )
    assert len(together) == 1 and alone == []
    assert command("break-even", *FEW, "--points", "2", "--axis", "grid", "--independent")[0] == 0


@pytest.mark.slow
def test_a_book_of_the_users(command, tmp_path):
    book = tmp_path / "mine.toml"
    book.write_text(
        '[book]\nname = "mine"\nextends = "default"\n[use]\nrespins = { low = 0, nominal = 1, high = 8, unit = "1", '
        'year = 2026, kind = "user", source = "me" }\n[[correlations]]\nbetween = ["use.respins", "b200.power_w"]\n'
        'rho = 0.3\nyear = 2026\nkind = "user"\nsource = "me"\n'
    )
    _, out, _ = command("uncertainty", *FEW, "--book", str(book), "--json")
    told = json.loads(out)
    spins = next(row for row in told["constants"] if row["name"] == "use.respins")
    assert (spins["nominal"], spins["high"], spins["source"]) == (1, 8, "me")
    assert "b200.power_w + use.respins" in {row["between"] for row in told["correlations"]}


@pytest.mark.slow
def test_draws_as_csv(command, tmp_path):
    path = tmp_path / "draws.csv"
    assert command("uncertainty", *FEW, "--out", str(path))[:2] == (0, "")
    frame = pd.read_csv(path)
    assert len(frame) == 16 and {"service.gpu_speed_factor", "tco_ratio", "bound_by"} <= set(frame.columns)


@pytest.mark.slow
def test_json_file(command, tmp_path):
    path = tmp_path / "found.json"
    assert command("uncertainty", *FEW, "--out", str(path))[:2] == (0, "")
    assert "probabilities" in json.loads(path.read_text())


@pytest.mark.slow
def test_the_page_holds_everything(command, tmp_path):
    path = tmp_path / "page.html"
    status, out, _ = command("uncertainty", *FEW, "--out", str(path))
    page = path.read_text(encoding="utf-8")
    assert status == 0 and out.strip() == f"wrote {path}"
    drawn = figures(page)
    assert {"spread", "sobol-tco-ratio", "sobol-carbon-ratio", "ends-tco-ratio", "draws-tco-ratio"} <= drawn.keys()
    assert {
        f"over-{axis}" for axis in ("volume", "lifetime", "respins", "utilisation", "electricity", "grid")
    } <= drawn.keys()
    assert "http://" not in page.split("</style>")[0] and "Content-Security-Policy" in page
    assert "What decides" in page and "Where a ratio is 1" in page and "NVIDIA DGX B200 data sheet" in page


@pytest.mark.slow
def test_page_figures_are_of_the_numbers():
    found = analyse(samples=32, only=["b200.*", "use.*"])
    drawn = figures(html.render(uncertainty_document(found, "hwsim uncertainty")))
    bars = drawn["sobol-tco-ratio"]["data"]
    totals = next(trace for trace in bars if trace["name"] == "total order")["x"]
    expected = found.sobol("tco_ratio")["total"].head(10).to_numpy()[::-1]
    assert _numbers(totals) == pytest.approx(expected)
    first = drawn["ends-tco-ratio"]["data"][0]
    table = found.tornado("tco_ratio").head(12).iloc[::-1]
    assert np.asarray(_numbers(first["x"])) + first["base"] == pytest.approx(table["low"].to_numpy())


@pytest.mark.slow
def test_curves_on_the_page_are_those_found():
    found = break_even(axes=("volume",), points=5, samples=16, only=["b200.*"])
    drawn = figures(html.render(break_even_document(found, "hwsim break-even")))["over-volume"]["data"]
    median = next(trace for trace in drawn if trace.get("name") == "GPU cost over hardwired")
    assert _numbers(median["y"]) == pytest.approx(found.curve("volume", "tco_ratio").p50)


@pytest.mark.slow
def test_a_name_in_the_command_is_escaped():
    found = break_even(axes=("grid",), points=2, samples=16, only=["b200.*"])
    assert "<script>alert" not in html.render(break_even_document(found, "hwsim <script>alert(1)</script>"))


@pytest.mark.slow
def test_break_even_on_the_screen(command):
    status, out, err = command("break-even", *FEW, "--points", "5")
    assert (
        (status, err) == (0, "") and "systems built" in out and "re-spins a year" in out and "carbon of the grid" in out
    )


@pytest.mark.slow
def test_break_even_as_json_csv_and_page(command, tmp_path):
    _, out, _ = command("break-even", *FEW, "--axis", "volume", "--from", "2", "--to", "200", "--points", "4", "--json")
    told = json.loads(out)
    assert [(c["axis"]["name"], c["output"]) for c in told["curves"]] == [
        ("volume", "tco_ratio"),
        ("volume", "carbon_ratio"),
    ]
    assert told["curves"][0]["x"][0] == 2 and told["curves"][0]["x"][-1] == 200
    path = tmp_path / "curves.csv"
    command("break-even", *FEW, "--axis", "service.gpu_speed_factor", "--points", "3", "--out", str(path))
    assert list(pd.read_csv(path)["axis"].unique()) == ["service.gpu_speed_factor"]
    page = tmp_path / "curves.html"
    assert command("break-even", *FEW, "--points", "3", "--out", str(page))[1].strip() == f"wrote {page}"
    assert len(figures(page.read_text(encoding="utf-8"))) == 8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("uncertainty", "gpt-oss-120"), "did you mean 'gpt-oss-120b'"),
        (("uncertainty", "--samples", "1000"), "samples = 1000: expected a power of two, such as 512 or 1024"),
        (("uncertainty", "--samples", "many"), "samples = 'many'"),
        (("uncertainty", "--samples", "8G"), "samples = '8G'"),
        (("uncertainty", "--samples", "4M"), "samples = 4194304"),
        (("uncertainty", "--seed", "-1"), "seed = -1"),
        (("uncertainty", "--volume", "0"), "volume = 0"),
        (("uncertainty", "--volume", "nan"), "volume = 'nan'"),
        (("uncertainty", "--context", "-5"), "context = -5"),
        (("uncertainty", "--technology", "n4"), "n4"),
        (("uncertainty", "--convention", "right"), "right"),
        (("uncertainty", "--reading", "loud"), "loud"),
        (("uncertainty", "--shape", "bell"), "unknown shape 'bell'"),
        (("uncertainty", "--shape", "pert", "--shape", "uniform"), "expected one"),
        (("uncertainty", "--shape", "use.respins=bell"), "unknown shape 'bell'"),
        (("uncertainty", "--shape", "use.respin=pert"), "did you mean 'use.respins'"),
        (("uncertainty", "--only", "nothing.*"), "unknown constant that is read here"),
        (("uncertainty", "--output", "tco", *FEW), "unknown output 'tco'"),
        (("uncertainty", "--output", "bound_by", *FEW), "unknown output 'bound_by'"),
        (("uncertainty", "--versus", "volume"), "--versus 'volume': expected key=value"),
        (("uncertainty", "--versus", "volume=x"), "volume = 'x'"),
        (("uncertainty", "--versus", "volume=1", "--versus", "volume=2"), "--versus volume is given twice"),
        (("uncertainty", "--versus", "technology=n4"), "n4"),
        (("uncertainty", "--set", "use.respins"), "--set 'use.respins'"),
        (("uncertainty", "--set", "use.respins=nan"), "use.respins = nan"),
        (("uncertainty", "--set", "b200.power_w=5 kg"), "has unit 'kg'"),
        (("uncertainty", "--book", "missing.toml"), "does not exist"),
        (("break-even", "--axis", "vollume"), "did you mean 'volume'"),
        (("break-even", "--from", "3"), "--from and --to need one --axis"),
        (("break-even", "--axis", "grid", "--axis", "volume", "--to", "3"), "--from and --to need one --axis"),
        (("break-even", "--axis", "utilisation", "--to", "1.5"), "use.utilisation = "),
        (("break-even", "--axis", "grid", "--from", "-1"), "grid.us_g_per_kwh = -1"),
        (("break-even", "--axis", "grid", "--from", "9", "--to", "3"), "expected a low end below"),
        (("break-even", "--axis", "grid", "--to", "inf"), "high end of axis grid = inf"),
        (("break-even", "--points", "1"), "points = 1"),
        (("break-even", "--points", "1000000"), "points = 1000000"),
        (("break-even", "--samples", "3"), "samples = 3"),
    ],
)
def test_bad_input_ends_in_one_line(command, arguments, said, tmp_path):
    path = tmp_path / "page.html"
    status, out, err = command(*arguments, "--out", str(path))
    assert (status, out) == (2, "") and err.startswith("hwsim: ") and err.count("\n") == 1
    assert said in err and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["uncertainty", "break-even"])
def test_a_folder_that_is_missing(command, name, tmp_path):
    status, out, err = command(name, *FEW, "--out", str(tmp_path / "no" / "page.html"))
    assert (status, out) == (2, "") and "cannot write" in err and err.count("\n") == 1


def _numbers(values):
    """Plotly writes arrays as base64 where it can."""
    if isinstance(values, dict):
        import base64

        return np.frombuffer(base64.b64decode(values["bdata"]), dtype=np.dtype(values["dtype"]))
    return np.asarray(values, dtype=float)


@pytest.mark.slow
def test_shares_are_not_rounded_to_certainty():
    found = analyse(samples=16, only=["b200.*"])
    assert "in more than 99.95 % of draws (95 % interval 99.1 % to 100.0 %)".replace(
        " %", "\u00a0%"
    ) in probability_text(Probability("carbon_ratio > 1", 0.9998, 0.991, 1.0, 9999), found)
    assert "in less than 0.05 % of draws (95 % interval 0.0 %".replace(" %", "\u00a0%") in probability_text(
        Probability("carbon_ratio > 1", 0.0001, 0.0, 0.1, 9999), found
    )
