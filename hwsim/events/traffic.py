"""Traffic: the arrivals of requests at a machine, with the lengths of their prompts and outputs.

Open traffic has arrival times (Poisson, bursty, a trace); closed traffic has users who send their next request some
time after the answer to their last one. All draws come from a seed, so equal seeds give equal traffic.
"""

import csv
import difflib
import io
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwbase import InputError, Record
from hwbase.check import Number, count, non_negative, number, real
from hwbase.parsing import read_text
from hwbase.values import read_count, read_integer, read_value

if TYPE_CHECKING:
    import pandas as pd

#: Most requests, and most tokens of one; more is taken as a mistake.
MOST_REQUESTS, MOST_TOKENS = 100_000_000, 1e8
#: Most lines of a trace, and its largest file.
MOST_ROWS, _MOST_BYTES = 10_000_000, 2**29
#: Seconds of the latest clock, the year 2300; clocks of smaller units are beyond it.
LATEST_S = 330 * 365.25 * 86400.0
#: The end of a time stamp with a time zone.
_ZONE = r"(?:Z|[+-]\d{2}:?\d{2})\s*$"
#: Columns of a trace with their accepted names (the second ones are those of the Azure LLM inference traces).
COLUMNS = {
    "arrival_s": ("arrival_s", "TIMESTAMP"),
    "prompt_tokens": ("prompt_tokens", "ContextTokens"),
    "output_tokens": ("output_tokens", "GeneratedTokens"),
}
OPTIONAL = {"priority": ("priority",), "cancel_s": ("cancel_s",)}


