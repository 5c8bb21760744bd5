"""Tables of options: what is read, what is refused and with which words, and what allocate makes of them."""

import numpy as np
import pandas as pd
import pytest

import explorer
from explorer.allocation.quantities import parse_constraint, quantity
from explorer.allocation.table import read_layers
from hwbase import InputError

HEAD = "layer,group,bits,size,loss\n"
ROWS = "a,x,4,10,1\na,x,8,10,0\nb,y,4,20,3\nb,y,8,20,0\n"


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "layers.csv"
    path.write_bytes(text.encode(encoding))
    return path


def bits(source, *arguments, **named):
    return explorer.allocate(source, *arguments, **named).bits


# What it answers


def test_mean_bits_are_weighted_by_size(table):
    found = explorer.allocate(table, 4.0)
    weights = {"a": 100, "b": 300, "c": 50}
    assert found.mean_bits == sum(found.bits[x] * n for x, n in weights.items()) / 450 <= 4.0
    assert found.status == "optimal" and found.spent["mean-bits"] == found.mean_bits
    assert found.objective == pytest.approx(sum({"a": 9, "b": 3, "c": 1}[x] / b for x, b in found.bits.items()))


def test_units_of_memory_agree(table):
    total = explorer.allocate(table, 1800, unit="bits")
    assert explorer.allocate(table, 225, unit="bytes").bits == total.bits
    assert explorer.allocate(table, 225e-6, unit="MB").bits == total.bits
    assert explorer.allocate(table, 225 / 2**20, unit="MiB").bits == total.bits
    assert explorer.allocate(table, 4.0).bits == total.bits


def test_a_column_is_a_budget_and_an_objective(table):
    by_ms = explorer.allocate(table, 1.8, unit="ms")
    assert by_ms.bits == explorer.allocate(table, 1800, unit="bits").bits
    least = explorer.allocate(table, objective="ms", constraints=[f"loss<={by_ms.objective!r}"])
    assert least.objective <= 1.8 and least.spent["loss"] <= by_ms.objective * (1 + 1e-12)
    assert least.objective_name == "ms" and least.status == "optimal"


def test_a_unit_is_an_objective_in_itself(table):
    assert explorer.allocate(table, 8.0, objective="mean-bits").objective == 2.0
    assert explorer.allocate(table, 8.0, objective="bytes").objective == 450 * 2 / 8


def test_constraints_hold_together(table):
    found = explorer.allocate(table, 6.0, constraints=["ms<=2.2", "loss >= 0.5"])
    assert found.mean_bits <= 6 and found.spent["ms"] <= 2.2 and found.spent["loss"] >= 0.5


def test_groups_have_budgets_of_their_own(table):
    found = explorer.allocate(table, groups={"x": 4.0, "y": 2.0})
    assert found.bits["c"] == 2 and found.spent["mean-bits of x"] <= 4.0
    assert set(found.limits) == {"mean-bits of x", "mean-bits of y"}
    with pytest.raises(InputError, match="unknown group 'xx'; did you mean 'x'"):
        explorer.allocate(table, groups={"xx": 4.0})
    with pytest.raises(InputError, match="no column 'group'"):
        explorer.allocate(table.drop(columns="group"), groups={"x": 4.0})


def test_two_sided_budgets_are_intervals(table):
    lax = table.assign(loss=0.0)
    found = explorer.allocate(lax, 6.0, two_sided=0.5)
    assert 5.5 <= found.mean_bits <= 6.5 and found.limits == {"mean-bits": (5.5, 6.5)}
    assert explorer.allocate(lax, 6.0).mean_bits == 2.0


@pytest.mark.slow
def test_ties_share_a_choice(table):
    loose = explorer.allocate(table, 4.0)
    tied = explorer.allocate(table, 4.0, ties=[["a", "b"]])
    assert tied.bits["a"] == tied.bits["b"] and tied.objective >= loose.objective
    as_column = table.assign(tie=table["layer"].map({"a": "t", "b": "t", "c": ""}))
    assert explorer.allocate(as_column, 4.0).bits == tied.bits
    # Ties that share a layer are one tie.
    assert len(set(bits(table, 4.0, ties=[["a", "b"], ["b", "c"]]).values())) == 1
    assert len(set(bits(table, 4.0, ties=[["*"]]).values())) == 1


