"""Studies of the functions in study_cases, and one of designs."""

import study_cases

from explorer.study import Study, pieces


def study(evaluate, **changes):
    space = {"x": (0.0, 1.0), "kind": ["a", "b"]} if evaluate is study_cases.troubled else {"x": (0.0, 1.0)}
    return Study(**{"parameters": space, "evaluate": evaluate, "points": 50, "seed": 1, **changes})


TROUBLED = study(
    study_cases.troubled,
    derived={"twice": "2 * cost", "big": "cost > 0.4", "label": "where(cost > 0.4, 'big', 'small')"},
    constraints={"enough": "count >= 10", "known": "not isnan(gap)"},
    objectives={"cost": "min", "count": "max"},
)
DESIGNS = Study(
    {
        "technology": ["n5", "n3"],
        "chips_asked": (4, 60),
        "beside": {"choices": ["gpu"], "when": {"technology": "n3"}},
        "link_bandwidth_bytes_per_s": (64e9, 1e12, "log"),
    },
    points=200,
    constraints={"fast": "latency_s < 0.001"},
    objectives={"tco_usd": "min", "latency_s": "min"},
)


def in_pieces(monkeypatch, rows):
    monkeypatch.setattr(pieces, "VECTORISED_ROWS", rows)
    monkeypatch.setattr(pieces, "POINT_ROWS", rows)