@dataclass(frozen=True, eq=False)
class Traffic(Record):
    """Requests by index, in order of arrival.

    `arrival_s` float64 (requests,), in order; `prompt_tokens`, `output_tokens` int64 (requests,), at least 1;
    `priority` int64 (requests,), smaller is served first; `cancel_s` float64 (requests,), time after arrival at which
    the user gives up (inf: never). With `users` > 0 the traffic is closed: that many users take the next request of the
    list `think_s` after their last one ended, and `arrival_s` is not used.
    """

    name: str
    arrival_s: np.ndarray
    prompt_tokens: np.ndarray
    output_tokens: np.ndarray
    priority: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    cancel_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    users: int = 0
    think_s: float = 0.0

    def __post_init__(self) -> None:
        n = np.size(self.arrival_s)
        if n == 0:
            raise InputError(f"traffic {self.name!r} is empty: expected at least one request")
        defaults = {"priority": np.zeros(n, dtype=np.int64), "cancel_s": np.full(n, np.inf)}
        for name, default in defaults.items():
            if np.size(getattr(self, name)) == 0:
                object.__setattr__(self, name, default)
        checked = {
            "arrival_s": np.asarray(non_negative("arrival_s", self.arrival_s)),
            "prompt_tokens": _whole("prompt_tokens", self.prompt_tokens),
            "output_tokens": _whole("output_tokens", self.output_tokens),
            "priority": np.asarray(number("priority", self.priority, whole=True), dtype=np.int64),
            "cancel_s": np.asarray(number("cancel_s", self.cancel_s, above=0.0, high=np.inf)),
        }
        for name, array in checked.items():
            if array.shape != (n,):
                raise InputError(f"{name} has shape {array.shape}: expected ({n},), one for each request")
            object.__setattr__(self, name, array)
        late = np.flatnonzero(np.diff(checked["arrival_s"]) < 0.0)
        if late.size:
            raise InputError(f"arrival_s falls at request {late[0] + 1}: expected times in order")
        count("users", self.users, low=0, high=1e9)
        non_negative("think_s", self.think_s)

    def __len__(self) -> int:
        return int(self.arrival_s.size)

    @property
    def tokens(self) -> int:
        """Prompt and output tokens of all requests."""
        return int(self.prompt_tokens.sum() + self.output_tokens.sum())

    def faster(self, factor: float) -> "Traffic":
        """Return the same requests `factor` times as dense in time."""
        scale = real("factor", factor, above=0.0)
        return replace(self, name=f"{self.name} x {scale:g}", arrival_s=self.arrival_s / scale)

    def first(self, requests: int) -> "Traffic":
        """Return the first `requests` requests (all, if there are fewer)."""
        n = read_integer("requests", requests, high=MOST_REQUESTS)
        parts = ("arrival_s", "prompt_tokens", "output_tokens", "priority", "cancel_s")
        return replace(self, **{name: getattr(self, name)[:n] for name in parts})

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each request, with the columns of `read_trace`."""
        import pandas as pd

        names = [*COLUMNS, *OPTIONAL]
        return pd.DataFrame({name: getattr(self, name) for name in names})


def poisson(
    rate_per_s: float, requests: int, *, prompt: Any = 1024, output: Any = 1024, seed: int = 0, name: str = "poisson"
) -> Traffic:
    """Return open traffic whose gaps are exponential with mean 1 / `rate_per_s`.

    Parameters
    ----------
    rate_per_s : float
        Mean rate of arrivals, 1/s.
    requests : int
        Number of requests.
    prompt, output : int or array
        Token counts: one number, or values to draw from with equal chances, such as a trace's column. Arrays of equal
        lengths are drawn in pairs.
    seed : int
        Seed of all draws.
    name : str
        Name of the traffic in results.

    Returns
    -------
    Traffic

    Raises
    ------
    InputError
        For rates and sizes out of range.

    Examples
    --------
    >>> traffic = poisson(10, 1000)
    >>> traffic.arrival_s.size, bool(90 < traffic.arrival_s[-1] < 110)
    (1000, True)
    """
    return bursty(rate_per_s, requests, 1.0, prompt=prompt, output=output, seed=seed, name=name)


def bursty(
    rate_per_s: float,
    requests: int,
    variation: float = 4.0,
    *,
    prompt: Any = 1024,
    output: Any = 1024,
    seed: int = 0,
    name: str = "bursty",
) -> Traffic:
    """Return open traffic with gamma-distributed gaps of mean 1 / `rate_per_s`.

    Parameters
    ----------
    rate_per_s : float
        Mean rate of arrivals, 1/s.
    requests : int
        Number of requests.
    variation : float
        Coefficient of variation of the gaps: 1 is Poisson; above it arrivals come in bursts.
    prompt, output : int or array
        Token counts, as in `poisson`.
    seed : int
        Seed of all draws.
    name : str
        Name of the traffic in results.

    Returns
    -------
    Traffic

    Raises
    ------
    InputError
        For rates and sizes out of range.
    """
    n = read_integer("requests", requests, high=MOST_REQUESTS)
    shape = 1.0 / real("variation", variation, high=1e3, above=0.0) ** 2
    random = np.random.default_rng(seed)
    rate = real("rate_per_s", read_value("rate_per_s", rate_per_s, "1/s"), above=0.0)
    gaps = random.gamma(shape, 1.0 / (rate * shape), n)
    prompts, outputs = _lengths(prompt, output, n, random)
    return Traffic(name, np.cumsum(gaps), prompts, outputs)


def closed_loop(
    users: int, requests: int, *, prompt: Any = 1024, output: Any = 1024, think_s: float = 0.0, seed: int = 0
) -> Traffic:
    """Return closed traffic: users who send a request, wait for its answer, and think.

    Parameters
    ----------
    users : int
        Number of users.
    requests : int
        Number of requests of all users together.
    prompt, output : int or array
        Token counts, as in `poisson`.
    think_s : float
        Time between an answer and the user's next request, s.
    seed : int
        Seed of all draws.

    Returns
    -------
    Traffic

    Raises
    ------
    InputError
        For sizes out of range.
    """
    people = read_integer("users", users, high=MOST_REQUESTS)
    n = read_integer("requests", requests, high=MOST_REQUESTS)
    prompts, outputs = _lengths(prompt, output, n, np.random.default_rng(seed))
    return Traffic(f"{people} users", np.zeros(n), prompts, outputs, users=people, think_s=think_s)


def read_trace(path: str | Path, *, time_scale: float = 1.0, longest: int | None = None) -> Traffic:
    """Return the traffic of a CSV file with arrival, prompt and output tokens, and optionally priority and cancel_s.

    Columns as in `COLUMNS`, others are not read; arrival in seconds or as time stamps, counted from the first. A number
    under TIMESTAMP has no unit and is refused, as is a clock in ms or ns under arrival_s. Times are multiplied by
    `time_scale` (0.5: twice as dense). `longest` is the largest number of tokens of a prompt with its output. Raises
    `InputError` with the line for files that are missing, empty, unsorted, or invalid.
    """
    import pandas as pd

    scale = real("time_scale", time_scale, above=0.0)
    where = f"trace {str(path)!r}"
    frame = _rows(path, where)
    columns = {name: _column(frame, names, where) for name, names in COLUMNS.items()}
    _no_misspelt(frame, where)
    if frame.empty:
        raise InputError(f"{where} has no requests: expected at least one line after the header")
    tokens: dict[str, Any] = {name: _tokens(columns[name], where) for name in ("prompt_tokens", "output_tokens")}
    arrival = _times(columns["arrival_s"], where)
    _no_line(np.diff(arrival, prepend=arrival[0]) < 0.0, columns["arrival_s"], where, "times in order")
    if longest is not None:
        whole = sum(tokens.values())
        expected = f"at most {longest:,} tokens with the output, the longest context"
        _no_line(whole > longest, columns["prompt_tokens"], where, expected)
    extras: dict[str, Any] = {}
    for name, names in OPTIONAL.items():
        if names[0] in frame.columns:
            values = pd.to_numeric(frame[names[0]], errors="coerce").to_numpy(float)
            good = np.isfinite(values) & (values == np.floor(values)) if name == "priority" else values > 0.0
            expected = "a whole number" if name == "priority" else "a number of seconds > 0, inf for never"
            _no_line(~good, frame[names[0]], where, expected)
            extras[name] = values
    return Traffic(Path(path).stem, (arrival - arrival[0]) * scale, **tokens, **extras)


def _rows(path: str | Path, where: str) -> "pd.DataFrame":
    """Return the cells of a CSV file as texts, indexed by their line; blank lines are skipped."""
    import pandas as pd

    try:
        text = read_text(Path(path), _MOST_BYTES)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    header: list[str] = []
    lines, rows = [], []
    line = 1
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                pass
            elif not header:
                header = [cell.strip() for cell in cells]
            elif len(cells) != len(header):
                raise InputError(f"{where}, line {line}: {len(cells)} cells: expected {len(header)}, as in the header")
            else:
                lines.append(line)
                rows.append(cells)
            if len(rows) > MOST_ROWS:
                raise InputError(f"{where} has more than {MOST_ROWS:,} requests: expected fewer, split it")
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{where}, line {line}: {error}: expected a CSV file with a header") from None
    if not header:
        raise InputError(f"{where} is empty: expected a CSV file with a header")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InputError(f"{where} has the column {twice!r} twice (line 1): expected once")
    return pd.DataFrame(rows, columns=header, index=lines, dtype=object)


def _column(frame: "pd.DataFrame", names: tuple[str, ...], where: str) -> "pd.Series":
    there = [name for name in names if name in frame.columns]
    if len(there) > 1:
        raise InputError(f"{where} has columns {' and '.join(there)}, which mean the same: expected one")
    if there:
        return frame[there[0]]
    others = ", ".join(map(str, frame.columns[:8]))
    raise InputError(f"{where} has no column {' or '.join(names)}: expected one besides {others} (line 1)")


def _no_misspelt(frame: "pd.DataFrame", where: str) -> None:
    """Raise `InputError` for a column that is not read, but whose name is next to that of an optional one."""
    optional = [name for names in OPTIONAL.values() for name in names]
    for column in frame.columns.difference([*optional, *(name for names in COLUMNS.values() for name in names)]):
        if near := difflib.get_close_matches(column.lower(), optional, n=1):
            raise InputError(f"{where}: column {column!r} is not read; did you mean {near[0]!r}? (line 1)")


def _tokens(column: "pd.Series", where: str) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(column, errors="coerce").to_numpy(float)
    good = (values >= 1.0) & (values <= MOST_TOKENS) & (values == np.floor(values))
    _no_line(~good, column, where, f"a whole number from 1 to {MOST_TOKENS:,.0f}")
    return values.astype(np.int64)


def _times(column: "pd.Series", where: str) -> np.ndarray:
    import pandas as pd

    seconds = pd.to_numeric(column, errors="coerce").to_numpy(float)
    if np.isnan(seconds).all():
        stamps = pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True)
        zoned = column.str.contains(_ZONE, regex=True)
        _no_line((zoned != zoned.iloc[0]).to_numpy(), column, where, "a time zone on all time stamps, or on none")
        gaps = (stamps - stamps.iloc[0]).dt.total_seconds().to_numpy(float)
        _no_line(np.isnan(gaps), column, where, "seconds, or a time stamp such as 2023-11-16 18:15:46.68")
        return gaps
    if column.name != "arrival_s":
        _no_line(np.isfinite(seconds), column, where, "a time stamp; numbers of seconds stand in a column arrival_s")
    _no_line(~(np.isfinite(seconds) & (seconds >= 0.0)), column, where, "a number of seconds >= 0")
    _no_line(seconds > LATEST_S, column, where, "seconds; a clock that counts ms, us or ns must be converted")
    return seconds


def _no_line(bad: np.ndarray, column: "pd.Series", where: str, expected: str) -> None:
    """Raise `InputError` for the first bad line."""
    if bad.any():
        row = int(np.argmax(bad))
        stated = f"{column.name} = {column.iloc[row]!r}"
        raise InputError(f"{where}, line {column.index[row]}: {stated}: expected {expected}")


def _whole(name: str, values: Number) -> np.ndarray:
    return np.asarray(count(name, values, high=MOST_TOKENS), dtype=np.int64)


def _lengths(prompt: Any, output: Any, n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    prompts, outputs = (
        np.atleast_1d(_whole(f"{k}_tokens", read_count(f"{k}_tokens", v)))
        for k, v in (("prompt", prompt), ("output", output))
    )
    picks = random.integers(0, prompts.size, n)
    paired = picks if outputs.size == prompts.size else random.integers(0, outputs.size, n)
    return prompts[picks], outputs[paired]
