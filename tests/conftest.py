"""The command line, as every test calls it; and processes that leave each other a core."""

import os
import sys

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes whose products each take all cores get in each other's way, five times slower. Set before the
    # first import of NumPy, and for the processes that tests start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from explorer.commands import app as cli


@pytest.fixture
def command(capsys, monkeypatch):
    """Run `hwsim` with arguments; returns (exit status, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hwsim", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run
