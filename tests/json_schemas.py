"""JSON schemas of the outputs of every command, inferred from real outputs.

HWSIM_JSON_SAMPLES=samples python -m pytest      # each test leaves what its commands wrote
python tests/json_schemas.py samples             # writes explorer/documents/schemas.json
"""

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "explorer" / "documents" / "schemas.json"
#: What an object's keys are names of, rather than fields: it may have any of them.
MAPS = frozenset(
    """
    accelerators adders answers assumptions best beyond_first bits breakdown by_kind chosen columns
    constants correlations counts dimensions failures fixed groups inputs layers metrics objectives
    occupancy_s options outputs overrides packages parameters per_layer per_query quantities scenario shapes
    shares space summary utilisation values varied versions widths
    """.split()  # noqa: SIM905
)


def infer(values: list[Any], key: str = "") -> dict[str, Any]:
    """Return the schema of samples of one value; `key` is the name of the field that holds it.

    Any field may be null: what is not known or does not apply.
    """
    result: dict[str, Any] = {}
    if kinds := {_kind(value) for value in values} - {"null"}:
        result["type"] = [*sorted(kinds), "null"]
    objects = [value for value in values if isinstance(value, dict)]
    if objects and (key in MAPS or any(_is_name(name) for each in objects for name in each)):
        result["additionalProperties"] = infer([value for each in objects for value in each.values()])
    elif objects:
        names = dict.fromkeys(name for each in objects for name in each)
        result["properties"] = {name: infer([each[name] for each in objects if name in each], name) for name in names}
    items = [item for value in values if isinstance(value, list) for item in value]
    if items:
        result["items"] = infer(items)
    return result


def _is_name(key: str) -> bool:
    """Whether a key is a name that a book or a user gave, no field of a record."""
    return not key.isidentifier() or key != key.lower()


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), ((int, float), "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "object"


def main(folder: str) -> None:
    """Write the schemas of the samples in `folder`, beside those that it has no samples of."""
    samples: dict[str, list[Any]] = {}
    for path in sorted(Path(folder).glob("*.json")):
        value = json.loads(path.read_text(encoding="utf-8"))
        samples.setdefault(value["schema"], []).append(value)
    schemas = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else {}
    for name, values in samples.items():
        body = infer(values) | {"type": "object"}
        body["properties"]["schema"] = {"const": name}
        body["required"] = [field for field in body["properties"] if all(field in value for value in values)]
        schemas[name] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name} | body
    lines = [f"{json.dumps(name)}: {json.dumps(body)}" for name, body in sorted(schemas.items())]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
