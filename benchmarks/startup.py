"""What starting costs: processor time of imports and commands, beside that of importing NumPy in the same run."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks.measure import Measure

RUNS = 7
PEER = "import numpy"
_COMMAND = "from explorer.commands.app import main; main({!r})"
CASES = {
    "import hwsim": "import hwsim",
    "import explorer": "import explorer",
    "hwsim --version": _COMMAND.format(["--version"]),
    "hwsim --help": _COMMAND.format(["--help"]),
    "hwsim models": _COMMAND.format(["models"]),
    "hwsim simulate gpt-oss-120b": _COMMAND.format(["simulate", "gpt-oss-120b"]),
    "hwsim report gpt-oss-120b": _COMMAND.format(["report", "gpt-oss-120b"]),
}


def cpu_s(code: str, folder: str, compiled: str) -> float:
    """Return the processor seconds, its own and the system's, of a Python process that runs `code` in `folder`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=_environment(compiled), stdout=subprocess.DEVNULL, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _environment(compiled: str) -> dict[str, str]:
    """One thread, so that waiting threads of linear algebra are not counted; modules as this process finds them.

    Modules are compiled once, into the folder `compiled`, as those of an installed package are.
    """
    paths = [path or os.getcwd() for path in sys.path]  # noqa: PTH109
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONPYCACHEPREFIX": compiled,
    }


def measures(quick: bool) -> Iterator[Measure]:
    """Yield the median processor time of each case, all taken in turn."""
    runs = 1 if quick else RUNS
    codes = {PEER: "import numpy", **CASES}
    times: dict[str, list[float]] = {name: [] for name in codes}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as compiled:
        for code in codes.values():
            cpu_s(code, folder, compiled)
        for _ in range(runs):
            for name, code in codes.items():
                times[name].append(cpu_s(code, folder, compiled))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name in CASES:
        yield Measure(name, medians[name], "CPU s", PEER, medians[PEER])
