"""Options are checked before a model is loaded or a text is embedded."""

import pytest


@pytest.mark.parametrize(
    ("line", "work", "message"),
    [
        ("infer --prompt hi --set clock_hert=1", "explorer.inference.infer.load_session", "'clock_hz'"),
        ("infer --prompt hi --book no.toml", "explorer.inference.infer.load_session", "no.toml"),
        ("retrieve study --queries 0", "explorer.commands.retrieve.study", "queries = 0"),
        ("retrieve study --set region=frnce", "explorer.commands.retrieve.study", "did you mean 'france'"),
    ],
)
def test_options_are_checked_before_the_work(command, monkeypatch, line, work, message):
    monkeypatch.setattr(work, lambda *_, **__: pytest.fail("began"))
    status, out, err = command(*line.split())
    assert (status, out) == (2, "") and message in err
