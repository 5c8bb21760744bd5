"""The command line, as every test calls it; and processes that leave each other a core."""

import hashlib
import json
import os
import sys
from functools import cache
from pathlib import Path

import jsonschema
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes whose products each take all cores get in each other's way, five times slower. Set before the
    # first import of NumPy, and for the processes that tests start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from explorer import writing
from explorer.commands import app as cli
from explorer.commands import output, report
from explorer.documents import files
from explorer.documents import schema as schemas

#: A document that a test builds itself has no schema.
OWN_DOCUMENT = "hwsim/document/1"


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


@cache
def validator(name):
    """Return the validator of the schema called `name`, which is itself checked once."""
    schema = schemas.schema(name)
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return kind(schema)


@pytest.fixture(autouse=True, scope="session")
def valid_json():
    """Check everything that a command writes as JSON against its schema; keep it where samples are collected."""
    samples = os.environ.get("HWSIM_JSON_SAMPLES")

    def checked(data):
        text = writing.json_text(data)
        if isinstance(data, dict) and "schema" in data:
            value = json.loads(text)
            if samples:
                Path(samples, f"{hashlib.sha256(text.encode()).hexdigest()}.json").write_text(text, encoding="utf-8")
            elif value["schema"] != OWN_DOCUMENT:
                validator(value["schema"]).validate(value)
        return text

    with pytest.MonkeyPatch.context() as patch:
        for module in (output, files, report):
            patch.setattr(module, "json_text", checked)
        yield
