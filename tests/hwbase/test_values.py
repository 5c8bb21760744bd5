"""Values as people write them: with units, with suffixes, in lists."""

import numpy as np
import pytest

import hwsim
from hwbase import InputError
from hwbase.values import read_count, read_value


@pytest.mark.parametrize(
    ("given", "unit", "value"),
    [
        ("5 ms", "s", 0.005),
        ("5ms", "s", 0.005),
        ("128GB/s", "B/s", 128e9),
        ("1e3 B / s", "B/s", 1000.0),
        ("18 kUSD", "USD", 18_000.0),
        ("18", "USD", 18.0),
        ("64K", "token", 65_536.0),
        ("64 k", "1", 65_536.0),
        ("1M", "1", 1_048_576.0),
        ("1.5K", "1", 1536.0),
        ("249,960", "1", 249_960.0),
        ("65_536", "token", 65_536.0),
        (".5", "1", 0.5),
        ("-3", "1", -3.0),
        ("20 %", "1", 0.2),
        (18, "USD", 18),
    ],
)
def test_values(given, unit, value):
    assert read_value("x", given, unit) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("given", "unit"),
    [
        *(
            ("", "1"),
            ("nan", "1"),
            ("inf", "s"),
            ("1e999", "1"),
            ("_", "1"),
            ("five", "s"),
            ("1,5", "1"),
            ("1.2.3", "1"),
        ),
        # A suffix is for counts alone, and bytes are no pure numbers.
        *(("64K", "B/s"), ("5 m", "s"), ("1 B", "1"), ("16 chip", "1"), ("3 wombats", "USD")),
    ],
)
def test_what_cannot_be_read_names_the_field_and_the_value(given, unit):
    with pytest.raises(InputError) as error:
        read_value("field_x", given, unit)
    assert "field_x" in str(error.value) and given in str(error.value)


def test_lists():
    np.testing.assert_allclose(read_value("x", ["64 GB/s", 1e9], "B/s"), [64e9, 1e9])
    np.testing.assert_array_equal(read_count("x", ("2K", 4096)), [2048, 4096])
    np.testing.assert_array_equal(read_count("x", np.array(["2K", "3"])), [2048, 3])
    given = [1, 2.5]
    assert read_value("x", given, "s") is given and read_count("x", given) is given


def test_counts():
    assert read_count("x", "64K") == 65_536 and read_count("x", None) is None and read_count("x", 3) == 3
    for text in ("1.5", "1,5", "12 chips", "", "5 ms", "1 B"):
        with pytest.raises(InputError, match=r"^x = .*: expected a whole number(, such as 8 or 64K)?$"):
            read_count("x", text)
    with pytest.raises(InputError, match=r"^gpus = '1.5': expected a whole number$"):
        read_count("gpus", "1.5")


def test_long_texts_are_cut_in_messages():
    with pytest.raises(InputError) as error:
        read_value("x", "9" * 5000, "1")
    assert len(str(error.value)) < 300


def test_a_simulation_reads_contexts_as_the_command_line_does():
    lists = hwsim.simulate("gpt-oss-120b", context=["2K", "64K"]).tokens_per_s
    np.testing.assert_array_equal(lists, hwsim.simulate("gpt-oss-120b", context=np.array([2048, 65536])).tokens_per_s)
    assert hwsim.simulate("gpt-oss-120b", context="64K").tokens_per_s == lists[1]
    with pytest.raises(InputError, match="context = '64 KB'"):
        hwsim.simulate("gpt-oss-120b", context="64 KB")


@pytest.mark.slow
def test_python_doors_read_values_as_the_command_line_does():
    import explorer
    from hwsim.events.traffic import poisson

    assert explorer.cost(context="2K", volume="1e3") == explorer.cost(context=2048, volume=1000)
    assert poisson("10 1/s", "1K", prompt="2K", output="128") == poisson(10.0, 1024, prompt=2048, output=128)
    assert explorer.compare_tools("8.27 cm**2").rows == explorer.compare_tools(827.0).rows
    with pytest.raises(InputError, match="volume = 'many'"):
        explorer.cost(volume="many")
