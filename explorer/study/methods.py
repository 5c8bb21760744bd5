"""Methods of a study: how its points are drawn, evaluated and compared, and the constants behind them."""

import costmodel
import hwsim
from explorer.documents.document import Method
from explorer.documents.methods import cost_methods, reading_methods
from explorer.pricing.economics import CostAnswer, cost
from explorer.study.closed_forms import HARDWIRED
from explorer.study.result import StudyResult
from explorer.study.spec import Study
from hwbase import InputError
from hwbase.columns import column
from hwbase.numbers import counted

_SAMPLERS = {
    "grid": ("Every combination of the parameters' values.", ""),
    "random": ("Independent uniform draws.", ""),
    "latin-hypercube": (
        "Each range in as many equal strata as there are points, one point in each.",
        "McKay, Beckman and Conover, Technometrics 21, 1979",
    ),
    "sobol": (
        "A scrambled Sobol sequence, which fills the space more evenly than random points.",
        "Sobol 1967; Owen, J. Complexity 14, 1998; scipy.stats.qmc",
    ),
    "distinct": (
        "A scrambled Sobol sequence over a finite space, without repeated designs.",
        "Sobol 1967; Owen, J. Complexity 14, 1998; scipy.stats.qmc",
    ),
    "nsga2": (
        "A genetic search that sorts each generation by fronts and spreads along them; its points are not an even "
        "sample.",
        "Deb et al., IEEE Trans. Evolutionary Computation 6(2), 2002; Optuna",
    ),
}
_TARGETS = {
    "hardwired": "Each point is a hardwired machine in closed form: speed, power, silicon, masks, TCO and carbon.",
    "accelerator": "Each point is a roofline of an accelerator with its weights in memory.",
    "scan": "Each point is an index of binary codes on a fleet that scans it, in closed form.",
    "serving": "Each point is a simulation of requests through a machine, event by event.",
}


def study_methods(result: StudyResult, answer: CostAnswer | None) -> list[Method]:
    """Return how the points were drawn, evaluated and compared, and for machines the formulas behind them."""
    study = result.study
    description, reference = _SAMPLERS[study.drawn_by]
    size = f"{counted(len(result.frame), 'point')} of {counted(len(study.space), 'parameter')}, seed {study.seed}."
    methods = [
        Method("Points", f"{description} {size}", reference),
        Method("Evaluation", _TARGETS.get(study.target.name, f"Each point is a call of {study.target.name}.")),
    ]
    if study.target.name in ("hardwired", "accelerator") and (run := _one_run(study)) is not None:
        methods += reading_methods([run])
    if answer is not None:
        conventions = costmodel.conventions.named(_setting(study, "convention"))
        conventions = conventions.switched(die_formula=_setting(study, "die_formula"))
        methods += cost_methods(conventions, answer.assumptions, answer.node, answer.device)
    if study.derived or study.constraints:
        formulas = [f"{name} = {text}" for name, text in study.derived.items()]
        formulas += [f"{name}: {text}" for name, text in study.constraints.items()]
        methods.append(Method("Derived columns and constraints", f"{'; '.join(formulas)}."))
    if study.objectives:
        objectives = ", ".join(f"{column(name).label} ({direction})" for name, direction in study.objectives.items())
        methods.append(
            Method(
                "Front and knee",
                f"Of the feasible points those that no other beats in {objectives}; exact. The knee is farthest "
                "below the plane through the front's extremes, each objective scaled to the front's range.",
                "Chomicki et al., ICDE 2003; Das, Structural Optimization 18, 1999",
            )
        )
    return methods


def study_cost(study: Study) -> CostAnswer | None:
    """Return the cost answer of a study of hardwired machines at its fixed fields, otherwise None.

    It gives the constants that were read and the boundary of carbon; varied constants have their nominal value.
    """
    if study.target.name != "hardwired":
        return None
    try:
        return cost(
            _setting(study, "model"),
            convention=_setting(study, "convention"),
            technology=_setting(study, "technology"),
            book=study.fixed.get("book"),
        )
    except InputError:
        return None


def _one_run(study: Study) -> hwsim.SimResult | None:
    """Return one simulation of the study's kind of machine, for its reading."""
    try:
        on = study.fixed.get("on", hwsim.DEFAULT_MACHINE if study.target.name == "hardwired" else hwsim.DEFAULT_GPU)
        return hwsim.simulate(_setting(study, "model"), on, reading=_setting(study, "reading"))
    except InputError:
        return None


def _setting(study: Study, name: str) -> str:
    """Return the study's fixed value, the first of its varied ones, or the default."""
    if name in study.fixed:
        return str(study.fixed[name])
    if name in study.space:
        return str(study.space[name].grid(name)[0])
    return str(HARDWIRED[name])
