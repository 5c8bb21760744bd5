"""Where studies are run into, what the small one comes to, and a study as a file."""

from pathlib import Path

import pytest
from study_commands import GOOD
from study_stored import PLANE


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def expected():
    return PLANE.run(workers=1).frame


@pytest.fixture
def study_file(tmp_path, monkeypatch):
    """A function that writes a study; processes find its functions in study_cases."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))

    def write(text=GOOD):
        path = tmp_path / "study.toml"
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def folder(study_file, tmp_path, command):
    """The name of a folder with the results of a study."""
    name = str(tmp_path / "plane")
    assert command("study", "run", "--trust", study_file(), "--workers", "1", "--out", name)[0] == 0
    return name
