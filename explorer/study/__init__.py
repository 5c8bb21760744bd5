"""Studies: vary any parameter, find the front, explain why a point is not on it; locally or on a cluster, resumable."""

from explorer.study.result import StudyResult
from explorer.study.run import run
from explorer.study.space import Choice, Integer, Real
from explorer.study.spec import Study, example_names, load_study
from explorer.study.store import manifest

__all__ = ["Choice", "Integer", "Real", "Study", "StudyResult", "example_names", "load_study", "manifest", "run"]
