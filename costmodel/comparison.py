"""A hardwired fleet and the bought fleet that generates as many tokens: cost and carbon, over a book's range."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from costmodel.bill import Bill
from costmodel.conventions import AS_PUBLISHED, Conventions
from costmodel.fleets import Device, Fleet, System, bought_fleet, built_fleet
from costmodel.footprint import Carbon, ModuleCarbon
from costmodel.ownership import Tco, devices_to_match
from hwbase import Book, Record
from hwbase.check import Number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Pair(Record):
    """One level of a comparison; `gpu` is the bought fleet of any devices."""

    bill: Bill
    hardwired: Tco
    gpu: Tco
    hardwired_carbon: Carbon
    gpu_carbon: Carbon
    hardwired_module: ModuleCarbon | None = None
    """Embodied carbon of one module by part; None where one published figure stands for every module."""
    gpu_module: ModuleCarbon | None = None

    @classmethod
    def of(cls, built: Fleet, bought: Fleet) -> "Pair":
        """Return the pair of a built fleet and a bought one."""
        assert built.bill is not None
        return cls(built.bill, built.tco, bought.tco, built.carbon, bought.carbon, built.module, bought.module)

    @property
    def tco_ratio(self) -> Number:
        """GPU TCO over hardwired TCO, re-spins included."""
        return self.gpu.total_usd / self.hardwired.total_usd

    @property
    def static_tco_ratio(self) -> Number:
        """The same without re-spins."""
        return self.gpu.static_usd / self.hardwired.static_usd

    @property
    def capex_ratio(self) -> Number:
        """GPU capital over hardwired capital."""
        return self.gpu.capex_usd / self.hardwired.capex_usd

    @property
    def opex_ratio(self) -> Number:
        """GPU electricity and maintenance over hardwired."""
        return self.gpu.opex_usd / self.hardwired.opex_usd

    @property
    def carbon_ratio(self) -> Number:
        """GPU carbon over hardwired carbon, re-spins included."""
        return self.gpu_carbon.total_t / self.hardwired_carbon.total_t

    @property
    def static_carbon_ratio(self) -> Number:
        """The same without re-spins."""
        return self.gpu_carbon.static_t / self.hardwired_carbon.static_t


@dataclass(frozen=True)
class Comparison(Record):
    """The two fleets with every constant of the book at its low, its nominal and its high value.

    In a book of published cases low and high are the optimistic and the pessimistic case. In a book of ranges they are
    extreme corners, not estimates: use the nominal level, and vary constants one by one.
    """

    volume: Number
    gpus: Number
    low: Pair
    nominal: Pair
    high: Pair

    def levels(self) -> tuple[tuple[str, Pair], ...]:
        """Return the three levels by name."""
        return (("low", self.low), ("nominal", self.nominal), ("high", self.high))

    def pairs(self, levels: Iterable[str]) -> list[tuple[str, Pair]]:
        """Return (level, pair) for each of `levels`."""
        return [(level, getattr(self, level)) for level in levels]

    def to_frame(self) -> "pd.DataFrame":
        """Return one row for each level and fleet, with cost and carbon side by side."""
        import pandas as pd

        rows = []
        for level, pair in self.levels():
            for fleet, cost, co2 in (
                ("hardwired", pair.hardwired, pair.hardwired_carbon),
                ("gpu", pair.gpu, pair.gpu_carbon),
            ):
                figures = {f"carbon.{key}": value for key, value in co2.to_dict().items() if key != "assumptions"}
                figures = {key: value for key, value in cost.to_dict().items() if key != "assumptions"} | figures
                rows.append({"level": level, "fleet": fleet} | figures)
        return pd.DataFrame(rows)

    def ratios(self) -> "pd.DataFrame":
        """Return the ratios of the GPU fleet to the hardwired fleet, one row a level."""
        import pandas as pd

        names = ("tco", "static_tco", "capex", "opex", "carbon", "static_carbon")
        return pd.DataFrame(
            [
                {"level": level} | {name: getattr(pair, f"{name}_ratio") for name in names}
                for level, pair in self.levels()
            ]
        )

    def _repr_html_(self) -> str:
        from hwbase.notebook import values_table

        frame = self.to_frame()
        heads = [f"{fleet}, {level}" for level, fleet in zip(frame.pop("level"), frame.pop("fleet"), strict=True)]
        return values_table("Comparison", {str(name): list(frame[name]) for name in frame}, heads)


def compare(
    book: Book,
    system: System,
    device: Device,
    *,
    volume: Number,
    tokens_per_s: Number,
    device_tokens_per_s: Number | None = None,
    devices: Number | None = None,
    respins: Number | None = None,
    card: Device | None = None,
    region: str | None = None,
    conventions: Conventions = AS_PUBLISHED,
) -> Comparison:
    """Return `volume` hardwired systems and the devices that match them, at low, nominal and high.

    Parameters
    ----------
    book : Book
        The cost book, with the constants of the device.
    system : System
        One hardwired system.
    device : Device
        The device bought instead.
    volume : int or array
        Systems built.
    tokens_per_s : float or array
        Tokens per second of one system.
    device_tokens_per_s : float or array, optional
        Tokens per second of one device; by default the book's nominal number.
    devices : float or array, optional
        Devices bought; by default as many as generate the tokens of the systems.
    respins : int or array, optional
        Model updates over the life; by default the book's number.
    card : Device, optional
        The device whose published footprint stands for a hardwired module, as in `built_fleet`; by default `device`.
    region : str, optional
        The grid of both fleets, a name of `regions`; by default the book's.
    conventions : Conventions
        The conventions of costs and carbon.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        As `built_fleet` and `bought_fleet` do.
    """
    each = book[f"{device.name}.tokens_per_s"].nominal if device_tokens_per_s is None else device_tokens_per_s
    matching = devices_to_match(volume, tokens_per_s, each, conventions) if devices is None else devices

    def pair(level: Book) -> Pair:
        built = built_fleet(
            level,
            system,
            volume=volume,
            tokens_per_s=tokens_per_s,
            card=card or device,
            respins=respins,
            region=region,
            conventions=conventions,
        )
        bought = bought_fleet(level, device, units=matching, tokens_per_s=each, region=region, conventions=conventions)
        return Pair.of(built, bought)

    return Comparison(
        volume=volume,
        gpus=matching,
        low=pair(book.at("low")),
        nominal=pair(book.at("nominal")),
        high=pair(book.at("high")),
    )
