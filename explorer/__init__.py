"""explorer: what to choose - whole answers, reproductions of papers, design sweeps, reports, and the command line."""

# hwsim first: it notices when a user's own file hides one of our packages.
import hwsim  # noqa: F401  # isort: skip

from explorer.answer import Answer, answer
from explorer.economics import CostAnswer, cost
from explorer.evaluate import evaluate
from explorer.report import render, write_report
from explorer.reproduce import reproduce
from explorer.scoreboard import Row, Scoreboard

__all__ = [
    "Answer",
    "CostAnswer",
    "Row",
    "Scoreboard",
    "answer",
    "cost",
    "evaluate",
    "render",
    "reproduce",
    "write_report",
]
