"""The zoo against the published counts, and the front door that finds a network."""

import dataclasses
import json
import math

import pytest

import models
from hwbase import InputError
from models.catalogue import ZOO

TOTALS = {
    "gpt-oss-120b": 116_829_156_672,
    "gpt-oss-20b": 20_914_757_184,
    "llama-3-8b": 8_030_261_248,
    "llama-3-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "qwq-32b": 32_763_876_352,
    "deepseek-v3": 671_026_419_200,
    "kimi-k2": 1_026_408_232_448,
    "smollm2-135m": 134_515_008,
}
#: Published totals are met to this relative error.
TOLERANCE = 1e-3
GIB = 2**30


#: Published counts that ours do not round to, and why.
MISFITS = {
    "deepseek-v3.2": "the card gives the size of V3, without the index",
    "glm-4.5": "the card counts neither with the predicting layer nor without",
    "glm-4.5-air": "the card cuts 106.9 off",
    "glm-5": "the card cuts 40.8 off",
    "nemotron-3-super-120b-a12b": "the card cuts 120.7 off",
}


def test_zoo_is_complete() -> None:
    assert models.reference_names() == sorted(TOTALS)
    assert set(TOTALS) < set(models.names())


@pytest.mark.parametrize("name", TOTALS)
def test_counts_match_the_published_ones(name: str) -> None:
    spec = models.load(name)
    counts = models.parameters(spec)
    assert counts.total == TOTALS[name]
    assert spec.published_total is not None
    assert counts.total == pytest.approx(spec.published_total, rel=TOLERANCE)
    assert models.agrees(spec)
    assert spec.source and spec.published_source


@pytest.mark.parametrize(
    ("name", "published", "digits"),
    [
        ("gpt-oss-120b", 5.13e9, 3),
        ("gpt-oss-20b", 3.61e9, 3),
        ("deepseek-v3", 37e9, 2),
        ("kimi-k2", 32e9, 2),
    ],
)
def test_active_counts_round_to_the_published_ones(name: str, published: float, digits: int) -> None:
    assert models.rounds_to(models.parameters(models.load(name)).active, published, digits)


def test_gpt_oss_card_breakdown() -> None:
    """Model card, table 1, in G: MLP 114.71 (20b: 19.12), attention 0.96 (0.64), both embeddings 1.16."""
    for name, mlp, attention in (("gpt-oss-120b", 114.71, 0.96), ("gpt-oss-20b", 19.12, 0.64)):
        counts = models.parameters(models.load(name))
        assert round((counts.embedding + counts.unembedding) / 1e9, 2) == 1.16
        assert counts.attention / 1e9 == pytest.approx(attention, abs=0.01)
        assert (counts.experts + counts.biases) / 1e9 == pytest.approx(mlp, abs=0.01)


def test_gpt_oss_checkpoint_sizes() -> None:
    """Model card: checkpoints of 60.8 and 12.8 GiB with MXFP4 experts."""
    for name, gib in (("gpt-oss-120b", 60.8), ("gpt-oss-20b", 12.8)):
        assert round(models.weight_bytes(models.load(name)).total / GIB, 1) == gib


def test_gpt_oss_hardwired_weights_are_what_hnlpu_maps() -> None:
    assert models.hardwired_parameters(models.load("gpt-oss-120b")) == 116_829_156_672 - 201_088 * 2_880


def test_known_kv_sizes() -> None:
    assert models.kv_elements_per_token(models.load("gpt-oss-120b")) == 36 * 2 * 8 * 64
    assert models.kv_elements_per_token(models.load("deepseek-v3")) == 61 * (512 + 64)
    assert models.kv_bytes_per_token(models.load("llama-3-8b")) == 32 * 2 * 8 * 128 * 2


@pytest.mark.parametrize("given", ["GPT-OSS-120B", "Gpt-Oss-120b", " gpt-oss-120b "])
def test_names_ignore_case(given: str) -> None:
    assert models.load(given) == models.load("gpt-oss-120b")


@pytest.mark.slow
def test_zoo_frame_has_a_row_for_each_network() -> None:
    frame = models.zoo_frame().set_index("name")
    assert list(frame.index) == models.names()
    assert set(frame.index[~frame["agrees"]]) == set(MISFITS)
    assert frame["published_total"].notna().sum() >= 60
    assert (frame.loc[list(TOTALS), "total_rel_err"].abs() < TOLERANCE).all()
    assert (frame["total_rel_err"].abs() == 0).sum() >= 60
    assert math.isnan(frame.loc["llama-3-8b", "published_active"])


@pytest.mark.parametrize("name", TOTALS)
def test_specs_survive_json(name: str) -> None:
    spec = models.load(name)
    assert models.spec_from_fields(json.loads(spec.to_json()), "json") == spec


def test_user_toml_is_a_spec(tmp_path) -> None:
    path = tmp_path / "mine.TOML"
    path.write_text((ZOO / "llama-3-8b.toml").read_text(encoding="utf-8").replace("layers = 32", "layers = 16"))
    assert models.load(path) == dataclasses.replace(models.load("llama-3-8b"), layers=16)
    assert models.load(str(path)).layers == 16


def test_rounding_rule() -> None:
    assert models.rounds_to(36.6e9, 37e9, 2)
    assert not models.rounds_to(36.4e9, 37e9, 2)
    assert not models.rounds_to(405.85e9, 405e9, 3)
    for ours, published in ((0.0, 1.0), (1.0, math.nan), (math.inf, 1.0)):
        with pytest.raises(InputError, match="expected finite numbers above 0"):
            models.rounds_to(ours, published, 2)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("gpt-oss-12b", "did you mean 'gpt-oss-120b'"),
        ("llama3-8b", "did you mean 'llama-3-8b'"),
        ("", "unknown model"),
        ("no/such/network", "unknown model"),
        ("../zoo/gpt-oss-120b", "unknown model"),
        ("x\0.toml", "unknown model"),
        ("nowhere.toml", "cannot read"),
        ("nowhere.json", "cannot read"),
        (None, "expected a name or a path"),
        (3, "expected a name or a path"),
        ("x" * 5000, "unknown model"),
    ],
)
def test_names_that_do_not_exist(given: object, match: str) -> None:
    with pytest.raises(InputError, match=match):
        models.load(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("layers = ", "not valid TOML"),
        ("layers = 1", "name is missing"),
        ("layerz = 1", "did you mean 'layers'"),
        ('name = "a"\nlayers = "36"', "layers = '36'"),
        ("layers = nan", "layers = nan"),
        ("layers = true", "layers = True"),
        ("[layers]\na = 1", "layers = "),
        (f"layers = {'9' * 5000}", "is not valid"),
    ],
)
def test_broken_toml(tmp_path, text: str, match: str) -> None:
    path = tmp_path / "broken.toml"
    base = {"name": '"a"', "vocab_size": 8, "hidden_size": 4, "query_heads": 1}
    given = [line.split(" ")[0] for line in text.splitlines()]
    rest = "" if "missing" in match else "".join(f"{k} = {v}\n" for k, v in base.items() if k not in given)
    path.write_text(rest + text)
    with pytest.raises(InputError, match=match):
        models.load(path)
