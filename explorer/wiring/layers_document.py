"""The document of a study of embedding layers."""

from functools import partial

from explorer.documents.document import Bullets, Document, Figure, Section, sections
from explorer.documents.plot import Plot
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import scaled_table
from explorer.documents.theme import BLUE, CYAN, GREEN, PURPLE, RED, YELLOW, figure
from explorer.wiring.layers import LayerStudy
from hwbase.numbers import counted

_COLOURS = (BLUE, RED, GREEN, YELLOW, CYAN, PURPLE)


def layers_document(study: LayerStudy, command: str = "") -> Document:
    """Return a study of embedding layers as a document."""
    frame = study.to_frame()
    silicon = frame.drop_duplicates("layers").iloc[:, : frame.columns.get_loc("volume")]
    money = frame[["layers", "volume", *frame.columns[frame.columns.get_loc("once_usd") :]]]
    caption = "TCO over that of the best number of layers, against layers"
    dollars = scaled_table("Dollars by volume and re-spins", money)
    return Document(
        f"{study.model}: metal layers that carry the weights",
        f"Metal-Embedding in {study.technology}, wires within {study.most_utilisation:.0%} of the tracks.",
        sections(
            Section("findings", "Findings", (Bullets(study.findings),)),
            Section("silicon", "Silicon and masks", (scaled_table("Silicon and masks by layers", silicon),)),
            Section(
                "dollars", "Dollars", (Figure("layers", partial(over_layers, study), caption, dollars, 1), dollars)
            ),
            reproduce_section(command),
        ),
        schema="layers",
        data=study.to_dict,
        frame=study.to_frame,
    )


def over_layers(study: LayerStudy) -> Plot:
    """Return the TCO over the least one, against layers: a line for each volume, without and with re-spins."""
    drawn = figure("TCO over the least, by embedding layers", 360)
    for colour, volume in zip(_COLOURS, dict.fromkeys(row.volume for row in study.rows), strict=False):
        rows = [row for row in study.rows if row.volume == volume]
        for name, dash in (("once_usd", "solid"), ("yearly_usd", "dash")):
            least = min(getattr(row, name) for row in rows)
            drawn.add_scatter(
                x=[row.layers for row in rows],
                y=[getattr(row, name) / least for row in rows],
                name=f"{counted(volume, 'system')}, {'yearly re-spins' if name == 'yearly_usd' else 'one model'}",
                mode="lines+markers",
                line={"color": colour, "dash": dash},
            )
    drawn.update_xaxes(title_text="embedding layers")
    drawn.update_yaxes(title_text="TCO over the least")
    return drawn