def test_contradictory_ties(table):
    with pytest.raises(InputError, match="tied layers 'a', 'b' have no choice in common"):
        explorer.allocate(table, 8.0, ties=[["a", "b"]], allow={"a": [2], "b": [4, 8]})
    with pytest.raises(InputError, match="unknown layer 'aa'; did you mean 'a'"):
        explorer.allocate(table, 8.0, ties=[["aa", "b"]])


def test_allowed_bits(table):
    assert bits(table, 8.0, allow={"a": [2], "[bc]": [4]}) == {"a": 2, "b": 4, "c": 4}
    with pytest.raises(InputError, match="layer 'a' has no candidate among the bits allowed: it has 2, 4, 8"):
        explorer.allocate(table, 8.0, allow={"a": [3]})
    with pytest.raises(InputError, match="unknown layer"):
        explorer.allocate(table, 8.0, allow={"zzz": [4]})


def test_weights_and_activations_together(table):
    wide = pd.concat([table.assign(act_bits=a, act_size=7, loss=table["loss"] + 1 / a) for a in (4, 8)])
    found = explorer.allocate(wide, 4.0, constraints=["mean-act-bits<=4"])
    assert set(found.act_bits.values()) == {4} and found.mean_bits <= 4
    assert explorer.allocate(wide, 4.0, constraints=["act-bits<=84"]).act_bits == found.act_bits
    with pytest.raises(InputError, match="no column 'act_bits'"):
        explorer.allocate(table, 84, unit="act-bits")


def test_bit_operations_are_products_of_both_widths(table):
    wide = pd.concat([table.assign(act_bits=a, macs=table["size"] * 3, loss=table["loss"] + 1 / a) for a in (4, 8)])
    found = explorer.allocate(wide, unit="bit-ops", budget=0.9 * float((64 * 3 * table["size"]).sum()))
    chosen = found.to_frame()
    spent = float((chosen["bits"] * chosen["act_bits"] * chosen["macs"]).sum())
    assert found.spent == {"bit-ops": pytest.approx(spent)} and spent <= found.limits["bit-ops"][1]
    with pytest.raises(InputError, match=r"no column 'macs' \(multiply-accumulates"):
        explorer.allocate(wide.drop(columns="macs"), 1.0, unit="bit-ops")
    with pytest.raises(InputError, match="no column 'act_bits'"):
        explorer.allocate(table.assign(macs=1), 1.0, unit="bit-ops")


def test_scores_and_noise(table):
    scored = table.assign(db=10 * np.log10(table["bits"]))
    found = explorer.allocate(scored, 4.0, objective="score:db")
    best = 10 * np.log10(8)
    assert found.objective == pytest.approx(sum(best - 10 * np.log10(b) for b in found.bits.values()))
    noise = explorer.allocate(scored, 4.0, objective="noise:db")
    assert noise.objective == pytest.approx(sum(1 / b for b in noise.bits.values()))
    with pytest.raises(InputError, match="expected a finite number"):
        explorer.allocate(scored.assign(db=1e9), 4.0, objective="noise:db")


def test_losses_in_any_order_and_sign(table):
    odd = table.assign(loss=[-1.0, -5.0, -2.0, 3.0, 3.0, 3.0, 0.0, -0.5, 0.5])
    found = explorer.allocate(odd, 8.0)
    assert found.bits == {"a": 4, "b": 2, "c": 4} and found.objective == -2.5 and found.gap == 0.0


def test_single_options(table):
    assert bits(table[table["bits"] == 4], 4.0) == {"a": 4, "b": 4, "c": 4}


def test_sizes_may_differ_between_options_where_they_are_summed(table):
    packed = table.assign(size=table["size"] + table["bits"])
    with pytest.raises(InputError, match="row 1: layer 'a' has size 104, before 102: mean-bits needs one size a layer"):
        explorer.allocate(packed, 4.0)
    found = explorer.allocate(packed, 2000, unit="bits")
    assert sum(b * ({"a": 100, "b": 300, "c": 50}[x] + b) for x, b in found.bits.items()) <= 2000


