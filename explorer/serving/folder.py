"""The folder of a serving simulation, written whole or not at all."""

import json

from explorer.documents import html
from explorer.documents.document import Document
from explorer.documents.schema import with_schema
from explorer.serving.figures import timeline_frame
from explorer.writing import csv_text, json_text
from hwsim.events.recording import Recording
from hwsim.events.results import ServingResult


def serving_files(result: ServingResult, document: Document, recording: Recording | None = None) -> dict[str, str]:
    """Return the files of one simulation by name: summary, requests, timeline, page, and the trace of a recording."""
    constants = {name: quantity.__dict__ for name, quantity in result.assumptions.items()}
    files = {
        "result.json": json_text(with_schema(result.summary() | {"assumptions": constants}, "serve")),
        "requests.csv": csv_text(result.to_frame()),
        "timeline.csv": csv_text(timeline_frame(result)),
        "page.html": html.render(document),
    }
    if recording is not None:
        files["trace.json"] = json.dumps(recording.chrome_trace(), allow_nan=False)
    return files
