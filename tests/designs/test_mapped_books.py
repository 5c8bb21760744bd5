"""What a machine's book says of its mapping: whose grid stays, and which reading there is."""

import numpy as np
import pytest

import explorer
import hwsim
import models
from hwbase import InputError
from hwsim.hardwired import reading_for
from hwsim.simulation import hardwired

GRID = """
[book]
name = "mine"
extends = "hnlpu"

[book.choices]
norms = "sharded"

[rows]
nominal = 1
unit = "chip"
year = 2026
kind = "user"
source = "me"

[columns]
nominal = 8
unit = "chip"
year = 2026
kind = "user"
source = "me"

[pipeline_stages]
nominal = 2
unit = "1"
year = 2026
kind = "user"
source = "me"
"""


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GRID, encoding="utf-8")
    return path


def test_the_grid_of_a_user_stays_and_any_other_is_sized_for_the_model(book):
    assert hwsim.simulate("smollm2-135m", book).chips == 16
    assert hwsim.simulate("smollm2-135m").chips == 1
    # One side may be changed alone where the other is the user's too.
    assert hwsim.simulate("smollm2-135m", book, set={"columns": 4}).chips == 8
    frame = explorer.evaluate("gpt-oss-120b", context=[2048, 4096], on=book)
    assert np.all(frame["chips"] == 16)


def test_a_die_beyond_the_reticle_is_said_to_be_the_users(book):
    frame = explorer.evaluate("deepseek-v3", on=book, strict=False)
    assert "the die exceeds the reticle" in frame["failure"].iloc[0]


def test_conventions_of_the_paper_read_other_mappings_as_pipelined(book):
    mapped, _, _ = hardwired(models.load("gpt-oss-120b"), book=book)
    assert reading_for(mapped, "as-published") == "pipelined"
    priced = explorer.cost("gpt-oss-120b", on=book, convention="as-published")
    assert priced.inputs["tokens_per_s"] == hwsim.simulate("gpt-oss-120b", book).tokens_per_s
    published, _, _ = hardwired(models.load("gpt-oss-120b"))
    assert reading_for(published, "as-published") == "as-published"


def test_a_study_varies_a_mapping_as_a_search_does():
    study = explorer.Study(
        {"norms": ["replicated", "sharded"], "pipeline_stages": [1, 2], "collective": ["direct", "two-phase"]},
        fixed={"rows": 4, "columns": 4},
        objectives=["tokens_per_s"],
    )
    frame = study.run().frame
    for _, row in frame.iterrows():
        set = {name: row[name] for name in ("norms", "pipeline_stages", "collective")} | {"rows": 4, "columns": 4}
        assert row["tokens_per_s"] == hwsim.simulate("gpt-oss-120b", set=set, reading="pipelined").tokens_per_s
    with pytest.raises(InputError, match="did you mean 'sharded'"):
        explorer.Study({"norms": ["shared", "sharded"]}, objectives=["tokens_per_s"])
