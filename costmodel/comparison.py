"""A hardwired fleet beside the GPU fleet that generates as many tokens: cost and carbon, over a book's range."""

from dataclasses import dataclass

import pandas as pd

from costmodel.bill import Bill, hardwired_bill
from costmodel.conventions import AS_PUBLISHED, Conventions
from costmodel.footprint import Carbon, carbon, module_carbon
from costmodel.ownership import Tco, gpu_tco, gpus_to_match, spare_systems, tco
from costmodel.power import system_it_power_w
from hwbase import Book, Record
from hwbase.check import Number, count, non_negative, positive


@dataclass(frozen=True)
class Pair(Record):
    """One level of a comparison."""

    bill: Bill
    hardwired: Tco
    gpu: Tco
    hardwired_carbon: Carbon
    gpu_carbon: Carbon

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

    In a book of published cases low and high are the optimistic and the pessimistic case. In one whose ranges are
    bounds on what is known, they are corners that no one believes: read the nominal one, and vary one by one.
    """

    volume: Number
    gpus: Number
    low: Pair
    nominal: Pair
    high: Pair

    def levels(self) -> tuple[tuple[str, Pair], ...]:
        """Return the three levels by name."""
        return (("low", self.low), ("nominal", self.nominal), ("high", self.high))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per level and fleet, with cost and carbon side by side."""
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

    def ratios(self) -> pd.DataFrame:
        """Return what the GPU fleet takes over what the hardwired fleet takes, one row per level."""
        names = ("tco", "static_tco", "capex", "opex", "carbon", "static_carbon")
        return pd.DataFrame(
            [
                {"level": level} | {name: getattr(pair, f"{name}_ratio") for name in names}
                for level, pair in self.levels()
            ]
        )

    def _repr_html_(self) -> str:
        return self.to_frame().T.to_html(escape=True)


def compare(
    book: Book,
    *,
    volume: Number,
    chips: Number,
    die_area_mm2: Number,
    hbm_gb_per_chip: Number,
    chip_power_w: Number,
    tokens_per_s: Number,
    system_power_w: Number | None = None,
    gpu_tokens_per_s: Number | None = None,
    gpus: Number | None = None,
    respins: Number | None = None,
    node: str = "n5",
    region: str = "us",
    conventions: Conventions = AS_PUBLISHED,
) -> Comparison:
    """Return `volume` hardwired systems beside the GPUs that match them, at low, nominal and high.

    `tokens_per_s` is of one system, `gpu_tokens_per_s` of one GPU (the book's by default); `system_power_w` is the
    stated power, used as the conventions say (see `power.system_it_power_w`); `gpus` overrides the count that matches.
    Raises `InputError` as the functions that it calls do.
    """
    each_gpu = book["h100.tokens_per_s"].nominal if gpu_tokens_per_s is None else gpu_tokens_per_s
    matching = gpus_to_match(volume, tokens_per_s, each_gpu, conventions) if gpus is None else gpus

    def pair(level: Book) -> Pair:
        bill = hardwired_bill(
            level,
            chips=chips,
            die_area_mm2=die_area_mm2,
            hbm_gb_per_chip=hbm_gb_per_chip,
            node=node,
            conventions=conventions,
        )
        power = system_it_power_w(
            level, chips=chips, chip_power_w=chip_power_w, stated_w=system_power_w, conventions=conventions
        )
        return Pair(
            bill=bill,
            hardwired=tco(
                level,
                bill=bill,
                volume=volume,
                system_power_w=power,
                tokens_per_s=tokens_per_s,
                respins=respins,
                conventions=conventions,
            ),
            gpu=gpu_tco(level, gpus=matching, tokens_per_s=each_gpu, conventions=conventions),
            hardwired_carbon=hardwired_carbon(
                level,
                volume=volume,
                chips=chips,
                die_area_mm2=die_area_mm2,
                hbm_gb_per_chip=hbm_gb_per_chip,
                system_power_w=power,
                tokens_per_s=tokens_per_s,
                respins=respins,
                node=node,
                region=region,
                conventions=conventions,
            ),
            gpu_carbon=gpu_carbon(level, gpus=matching, tokens_per_s=each_gpu, region=region, conventions=conventions),
        )

    return Comparison(
        volume=volume,
        gpus=matching,
        low=pair(book.at("low")),
        nominal=pair(book.at("nominal")),
        high=pair(book.at("high")),
    )


def hardwired_carbon(
    book: Book,
    *,
    volume: Number,
    chips: Number,
    die_area_mm2: Number,
    hbm_gb_per_chip: Number,
    system_power_w: Number,
    tokens_per_s: Number,
    respins: Number | None = None,
    node: str = "n5",
    region: str = "us",
    conventions: Conventions = AS_PUBLISHED,
) -> Carbon:
    """Return the carbon of `volume` hardwired systems; power (at the plug) and tokens are of one system.

    Raises `InputError` as `carbon.carbon` and `carbon.module_carbon` do.
    """
    read = book.reader()
    volume, chips = count("volume", volume), positive("chips", chips)
    if conventions.module_carbon == "gpu":
        each = read("h100.module_carbon_kg", "kgCO2e")
    else:
        each = module_carbon(
            read, die_area_mm2=die_area_mm2, hbm_gb=hbm_gb_per_chip, node=node, conventions=conventions
        ).total_kg
    spares = spare_systems(read, volume) if conventions.hardwired_maintenance != "rate" else 0.0
    times = count("respins", read("use.respins", "1") if respins is None else respins, low=0)
    rebuilt = times * (volume + (spares if conventions.spares_respun else 0.0))
    return carbon(
        read,
        modules=volume * chips,
        module_kg=each,
        it_power_w=volume * non_negative("system_power_w", system_power_w),
        tokens_per_s=volume * positive("tokens_per_s", tokens_per_s),
        spare_modules=spares * chips,
        rebuilt_modules=rebuilt * chips,
        region=region,
        ceil_printed=conventions.ceil_carbon,
        conventions=conventions,
    )


def gpu_carbon(
    book: Book,
    *,
    gpus: Number,
    tokens_per_s: Number | None = None,
    region: str = "us",
    conventions: Conventions = AS_PUBLISHED,
) -> Carbon:
    """Return the carbon of `gpus` GPUs that generate `tokens_per_s` each (the book's number by default).

    Raises `InputError` as `carbon.carbon` and `carbon.module_carbon` do.
    """
    read = book.reader()
    gpus = positive("gpus", gpus)
    if conventions.module_carbon == "gpu":
        each = read("h100.module_carbon_kg", "kgCO2e")
    else:
        area, memory = read("h100.die_area_mm2", "mm**2"), read("h100.hbm_gb", "GB")
        each = module_carbon(read, die_area_mm2=area, hbm_gb=memory, conventions=conventions).total_kg
    speed = read("h100.tokens_per_s", "token/s") if tokens_per_s is None else tokens_per_s
    return carbon(
        read,
        modules=gpus,
        module_kg=each,
        it_power_w=gpus * read("h100.power_w", "W"),
        tokens_per_s=gpus * positive("tokens_per_s", speed),
        region=region,
        conventions=conventions,
    )
