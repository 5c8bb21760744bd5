"""The command line, as every test calls it."""

import sys

import pytest

from explorer import cli


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