def test_frames_are_not_changed(table):
    before = table.copy()
    explorer.allocate(table, 4.0, ties=[["a", "b"]], allow={"c": [4]})
    pd.testing.assert_frame_equal(table, before)


def test_results_round_trip(table):
    import json

    found = explorer.allocate(table, 4.0)
    data = json.loads(found.to_json())
    assert data["bits"] == found.bits and data["limits"]["mean-bits"] == [None, 4.0] and "table" not in data
    assert found.to_frame()["layer"].tolist() == ["a", "b", "c"] and found.to_frame()["bits"].dtype == int
    assert "optimal" in found._repr_html_()


def test_the_front_of_a_table(table):
    curve = explorer.allocation_front(table, np.linspace(2, 8, 7))
    assert curve["objective"].is_monotonic_decreasing and (curve["cost"] <= curve["budget"]).all()
    corners = explorer.allocation_front(table)
    assert corners["cost"].iloc[0] == 2.0 and corners["cost"].iloc[-1] == 8.0
    with pytest.raises(InputError, match="expected budgets"):
        explorer.allocation_front(table, constraints=["ms<=3"])
    with pytest.raises(InputError, match=r"no budget of the front can be kept: .*the least possible is 2"):
        explorer.allocation_front(table, [1.0, 1.5])


# What it reads


@pytest.mark.slow
def test_byte_order_mark_semicolons_and_tabs(tmp_path):
    plain = bits(written(tmp_path, HEAD + ROWS), 6.0)
    assert bits(written(tmp_path, "\ufeff" + HEAD + ROWS), 6.0) == plain
    assert bits(written(tmp_path, (HEAD + ROWS).replace(",", ";")), 6.0) == plain
    assert bits(written(tmp_path, (HEAD + ROWS).replace(",", "\t")), 6.0) == plain
    assert bits(written(tmp_path, "\ufeff" + (HEAD + ROWS).replace(",", ";").replace("\n", "\r\n")), 6.0) == plain
    assert bits(written(tmp_path, "\n" + (HEAD + ROWS).replace("\n", "\n\n")), 6.0) == plain


def test_decimal_commas_with_semicolons(tmp_path):
    text = "layer;bits;size;loss\na;4;10;1,5\na;8;10;0,25\n"
    assert explorer.allocate(written(tmp_path, text), 8.0).objective == 0.25


def test_spaces_and_quotes(tmp_path):
    text = 'layer , bits, size, loss\n"a, first", 4, 10, 1\n"a, first", 8, 10, 0\n'
    assert bits(written(tmp_path, text), 8.0) == {"a, first": 8}


