"""A study: its parameters, outputs, constraints and objectives; from Python or from a TOML file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.pareto import Direction
from explorer.study.expressions import check_columns, parse
from explorer.study.identity import check_fixed, digest_of
from explorer.study.sampling import DISTINCT, SAMPLERS, check_size, finite_size, grid_size, suited_sampler
from explorer.study.space import Choice, Integer, Parameter, check_conditions, parameter
from explorer.study.targets import Elsewhere, Target, names_code, target
from hwbase import InputError, Record, unknown_name
from hwbase.arguments import checked
from hwbase.check import count, integer
from hwbase.columns import OUTPUT_PREFIX, column
from hwbase.errors import shown
from hwbase.parsing import read_toml

if TYPE_CHECKING:
    from explorer.study.result import StudyResult

EXAMPLES = Path(__file__).parent / "examples"
#: Learns from generation to generation in place of sampling.
SEARCH = "nsga2"
#: Default number of points.
DEFAULT_POINTS = 1024
#: Most points and parameters; more is taken as a mistake.
MOST_POINTS, MOST_PARAMETERS = 10**9, 1000
#: Sections of a study file besides [study]; they are the fields of the same name.
_SECTIONS = ("parameters", "fixed", "derived", "constraints", "objectives")
_HEADER = ("name", "title", "evaluate", "vectorised", "sampler", "points", "seed", "population")
#: A table of a study file with one of these keys is a parameter, otherwise the first part of a dotted name.
_PARAMETER_KEYS = {"low", "high", "choices", "levels", "scale", "log", "whole", "when", "otherwise"}
#: A column of every study.
_OWN = ("point", "failure", "feasible")


@dataclass(frozen=True)
class Study(Record):
    """The parameters and objectives of a study; `run` evaluates it.

    Parameters
    ----------
    parameters : mapping
        Names (settings such as "technology", constants of books, "model.layers", ...) to ranges and choices, as
        `explorer.study.space.parameter` takes them. Values may have units: ("64 GB/s", "2 TB/s", "log"), ["2K", "64K"].
    evaluate : str or function
        "hardwired", "accelerator", "scan", "serving", or a function of the parameters.
    fixed : mapping
        Names to values that are the same at all points.
    derived : mapping
        Names of further columns to formulas.
    constraints : mapping
        Names to conditions, such as "latency_s <= 5 ms"; a point with an unknown value does not meet them.
    objectives : mapping or list
        Columns to "min" or "max"; a list of columns takes the better direction of the column registry.
    sampler : str, optional
        "grid", "random", "latin-hypercube", "sobol", "distinct" (Sobol points of a finite space, each design once) or
        "nsga2" (which needs objectives). Without one, a finite space of at most `points` designs is enumerated, a
        larger one is sampled as "distinct", and any other as "sobol"; `drawn_by` is the choice.
    points : int
        Number of points, 1,024 by default; a grid has its own number.
    seed : int
        Seed of the sampler.
    population : int
        Points of a generation of "nsga2".
    vectorised : bool, optional
        Whether the function takes arrays.
    name, title : str
        The name and title of the study.

    Raises
    ------
    InputError
        For inconsistent fields, and for a value that cannot be read.
    """

    parameters: Mapping[str, Any]
    evaluate: str | Callable[..., Any] = "hardwired"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    derived: Mapping[str, str] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)
    objectives: Mapping[str, Direction] = field(default_factory=dict)
    sampler: str | None = None
    points: int | None = None
    seed: int = 0
    population: int = 64
    vectorised: bool | None = None
    name: str = "study"
    title: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.objectives, (list, tuple)):
            object.__setattr__(self, "objectives", {str(name): _better(str(name)) for name in self.objectives})
        for section in _SECTIONS:
            if not isinstance(getattr(self, section), Mapping):
                raise InputError(f"{section} = {getattr(self, section)!r}: expected a mapping from names")
        if not self.parameters or len(self.parameters) > MOST_PARAMETERS:
            raise InputError(f"parameters: {len(self.parameters)} given, expected 1 to {MOST_PARAMETERS:,}")
        read = _read if self.target.named else None
        space = {str(name): parameter(str(name), described, read) for name, described in self.parameters.items()}
        check_conditions(space)
        object.__setattr__(self, "parameters", space)
        for section in _SECTIONS[1:]:
            # Copies, so that later changes outside do not affect this study.
            section_values = {str(name): _plain(value) for name, value in getattr(self, section).items()}
            if section == "fixed" and read:
                section_values = {name: read(name, value) for name, value in section_values.items()}
            object.__setattr__(self, section, section_values)
        for header in ("name", "title"):
            if not isinstance(getattr(self, header), str):
                raise InputError(f"{header} = {getattr(self, header)!r}: expected a text")
        self._check_names()
        self._check_formulas()
        if not isinstance(self.sampler, str | None) or self.sampler not in (None, *SAMPLERS, SEARCH):
            raise unknown_name("sampler", self.sampler, (*SAMPLERS, SEARCH))
        if self.sampler == SEARCH and not self.objectives:
            raise InputError("sampler 'nsga2' needs objectives: expected at least one column with 'min' or 'max'")
        object.__setattr__(self, "seed", _whole("seed", self.seed, 0, 2**32 - 1))
        object.__setattr__(self, "population", _whole("population", self.population, 2, 10_000))
        object.__setattr__(self, "points", self._points())

    @property
    def target(self) -> Target:
        """The evaluated target."""
        return target(self.evaluate, self.vectorised)

    @property
    def drawn_by(self) -> str:
        """The sampler: the named one, or the default for the space."""
        return self.sampler or suited_sampler(self.space, DEFAULT_POINTS if self.points is None else self.points)

    @property
    def space(self) -> Mapping[str, Parameter]:
        """The parameters, checked."""
        return self.parameters

    def run(self, out: str | Path | None = None, **how: Any) -> "StudyResult":
        """Return every point, evaluated; see `explorer.study.run`, which takes the same options."""
        from explorer.study.run import run

        return run(self, out, **how)

    def to_dict(self) -> dict[str, Any]:
        """Return the study in the form of a study file."""
        space = {}
        for name, each in self.space.items():
            kind = {"whole": True} if isinstance(each, Integer) else {}
            # Leave out fields that are not set: TOML has no null.
            fields = {k: v for k, v in vars(each).items() if v is not None and v is not False and v != {}}
            if each.otherwise is not None:
                fields["otherwise"] = each.otherwise
            space[name] = {k: dict(v) if isinstance(v, Mapping) else v for k, v in fields.items()} | kind
        sections = {section: dict(getattr(self, section)) for section in _SECTIONS[1:]}
        header = {key: getattr(self, key) for key in _HEADER if getattr(self, key) is not None}
        return {"study": header | {"evaluate": self.target.name}, "parameters": space} | sections

    def digest(self) -> str:
        """Return a SHA-256 of all that determines the results.

        It covers the study, the version, books, networks, named files, and a function's code: the whole module of a
        function given by name, otherwise its own source and the values it closes over.

        Two studies with equal digests have equal results, point by point.
        """
        parts = self.to_dict()
        parts["study"] = {key: value for key, value in parts["study"].items() if key not in ("name", "title")}
        # The order of parameters determines points, that of formulas columns.
        parts["order"] = [list(parts[section]) for section in _SECTIONS if section != "fixed"]
        return digest_of(parts, self._texts(), self.evaluate)

    def ground(self) -> str:
        """Return a SHA-256 of what the results depend on besides the study itself, which a worker must have too.

        A function given as an object is sent to the workers. Raises `InputError` if one given by name cannot be
        imported.
        """
        return digest_of(
            {"target": self.target.name}, self._texts(), self.evaluate if isinstance(self.evaluate, str) else ""
        )

    def _texts(self) -> list[str]:
        """Return values that may name files."""
        chosen = [choice for each in self.space.values() if isinstance(each, Choice) for choice in each.choices]
        return [value for value in (*self.fixed.values(), *chosen) if isinstance(value, str)]

    def _points(self) -> int:
        if self.sampler == "grid":
            size = count("points of the grid", grid_size(self.space), high=MOST_POINTS)
            if self.points is not None and self.points != size:
                raise InputError(f"points = {self.points}: the grid has {size:,}; leave points out")
            return int(size)
        points = _whole("points", DEFAULT_POINTS if self.points is None else self.points, 1, MOST_POINTS)
        if self.drawn_by == "grid":
            return grid_size(self.space)
        check_size(self.space, self.drawn_by, points)
        return min(points, finite_size(self.space) or points) if self.drawn_by == DISTINCT else points

    def _check_names(self) -> None:
        both = set(self.space) & set(self.fixed)
        if both:
            raise InputError(f"{min(both)} is both varied and fixed: expected one of the two")
        for name, value in self.fixed.items():
            check_fixed(name, value)
        evaluated = self.target
        if evaluated.check is not None:
            chosen = {name: each.choices for name, each in self.space.items() if isinstance(each, Choice)}
            evaluated.check({**{name: [value] for name, value in self.fixed.items()}, **chosen})
        valid = None if evaluated.known is None else evaluated.known(self.fixed)
        for name in (*self.space, *self.fixed):
            if name in evaluated.renamed:
                raise _renamed(name, evaluated.renamed[name])
            if valid is not None and name not in valid:
                raise unknown_name(f"field of {evaluated.name}:", name, valid)
            if name in _OWN or name.startswith("meets "):
                raise InputError(f"parameter {name}: every study has a column of this name; choose another")
        lacking = evaluated.needed - self.space.keys() - self.fixed.keys()
        if lacking:
            raise InputError(f"{evaluated.name} needs {min(lacking)}: expected it among the parameters or the fixed")

    def _columns(self) -> set[str] | None:
        """Return the columns that points have before anything is derived; None where only evaluating says it."""
        outputs = self.target.outputs
        if outputs is None:
            return None
        return {"point", *self.space, *(f"{OUTPUT_PREFIX}{name}" if name in self.space else name for name in outputs)}

    def _check_formulas(self) -> None:
        known = self._columns()
        for section, what in (("derived", "derived"), ("constraints", "constraint")):
            for name, text in getattr(self, section).items():
                tree = parse(f"{what} {name}", text)
                if known is not None:
                    check_columns(f"{what} {name}", tree, {*known, *self.fixed})
                    known |= {name} if section == "derived" else set()
        for name in self.derived:
            if name in self.space or name in self.fixed or name in _OWN or name.startswith("meets "):
                raise InputError(f"derived {name}: a column of this name is there already; choose another")
        for name, direction in self.objectives.items():
            if direction not in ("min", "max"):
                raise unknown_name(f"direction of {name}:", direction, ("min", "max"))
            each = self.space.get(name)
            if known is not None and name not in {*known, *_OWN, *self.fixed}:
                raise unknown_name("objective", name, known)
            if name in _OWN or name in self.fixed or (isinstance(each, Choice) and isinstance(each.choices[0], str)):
                raise InputError(f"objective {name}: expected a column of numbers that differ from point to point")


@checked
def load_study(name_or_path: str | Path, *, trusted: bool = True) -> Study:
    """Return the study of a TOML file, or one of the shipped examples by name.

    The module of a function that the file names is imported, which runs its code; not so with `trusted` False. Raises
    `InputError` for a file that cannot be read, unknown keys (the nearest suggested), a function in a file that is not
    trusted, and all that `Study` does.
    """
    path = Path(name_or_path if isinstance(name_or_path, Path) else str(name_or_path))
    if path.suffix != ".toml":
        path = EXAMPLES / f"{name_or_path}.toml"
        if str(name_or_path) not in example_names():
            raise unknown_name("study", str(name_or_path), [*example_names(), "STUDY.toml"])
    return study_from(_named(read_toml(path), path.stem), path.name, trusted=trusted)


def study_from(data: Mapping[str, Any], where: str, *, computed: bool = False, trusted: bool = True) -> Study:
    """Return the study of a file's content, read from TOML or JSON.

    Parameters
    ----------
    data : mapping
        The content.
    where : str
        Name of the file, for messages.
    computed : bool
        Whether the results exist already, so that a function is neither imported nor missed. Default False.
    trusted : bool
        Whether a function that the content names may be imported, which runs its code. Default True.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        For unknown keys (the nearest suggested), a function in content that is not trusted, and all that `Study` does.
    """
    header = data.get("study", {})
    if not isinstance(header, Mapping):
        raise InputError(f"{where}: study = {header!r}: expected a table [study]")
    for key in data:
        if key not in ("study", *_SECTIONS):
            raise unknown_name(f"section in {where}:", key, ("study", *_SECTIONS))
    for key in header:
        if key not in _HEADER:
            raise unknown_name(f"key in [study] of {where}:", key, _HEADER)
    sections = {section: data.get(section, {}) for section in _SECTIONS}
    for section, content in sections.items():
        if isinstance(content, Mapping):
            sections[section] = _flat(content, _PARAMETER_KEYS if section == "parameters" else set())
    evaluate = header.get("evaluate")
    if names_code(evaluate) and not computed and not trusted:
        raise InputError(
            f"{where} names a Python function, evaluate = {evaluate!r}, and running the study runs its code: "
            "add --trust if you trust both"
        )
    try:
        if computed and isinstance(evaluate, str) and names_code(evaluate):
            return Study(**{**header, "evaluate": Elsewhere(evaluate)}, **sections)
        return Study(**header, **sections)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def example_names() -> list[str]:
    """Return the names of the shipped examples."""
    return sorted(path.stem for path in EXAMPLES.glob("*.toml"))


def _named(data: dict[str, Any], name: str) -> dict[str, Any]:
    header = data.get("study", {})
    return data | {"study": {"name": name} | header} if isinstance(header, dict) else data


def _flat(data: Mapping[str, Any], leaf: set[str], prefix: str = "") -> dict[str, Any]:
    """Join the keys of nested tables by dots, so that n5.wafer_price_usd needs no quotes in a file.

    A table with a key of `leaf` is a value.
    """
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict) and value and not leaf & value.keys():
            flat |= _flat(value, leaf, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, list | tuple) or np.ndim(value):
        raise InputError(f"{name} = {shown(value)}: expected a whole number")
    return integer(name, value, low=low, high=high)


def _renamed(old: str, new: str) -> InputError:
    return InputError(
        f"parameter {old} is now called {new}, and {old} is what was built: write {new} for {old}, in formulas and "
        f"objectives too, and {old} for out.{old}"
    )


def _read(name: str, value: Any) -> Any:
    """Return a value as a person writes it in the unit of its column."""
    return column(name).read(value) if isinstance(value, str) else value


def _better(name: str) -> Direction:
    better = column(name).better
    if better is None:
        raise InputError(f"objective {name}: which direction is better is not known; expected {name} = 'min' or 'max'")
    return better


def _plain(value: Any) -> Any:
    """Return plain Python numbers, which files can hold; paths as texts."""
    value = value.item() if isinstance(value, np.generic) else value
    return str(value) if isinstance(value, Path) else value
