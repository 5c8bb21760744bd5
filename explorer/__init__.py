"""explorer: what to choose - whole answers, reproductions of papers, design sweeps, reports, and the command line."""

# hwsim first: it notices when a user's own file hides one of our packages.
import hwsim  # noqa: F401  # isort: skip

from explorer import uncertainty
from explorer.allocate import Allocation, allocate, allocation_front
from explorer.answer import Answer, answer
from explorer.compare_models import ModelComparison, compare_models
from explorer.compare_tools import ToolComparison, compare_tools
from explorer.cost_table import cost_table, hardwired_silicon
from explorer.economics import CostAnswer, cost
from explorer.evaluate import evaluate
from explorer.report import render, write_report
from explorer.reproduce import reproduce
from explorer.scoreboard import Row, Scoreboard
from explorer.serving import ServingCost, serving_cost
from explorer.serving_comparison import ServingComparison, serve_comparison
from explorer.study import Choice, Integer, Real, Study, StudyResult, load_study

__all__ = [
    "Allocation",
    "Answer",
    "Choice",
    "CostAnswer",
    "Integer",
    "ModelComparison",
    "Real",
    "Row",
    "Scoreboard",
    "ServingComparison",
    "ServingCost",
    "Study",
    "StudyResult",
    "ToolComparison",
    "allocate",
    "allocation_front",
    "answer",
    "compare_models",
    "compare_tools",
    "cost",
    "cost_table",
    "evaluate",
    "hardwired_silicon",
    "load_study",
    "render",
    "reproduce",
    "serve_comparison",
    "serving_cost",
    "uncertainty",
    "write_report",
]
