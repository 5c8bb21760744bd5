"""Number formats against ml_dtypes and the specifications, by hand and as a file that may be wrong."""

import ml_dtypes
import numpy as np
import pytest

from hwbase import FORMATS, InputError, NumberFormat, number_format
from hwbase.formats import MOST_LISTED_BITS, read_formats

LISTED = [name for name, each in FORMATS.items() if each.bits <= MOST_LISTED_BITS]
FLOATS = [name for name, each in FORMATS.items() if each.kind == "float" and each.dtype_name]


@pytest.mark.parametrize("name", [name for name in LISTED if FORMATS[name].dtype_name])
def test_values_are_those_of_the_numpy_type(name):
    each = FORMATS[name]
    codes = np.arange(2**each.bits, dtype=np.uint8 if each.bits <= 8 else np.uint16)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(each.code_values, codes.view(each.dtype).astype(np.float64))


@pytest.mark.parametrize("name", FLOATS)
def test_floats_have_the_parameters_of_the_numpy_type(name):
    each, known = FORMATS[name], ml_dtypes.finfo(FORMATS[name].dtype)
    assert (each.bits, each.highest, each.lowest) == (known.bits, float(known.max), float(known.min))
    assert each.mantissa_bits == known.nmant and each.least == float(known.smallest_subnormal)


@pytest.mark.parametrize("name", LISTED)
def test_extremes_are_those_of_the_values(name):
    each = FORMATS[name]
    finite = each.code_values[np.isfinite(each.code_values)]
    assert (each.lowest, each.highest) == (finite.min(), finite.max())
    assert each.least == finite[finite > 0].min()


def test_values_by_hand():
    assert FORMATS["fp4"].code_values[:8].tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert FORMATS["int2"].code_values.tolist() == [0, 1, -2, -1] and FORMATS["int1"].code_values.tolist() == [-1, 1]
    assert FORMATS["e8m0"].code_values[[0, 127]].tolist() == [2.0**-127, 1.0]
    assert not FORMATS["fp4"].code_values.flags.writeable


@pytest.mark.parametrize(
    ("name", "bits"),
    [("nvfp4", 4 + 8 / 16), ("mxfp4", 4 + 8 / 32), ("fp4", 4), ("bf16", 16), ("FP8", 8), ("float32", 32), ("int3", 3)],
)
def test_bits_of_a_weight_include_the_scales(name, bits):
    assert number_format(name).bits_per_weight == bits


def test_groups_that_do_not_divide_have_a_scale_for_each_begun_group():
    int4 = FORMATS["int4"]
    # 64 inputs begin one group of 96, 200 begin three.
    assert int4.grouped(96).stored_bits(64, 10) == 10 * (64 * 4 + 16)
    assert int4.grouped(96).stored_bits(200, 10) == 10 * (200 * 4 + 3 * 16)
    assert FORMATS["uint4"].grouped(32, "bf16", "uint4").stored_bits(33) == 33 * 4 + 2 * (16 + 4)
    assert FORMATS["nvfp4"].stored_bits(16, 3) == 3 * (16 * 4 + 8) + 32
    assert int4.grouped(None).stored_bits(200, 10) == 10 * (200 * 4 + 16) and int4.grouped(None).bits_per_weight == 4
    assert FORMATS["int8"].stored_bits(200, 10) == 200 * 10 * 8


def test_names_ignore_case_and_unknown_ones_get_the_nearest():
    assert number_format("BF16") is number_format("bfloat16") is FORMATS["bf16"]
    assert number_format(FORMATS["int4"]) is FORMATS["int4"]
    for name, message in [
        ("mxfp4x", "did you mean 'mxfp4'"),
        ("nvfp", "did you mean 'nvfp4'"),
        ("bfloat6", "did you mean 'bfloat16'"),
    ]:
        with pytest.raises(InputError, match=f"unknown weight format .*{message}"):
            number_format(name, "weight format")
    with pytest.raises(InputError, match=r"unknown number format 'zz'; expected one of: fp8_e4m3, int4$"):
        number_format("zz", among=("int4", "fp8_e4m3"))


def test_a_new_format_is_one_entry(tmp_path):
    path = tmp_path / "formats.toml"
    path.write_text(
        '[s]\nlabel = "S"\nkind = "float"\nbits = 3\nsigned = false\nexponent_bits = 2\nmantissa_bits = 1\nbias = 1\n'
        'source = "a test"\nyear = 2026\n[g]\nextends = "s"\nlabel = "G"\ngroup = 4\nscale = "s"\n'
    )
    formats = read_formats(path)
    assert formats["s"].code_values.tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert formats["g"].bits_per_weight == 3.75 and formats["g"].element == "s" and formats["g"].highest == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[a]\nextends = "b"', "unknown format that a extends"),
        ('[a]\nlabel = "A"\nkind = "integer"\nsource = "x"\nyear = 2026', "formats.toml: a: bits is missing"),
        ('[a]\nlabel = "A"\nkind = "integer"\nbits = 2\nsource = "x"\nyear = 2026\nscale = "b"', "unknown scale of a"),
        ('[a]\nlabel = "A"\nkind = "integr"\nbits = 2\nsource = "x"\nyear = 2026', "a: kind = 'integr'"),
        ('[a]\nlabel = "A"\nkind = "integer"\nbit = 2\nsource = "x"\nyear = 2026', "did you mean 'bits'"),
        ('[a]\nlabel = "A"\nkind = "float"\nbits = 4\nsource = "x"\nyear = 2026', "bits = 4: expected sign, exponent"),
        ('[a]\nlabel = "A"\nkind = "table"\nbits = 1\nsource = "x"\nyear = 2026', "table has 0 values"),
        ('[a]\nlabel = "A"\nkind = "integer"\nbits = 2\ngroup = 8\nsource = "x"\nyear = 2026', "group = 8: expected"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path, text, message):
    path = tmp_path / "formats.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_formats(path)


def test_what_a_format_does_not_have_is_refused():
    with pytest.raises(InputError, match="fp32 has 32 bits"):
        _ = FORMATS["fp32"].code_values
    with pytest.raises(InputError, match="int3 has no NumPy type"):
        _ = FORMATS["int3"].dtype
    with pytest.raises(InputError, match="group = 0"):
        FORMATS["int4"].grouped(0)
    assert isinstance(FORMATS["int4"], NumberFormat) and FORMATS["mxfp4"].to_dict()["scale"]["name"] == "e8m0"
