"""Options shared by several commands, declared once, and readers of their values."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwbase import InputError
from hwbase.errors import shown
from hwbase.values import read_count as parse_count

if TYPE_CHECKING:
    import hwsim

#: Headings of a command's help.
MACHINE, PRICES, CONSTANTS, RESULT = "Machine", "Prices", "Constants", "Result"

Model = Annotated[str, typer.Argument(help="A model of `hwsim models`, a TOML spec, or a Hugging Face config.json.")]
Context = Annotated[str, typer.Option("--context", help="Positions a sequence has, such as 2048 or 64K.")]
PromptTokens = Annotated[
    str,
    typer.Option("--prompt-tokens", help="Tokens of a prompt: both fleets serve requests; needs --output-tokens."),
]
OutputTokens = Annotated[
    str, typer.Option("--output-tokens", help="Tokens of an answer: output tokens are counted, in place of decoding.")
]
Technology = Annotated[
    str, typer.Option("--technology", help="Technology book, such as n5-synthesised.", rich_help_panel=MACHINE)
]
Weights = Annotated[
    str, typer.Option("--weights", help="Hardwired format: fp4 or int1 .. int8.", rich_help_panel=MACHINE)
]
Reading = Annotated[str, typer.Option("--reading", help="as-published or pipelined.", rich_help_panel=MACHINE)]
OwnReading = Annotated[
    str | None,
    typer.Option(
        "--reading",
        help="as-published or pipelined; unless given by the convention, or by the machine and its model.",
        rich_help_panel=MACHINE,
    ),
]
Machines = Annotated[
    str | None,
    typer.Option(
        "--on",
        help="Machines of `hwsim machines`, or books (TOML), comma-separated: a hardwired one (hnlpu unless given; "
        "`cost` and `compare-serving --interactivity` take several) and those beside it (the convention's unless "
        "given).",
        rich_help_panel=MACHINE,
    ),
]
Volume = Annotated[str, typer.Option("--volume", help="Systems built.", rich_help_panel=PRICES)]
Convention = Annotated[
    str,
    typer.Option(
        "--convention",
        help="as-published, corrected, or a TOML file of conventions; a report takes several, a,b.",
        rich_help_panel=PRICES,
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        help="Grid of the fleets, such as france; more in a cost book of your own.",
        rich_help_panel=PRICES,
    ),
]
FabRegion = Annotated[
    str | None, typer.Option("--fab-region", help="Grid that chips are made on.", rich_help_panel=PRICES)
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Override a constant of any book that the command reads: key=value, with a unit if you like. Repeat it.",
        rich_help_panel=CONSTANTS,
    ),
]
CostBook = Annotated[
    str | None,
    typer.Option("--book", help="A cost book (TOML) of your own that extends one of ours.", rich_help_panel=CONSTANTS),
]
MachineBook = Annotated[
    str | None,
    typer.Option(
        "--book", help="A machine's book (TOML) of your own that extends one of ours.", rich_help_panel=CONSTANTS
    ),
]
ProcessBook = Annotated[
    str | None,
    typer.Option(
        "--book", help="A technology book (TOML) of your own, in place of --technology.", rich_help_panel=CONSTANTS
    ),
]


def split_names(text: str, option: str = "--on") -> list[str]:
    """Return the names of a comma-separated list. Raises `InputError` for an empty or a repeated name."""
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len({name.lower() for name in names}) < len(names):
        raise InputError(f"{option} {shown(text)}: expected names separated by commas, each once")
    return names


def on_machines(text: str | None) -> list[str] | None:
    """Return the machines of `--on`, None where it is not given. Raises `InputError` as `split_names` does."""
    return None if text is None else split_names(text)


def need_count(name: str, text: str) -> int:
    """Return `parse_count` of a required text. Raises `InputError`."""
    value = parse_count(name, text)
    if value is None:
        raise InputError(f"{name} is missing: expected a whole number")
    return value


def parse_overrides(pairs: list[str] | None, option: str = "--set") -> dict[str, Any]:
    """Return `["a=1", "b=18 kUSD"]` as {"a": "1", "b": "18 kUSD"}. Raises `InputError` for anything else."""
    overrides: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise InputError(f"{option} {pair!r}: expected key=value, such as link_bandwidth_bytes_per_s=256e9")
        if key.strip() in overrides:
            raise InputError(f"{option} {key.strip()} is given twice: expected once")
        overrides[key.strip()] = value.strip()
    return overrides


def with_regions(overrides: dict[str, Any], region: str | None, fab_region: str | None = None) -> dict[str, Any]:
    """Return overrides with the regions of --region and --fab-region. Raises `InputError` where both name one."""
    named = {name: value for name, value in (("region", region), ("fab_region", fab_region)) if value is not None}
    if twice := overrides.keys() & named.keys():
        raise InputError(f"{min(twice)} is given twice: expected it in --set, or as an option of its own")
    return overrides | named


def read_process(technology: str, book: str | None, settings: list[str] | None) -> "hwsim.Technology":
    """Return the technology of `--technology`, or of `--book` in its place, with the overrides of `--set`."""
    import hwsim

    return hwsim.load_technology(
        reader=hwsim.technology_book(book or technology).override(parse_overrides(settings)).reader()
    )
