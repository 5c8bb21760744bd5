"""`hwsim study run` as a process: what goes to the screen while it runs."""

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest
from study_commands import GOOD, plane_file, strict


@pytest.mark.slow
def test_a_pipe_gets_results_alone(study_file):
    arguments = [
        sys.executable,
        "-c",
        "from explorer.commands.app import main; main()",
        "study",
        "run",
        "--trust",
        study_file(),
        "--json",
    ]
    found = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert found.stderr == "" and strict(found.stdout)["summary"]["points"] == 60


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_functions_that_print_and_leave(workers, study_file):
    """Results alone on standard output; a function that ends the program ends a row."""
    text = plane_file("objectives", "cost = 'min'", "points = 24").replace("plane", "chatty")
    arguments = [
        sys.executable,
        "-c",
        "from explorer.commands.app import main; main()",
        "study",
        "run",
        "--trust",
        study_file(text),
    ]
    found = subprocess.run([*arguments, "--json", "--workers", workers], capture_output=True, text=True, check=True)
    assert found.stderr.count("computing") == 24
    summary = strict(found.stdout)["summary"]
    assert summary["failed"] > 0 and summary["failures"] == {"SystemExit: enough": summary["failed"]}


@pytest.mark.slow
def test_a_terminal_gets_the_time_left_and_the_front(study_file):
    text = GOOD.replace("plane", "slow").replace("y = { low = 0.0, high = 0.9 }\n", "")
    arguments = [
        sys.executable,
        "-c",
        "from explorer.commands.app import main; main()",
        "study",
        "run",
        "--trust",
        study_file(text),
    ]
    main, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    process = subprocess.Popen(
        [*arguments, "--workers", "1"], stdout=subprocess.PIPE, stderr=terminal, env=environment, close_fds=True
    )
    os.close(terminal)
    seen, deadline = b"", time.monotonic() + 120
    with contextlib.suppress(OSError):  # the terminal is gone when the process is
        while time.monotonic() < deadline:
            if select.select([main], [], [], 0.1)[0]:
                seen += os.read(main, 65536)
    os.close(main)
    out, _ = process.communicate(timeout=60)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert process.returncode == 0
    assert re.search(r"\d+/60", shown) and "left" in shown and re.search(r"left 0:\d\d:\d\d", shown)
    assert re.search(r"front [\d,]+: cost [\d.e-]+, speed [\d.e-]+", shown)
    assert "front" not in out.decode().split("points")[0] and "the knee" in out.decode()
