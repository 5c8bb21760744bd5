"""A small study that tests run into folders, and what lies in one."""

from pathlib import Path

import study_cases

from explorer.study import Study

PLANE = Study(
    {"x": (0.0, 1.0), "y": (0.0, 0.9)},
    evaluate=study_cases.plane,
    points=50,
    objectives={"cost": "min", "speed": "max"},
)


def files(folder):
    return {path.name: path.read_bytes() for path in Path(folder).glob("part-*")}
