"""Pages about a mapping that the paper does not have show no figures of the paper's account."""

import numpy as np

import hwsim
from explorer.report.figures.time import speed_rows
from hwbase.columns import column

CONTEXTS = np.array([2048, 65536])


def test_a_mapping_of_its_own_has_no_column_as_published():
    stages = {"rows": 1, "columns": 4, "pipeline_stages": 4}
    own = hwsim.simulate("gpt-oss-120b", set=stages, context=CONTEXTS)
    readings = ("as-published", "pipelined")
    papers = [hwsim.simulate("gpt-oss-120b", context=CONTEXTS, reading=reading) for reading in readings]
    assert "as_published_tokens_per_s" not in speed_rows(own, own)[0]
    assert "as_published_tokens_per_s" in speed_rows(*papers)[0]


def test_what_binds_is_written_in_words():
    assert column("bound_by").text("hbm") == column("bound_by").cell("hbm") == "HBM"
    assert column("bound_by").text("links") == "links"