def test_lines_without_a_loss_are_left_out_and_said(tmp_path):
    found = explorer.allocate(written(tmp_path, HEAD + ROWS.replace("a,x,8,10,0", "a,x,8,10,nan")), 8.0)
    assert found.bits == {"a": 4, "b": 8}
    assert found.notes == ("options without a number in loss are left out: line 3: a at 8 bits",)
    infinite = explorer.allocate(written(tmp_path, HEAD + ROWS.replace("a,x,8,10,0", "a,x,8,10,inf")), 8.0)
    assert infinite.bits == found.bits and infinite.notes
    with pytest.raises(InputError, match=r"layer 'a' has no candidate: no loss that is a number \(line 2, 3\)"):
        explorer.allocate(written(tmp_path, HEAD + ROWS.replace("10,1", "10,").replace("10,0", "10,NaN")), 8.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty: expected a first line such as layer,group,bits,size,loss"),
        ("\ufeff\n\n", "is empty"),
        (HEAD, "the table has no rows"),
        ("layer|bits|loss\na|4|1\n", "is one column: expected columns such as"),
        ("name,bits,loss\na,4,1\n", "no column 'layer'"),
        ("layers,bits,loss\na,4,1\n", "did you mean 'layers'"),
        ("layer,bits,bits\na,4,1\n", "column 'bits' appears twice"),
        (HEAD + "a,x,4,10\n", "line 2: 4 cells: expected 5"),
        (HEAD + ROWS + "a,x,4,10,2\n", "line 6: layer 'a' at 4 bits is given twice, first in line 2"),
        (HEAD + ",x,4,10,2\n", "line 2: layer has no name"),
        (HEAD + "a,x,,10,2\n", "line 2: bits = ''"),
        (HEAD + "a,x,four,10,2\n", "line 2: bits = 'four': expected a finite number >= 0 and <= 64"),
        (HEAD + "a,x,-4,10,2\n", "line 2: bits = '-4'"),
        (HEAD + "a,x,1e9,10,2\n", "line 2: bits = '1e9'"),
        (HEAD + ROWS + "c,x,4,-10,2\n", "line 6: size = '-10': expected a finite number >= 0"),
        (HEAD + "a,x,4,nan,2\n", "line 2: size = 'nan'"),
        (HEAD + "a,x,4,1e40,2\n", "line 2: size = '1e40'"),
        (HEAD + "a,x,4,10,1e200\n", "line 2: loss = '1e200'"),
        (HEAD + "a,x,4,10,1.2.3\n", "line 2: loss = '1.2.3'"),
        (HEAD + "a,x,4,0,1\n", "all sizes are 0"),
    ],
)
def test_bad_files(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        explorer.allocate(written(tmp_path, text), 6.0)
    assert message in str(caught.value)


def test_files_that_are_not_text_or_not_there(tmp_path):
    with pytest.raises(InputError, match="is not UTF-8"):
        explorer.allocate(written(tmp_path, HEAD + ROWS, "utf-16"), 6.0)
    for path in (tmp_path / "none.csv", tmp_path, "\0"):
        with pytest.raises(InputError, match="cannot read"):
            explorer.allocate(path, 6.0)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({}, "no budget is given"),
        ({"budget": float("nan")}, "budget = nan"),
        ({"budget": "four"}, "budget = 'four'"),
        ({"budget": 1.0}, "mean-bits <= 1 cannot be kept: the least possible is 2"),
        ({"budget": 9.0, "two_sided": 0.5}, "mean-bits >= 8.5 cannot be kept: the most possible is 8"),
        ({"budget": 4.0, "two_sided": -1.0}, "two_sided = -1"),
        ({"budget": 4.0, "unit": "mean-bit"}, "did you mean 'mean-bits'"),
        ({"budget": 4.0, "objective": "los"}, "did you mean 'loss'"),
        ({"budget": 4.0, "objective": "score:los"}, "unknown column 'los'; did you mean 'loss'"),
        ({"budget": 4.0, "objective": "layer"}, "unknown column or unit 'layer'"),
        ({"budget": 4.0, "constraints": ["ms=3"]}, "expected a column or unit, <= or >=, and a number"),
        ({"budget": 4.0, "constraints": ["ms<=x"]}, "expected a column or unit"),
        ({"budget": 4.0, "constraints": ["ms<=nan"]}, "expected"),
        ({"budget": 4.0, "solver": "glpk"}, "unknown solver 'glpk'"),
    ],
)
def test_bad_questions(table, named, message):
    with pytest.raises(InputError) as caught:
        explorer.allocate(table, **named)
    assert message in str(caught.value)


def test_bad_frames(table):
    with pytest.raises(InputError, match="no column 'size'"):
        explorer.allocate(table.drop(columns="size"), 4.0)
    with pytest.raises(InputError, match="row 9: layer 'a' at 2 bits is given twice, first in row 0"):
        explorer.allocate(pd.concat([table, table[:1]]), 4.0)
    with pytest.raises(InputError, match="appears twice"):
        explorer.allocate(pd.concat([table, table[["loss"]]], axis=1), 4.0)


def test_constraints_are_read():
    assert parse_constraint(" score:ssim  <= 0.8").name == "score:ssim"
    assert (parse_constraint("MB>=1e3").low, parse_constraint("MB<=1e3").high) == (1000.0, 1000.0)


def test_a_column_wins_over_a_unit(table):
    frame = read_layers(table.assign(MB=1.0))
    assert quantity(frame, "MB").values.tolist() == [1.0] * 9
    assert quantity(frame, "bits").values.tolist() == (table["bits"] * table["size"]).tolist()


