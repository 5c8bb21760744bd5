"""A user's own file that hides one of our packages is noticed at import, and named."""

import subprocess
import sys

import pytest

import hwsim
from hwsim import _shadow

COMMANDS = {
    "import hwsim": ["-c", "import hwsim"],
    "import explorer": ["-c", "import explorer"],
    "explorer.commands.app": ["-m", "explorer.commands.app"],
}


def python(folder, *arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def last_line(finished):
    return finished.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("command", list(COMMANDS))
def test_models_py_beside_the_user(tmp_path, command):
    (tmp_path / "models.py").write_text("raise SystemExit('the user module ran')\n")
    finished = python(tmp_path, *COMMANDS[command])
    assert finished.returncode == 1 and "the user module ran" not in finished.stderr
    assert last_line(finished) == (
        f"ImportError: hwsim brings its own package named 'models', but Python finds {tmp_path / 'models.py'} first: "
        "rename that file, or run from another folder"
    )
    # One error, not a chain of them.
    assert finished.stderr.count("Error: ") == 1


@pytest.mark.parametrize("name", ["hwbase.py", "costmodel.py", "models/__init__.py"])
def test_other_names_and_packages(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    finished = python(tmp_path, "-c", "import hwsim")
    assert finished.returncode == 1 and str(tmp_path / name) in last_line(finished)


def test_a_folder_of_models_without_code_is_harmless(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "weights.bin").write_bytes(b"")
    finished = python(tmp_path, "-c", "import hwsim; print(hwsim.__version__)")
    assert (finished.returncode, finished.stdout.strip()) == (0, hwsim.__version__)


def test_nothing_found_is_said(monkeypatch):
    monkeypatch.setattr(_shadow, "_OURS", ("no_such_package_at_all",))
    with pytest.raises(ImportError, match="'no_such_package_at_all', but Python finds nothing that can be imported"):
        _shadow.refuse_shadows()
