"""explorer: whole answers, reproductions of papers, design sweeps, studies, reports, and the command line."""

# hwsim first: it warns when a user's own file hides one of our packages.
import hwsim  # noqa: F401  # isort: skip

from typing import TYPE_CHECKING

from hwbase.lazy import lazy_names

if TYPE_CHECKING:
    from explorer import uncertainty
    from explorer.allocation.allocate import Allocation, allocate, allocation_front
    from explorer.allocation.costs import cost_table, hardwired_silicon
    from explorer.change.adapt import Adaptations, adapt
    from explorer.change.respins import RespinPolicies, respins
    from explorer.designs.explore import Exploration, explore
    from explorer.designs.result import DesignSearch
    from explorer.designs.run import design
    from explorer.fabrics.prices import PricedFabrics, weight_fabrics
    from explorer.papers.reproduce import reproduce
    from explorer.papers.scoreboard import Row, Scoreboard
    from explorer.pricing.economics import CostAnswer, cost
    from explorer.pricing.evaluate import evaluate
    from explorer.pricing.prices import cost_book
    from explorer.report.answer import Answer, answer
    from explorer.report.document import render, write_report
    from explorer.report.side_by_side import ModelComparison, compare_models
    from explorer.report.standards import CarbonStatements, carbon_statements
    from explorer.serving.comparison import ServingComparison, serve_comparison
    from explorer.serving.cost import ServingCost, serving_cost
    from explorer.serving.limits import Limits, limits
    from explorer.study import Choice, Integer, Real, Study, StudyResult, load_study
    from explorer.tools.compare import ToolComparison, compare_tools
else:
    __getattr__, __dir__ = lazy_names(__name__, __file__)

__all__ = [
    "Adaptations",
    "Allocation",
    "Answer",
    "CarbonStatements",
    "Choice",
    "CostAnswer",
    "DesignSearch",
    "Exploration",
    "Integer",
    "Limits",
    "ModelComparison",
    "PricedFabrics",
    "Real",
    "RespinPolicies",
    "Row",
    "Scoreboard",
    "ServingComparison",
    "ServingCost",
    "Study",
    "StudyResult",
    "ToolComparison",
    "adapt",
    "allocate",
    "allocation_front",
    "answer",
    "carbon_statements",
    "compare_models",
    "compare_tools",
    "cost",
    "cost_book",
    "cost_table",
    "design",
    "evaluate",
    "explore",
    "hardwired_silicon",
    "limits",
    "load_study",
    "render",
    "reproduce",
    "respins",
    "serve_comparison",
    "serving_cost",
    "uncertainty",
    "weight_fabrics",
    "write_report",
]