def one_option_a_line(*lines, header="layer,group,bits,size,loss"):
    return "\n".join([header, *lines]) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            one_option_a_line("a,attn,4,9,1", "a,atn,8,9,0"),
            r"line 3: layer 'a' has group 'atn', before 'attn': expected one group a layer",
        ),
        (one_option_a_line("a,attn,4,9,1", "b,Attn,4,9,1"), r"line 3: group 'Attn' is 'attn' before"),
        (one_option_a_line("a,x,4,9,1", "a,y,8,9,0", header="layer,tie,bits,size,loss"), "has tie 'y', before 'x'"),
    ],
)
def test_a_layer_has_one_group_and_one_tie(tmp_path, text, message):
    path = tmp_path / "layers.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_layers(path)


def test_an_option_without_a_group_has_that_of_its_layer(tmp_path):
    path = tmp_path / "layers.csv"
    path.write_text(one_option_a_line("a,,4,9,1", "a,x,8,9,0", "b,,4,9,1"))
    assert read_layers(path)["group"].tolist() == ["x", "x", ""]
    frame = pd.DataFrame(
        {"layer": ["a", "a"], "group": pd.Categorical(["g", None]), "bits": [4, 8], "loss": [2.0, 1.0]}
    )
    assert explorer.allocate(frame.assign(size=1), budget=8).bits == {"a": 8}


def test_a_frame_with_columns_of_several_levels_is_refused():
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("layer", "x"), ("bits", "y")]))
    with pytest.raises(InputError, match="columns have 2 levels"):
        read_layers(frame)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("a;4;1.024;0,5", "a;8;1.024;0,1"), r"line 2: size = '1.024'|line 2: loss"),
        (("a;4;1,024;0.5", "a;8;1,024;0.1"), "expected one decimal mark"),
        (("a;4;12.000;5", "a;8;12.000;1"), "line 2: size = '12.000' may be a decimal mark or separate thousands"),
        (("a;4;1,5;0,25", "a;8;1,5;0,1"), "line 2: size = 1.5: expected a whole number"),
    ],
)
def test_separators_of_thousands_are_refused(tmp_path, lines, message):
    path = tmp_path / "layers.csv"
    path.write_text(one_option_a_line(*lines, header="layer;bits;size;loss"))
    with pytest.raises(InputError, match=message):
        explorer.allocate(path, budget=6)


def test_sizes_are_whole_numbers(tmp_path):
    path = tmp_path / "layers.csv"
    path.write_text(one_option_a_line("a,4,1.024,1", "a,8,1.024,0", header="layer,bits,size,loss"))
    with pytest.raises(InputError, match=r"line 2: size = 1\.024: expected a whole number"):
        explorer.allocate(path, budget=6)


def test_multiply_accumulates_belong_to_a_layer():
    frame = pd.DataFrame({"layer": ["a", "a"], "bits": [4, 8], "act_bits": [8, 8], "macs": [10, 1], "loss": [1.0, 0.0]})
    with pytest.raises(InputError, match="layer 'a' has macs 1, before 10: bit-ops needs one macs a layer"):
        explorer.allocate(frame, constraints=["bit-ops<=100"])


def test_brackets_are_those_of_names():
    frame = pd.DataFrame(
        {"layer": ["m[0].q"] * 2 + ["m0.q"] * 2, "bits": [4, 8] * 2, "size": 1, "loss": [2.0, 1.0] * 2}
    )
    assert explorer.allocate(frame, budget=8, allow={"m[0].*": [4]}).bits == {"m[0].q": 4, "m0.q": 8}


def test_columns_that_cannot_be_meant_are_listed(tmp_path):
    text = "layer,group,bits,size,loss,teis,actbits,ms\na,g,4,100,1,x,8,3\na,g,8,100,0,x,8,4\n"
    assert explorer.allocate(written(tmp_path, text), 6.0).notes == ("columns that are not read: 'teis', 'actbits'",)


def test_a_name_with_a_control_character_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"line 2: layer = 'a.x00': expected no control characters"):
        read_layers(written(tmp_path, HEAD + ROWS.replace("a,", "a\0,", 1)))
