"""Long commands speak where there is no screen: a line a minute on standard error, none in the first."""

import io

import pytest
from rich.console import Console

from explorer.commands import progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_pipe_gets_a_line_a_minute(clock):
    stream = io.StringIO()
    with progress.progress_bar(Console(file=stream)) as report:
        for second in range(200):
            clock[0] = 100.0 + second
            report("layers [all]", second, 1200)
    assert stream.getvalue().splitlines() == [f"hwsim: layers [all]: {n} of 1,200" for n in (60, 120, 180)]


def test_a_short_command_says_nothing(clock):
    stream = io.StringIO()
    with progress.progress_bar(Console(file=stream)) as report:
        report("layers", 1, 2)
    assert stream.getvalue() == ""
