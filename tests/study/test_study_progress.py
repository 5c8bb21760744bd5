"""What a running study shows, and what it keeps in memory."""

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import study_cases
from rich.console import Console

from explorer.commands.progress import progress_bar
from explorer.commands.study import Live
from explorer.study import Study, pieces, run

STUDY = Study(
    {"x": (0.0, 1.0), "y": (0.0, 0.9)},
    evaluate=study_cases.plane,
    points=80,
    objectives={"cost": "min", "speed": "max"},
    constraints={"some": "x > 0.1"},
    name="[/red] plane",
)


def shown(terminal, study=STUDY):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=200)
    with progress_bar(console) as report:
        live = Live(study, report)
        result = run(study, workers=1, watch=live.watch)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()), live, result


def test_the_front_as_it_stands_is_the_front_in_the_end():
    text, live, result = shown(terminal=True)
    best = result.front()
    assert live.front is not None
    pd.testing.assert_frame_equal(
        live.front.sort_values(["cost", "speed"]).reset_index(drop=True),
        best[["cost", "speed"]].sort_values(["cost", "speed"]).reset_index(drop=True),
    )
    assert f"front {len(best)}: cost" in text and "80/80" in text and "points of [/red] plane" in text


def test_on_a_pipe_nothing_is_shown():
    text, _, _ = shown(terminal=False)
    assert text == ""


@pytest.mark.parametrize(
    "function", [lambda x: {"cost": float("nan")}, lambda x: {"cost": 1.0 / 0.0}, lambda x: {"cost": float("inf")}]
)
def test_nothing_good_yet(function):
    study = Study({"x": (0.0, 1.0)}, evaluate=function, points=20, objectives={"cost": "min"})
    text, live, _ = shown(terminal=True, study=study)
    assert "20/20" in text and "front" not in text and (live.front is None or live.front.empty)


def test_what_was_there_already_does_not_count_as_speed():
    """The bar starts from it, but a thousand points in no time say nothing of those to come."""
    screen = io.StringIO()
    with progress_bar(Console(file=screen, force_terminal=True, width=120)) as report:
        Live(STUDY, report).watch(72, 80, None)
    assert "72/80" in screen.getvalue() and "-:--:--" in screen.getvalue() and "0:00:0" not in screen.getvalue()


def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.slow
def test_memory_does_not_grow_with_the_points(tmp_path, monkeypatch):
    """A hundred megabytes of results pass through a few."""
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(pieces, "VECTORISED_ROWS", 20_000)

    def function(x):
        return {f"column_{i}": np.sin(i * x) for i in range(12)}

    study = Study({"x": (0.0, 1.0)}, evaluate=function, vectorised=True, points=1_000_000, sampler="random")
    seen = []
    try:
        resident_mb()
    except OSError:
        pytest.skip("the system does not tell")
    run(study, tmp_path / "out", workers=1, watch=lambda done, total, table: seen.append(resident_mb()))
    assert len(seen) == 50 and seen[-1] - seen[4] < 25
    assert sum(path.stat().st_size for path in (tmp_path / "out").glob("part-*")) > 50e6
