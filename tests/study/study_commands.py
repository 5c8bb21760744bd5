"""Studies as files, and what the command says of them."""

import json

GOOD = """
[study]
title = "A plane"
evaluate = "study_cases:plane"
points = 60
seed = 2
[parameters]
x = { low = 0.1, high = 1.0 }
y = { low = 0.0, high = 0.9 }
[constraints]
cheap = "cost <= 1.5"
[objectives]
cost = "min"
speed = "max"
"""

HARDWIRED = "[parameters]\ncontext = [1024, 2048]\n"


def plane_file(section, line="", header="points = 8"):
    sections = f'[study]\nevaluate = "study_cases:plane"\n{header}\n[parameters]\nx = {{ low = 0.0, high = 1.0 }}\n'
    return sections + f"[{section}]\n{line}\n"


def refused(found):
    """One line that begins with the program's name, and status 2."""
    status, out, errors = found
    assert status == 2 and out == "", (status, out, errors)
    assert errors.startswith("hwsim: ") and errors.count("\n") == 1 and "Traceback" not in errors, errors
    return errors


def words(shown):
    """What a terminal shows, without its lines: titles are broken to the width of their tables."""
    return " ".join(shown.split())


def strict(text):
    def no(value):
        raise AssertionError(f"{value} is no JSON")

    return json.loads(text, parse_constant=no)
