"""What starting costs: packages and the command's own answers load nothing that they do not need."""

import importlib
import subprocess
import sys

import pytest

from explorer.commands.parser import command_line

#: Libraries that take a second to load, or part of one.
HEAVY = ("pandas", "scipy", "plotly", "pydantic", "pint", "simpy", "jinja2", "numpy", "typer")
PACKAGES = ("hwbase", "models", "costmodel", "hwsim", "explorer")


def loaded_after(code):
    """Return the heavy libraries that a process has loaded after `code`."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\n"
    script += f"sys.stderr.write(' '.join(name for name in {HEAVY!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    return run.stderr.split()


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_no_library(package):
    assert loaded_after(f"import {package}") == []


@pytest.mark.parametrize("argument", ["--version", "--help"])
@pytest.mark.slow
def test_what_needs_no_parser_loads_no_library(argument):
    assert loaded_after(f"from explorer.commands.app import main; main([{argument!r}])") == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package):
    module = importlib.import_module(package)
    assert set(module.__all__) <= set(dir(module))
    assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = module.nothing


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_hides_a_public_function(package):
    """Importing `package.name` would put the module in place of the function."""
    for name in importlib.import_module(package).__all__:
        value = getattr(importlib.import_module(package), name)
        try:
            module = importlib.import_module(f"{package}.{name}")
        except ModuleNotFoundError:
            continue
        assert value is module, name


def test_the_list_of_commands_is_that_of_the_help(command):
    status, out, err = command("--help")
    assert (status, err) == (0, "")
    root = command_line()
    for name, each in root.commands.items():
        assert name in out and each.help.split()[0] in out


@pytest.mark.slow
def test_shell_completion(monkeypatch, capsys):
    script = "from explorer.commands.app import main; main([])"
    words = {"COMP_WORDS": "hwsim compare-s", "COMP_CWORD": "1", "_HWSIM_COMPLETE": "complete_bash"}
    run = subprocess.run([sys.executable, "-c", script], env=words, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout.strip()) == (0, "compare-serving")
