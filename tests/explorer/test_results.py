"""What every public result has: a tidy frame, a notebook page with labels, equality by value, and pickling."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest

import costmodel
import explorer
import hwsim
from explorer.audit.neuron import AuditResult, DensityRatio, NeuronAudit
from explorer.audit.switching import NeuronActivity, SwitchingStudy, WireActivity
from explorer.inference.infer import ChipRun, Inference
from explorer.inference.perplexity import QualityRow, QualityTable
from explorer.precision.sensitivity import Sensitivity
from explorer.report.scopes import carbon_scopes
from explorer.retrieval.evaluate import Estimate, Evaluation, Search
from explorer.retrieval.study import Study as RetrievalStudy
from explorer.scan.fleets import compare_scans
from explorer.serving.gpu_board import GpuBoard
from explorer.uncertainty.analyse import analyse
from explorer.uncertainty.breakeven import break_even
from hwbase.columns import column
from hwsim.events.traffic import poisson
from hwsim.retrieval import ScanIndex

pytestmark = pytest.mark.slow

LAYERS = pd.DataFrame(
    {"layer": list("aabb"), "bits": [4, 8, 4, 8], "size": [10, 10, 20, 20], "loss": [1.0, 0.1, 2.0, 0.2]}
)


def study():
    space = {"chips_asked": [16, 32], "volume": [1, 50]}
    return explorer.Study(space, "hardwired", objectives={"tco_usd": "min", "latency_s": "min"}).run(workers=1)


def evaluation(codec="sign"):
    metrics = {name: Estimate(0.5, 0.4, 0.6) for name in ("recall@10", "mrr@10")}
    return Evaluation("words", codec, Search(), 100, 10, 64, 64, 1600, 0, 0, metrics, 1e3, 0.1, 0.2)


def audit():
    rows = tuple(
        NeuronAudit(64, circuit, "ripple", 60, 10, 5, 20, 3000, 300, 46.0, None, 45.0, 47.0, 30.0, (4, 5), True)
        for circuit in ("CE", "ME")
    )
    return AuditResult(rows, (DensityRatio(64, "CE", "ripple", 12.0, 11.0),), 8, 0.0, "n5", ("It fits.",))


def switching():
    wires = WireActivity("attention", 4, 64, 4096, {"inputs": 0.1, "counts": 0.2, "sums": 0.3}, 1e-9, 2e-9)
    cells = NeuronActivity("layer 0", 3, 64, 3000, 0.1, 0.2)
    return SwitchingStudy("tiny", "a text", "0" * 64, 96, 64, "n5", 0.15, (wires,), (cells,), ("Wires switch.",))


def quality():
    row = QualityRow(
        "float32", "float", 32, 32, "", "float", 15.0, 1.0, 0.0, 1.0, 1.0, 0.4, 0.0, "", 32.0, None, None, 2.0
    )
    return QualityTable("tiny", "a text", "0" * 64, 96, 64, (row,))


def inference():
    chip = ChipRun("hnlpu", "fp4", 1, 230.0, 1e9, 9e3, 9e-6, 4e-6, 6e5, 4e-4, 5e6, 1e-5)
    return Inference("tiny", "float", "Hello", "world", 2, 4, 1.0, 0.5, 8.0, chip)


def gpus():
    row = {"network": "a", "machine": "h100", "engine": "vllm", "format": "fp8", "evidence": "fitted", "points": 3}
    row |= {"answered": 3, "tpot_ratio": 1.1, "tpot_error": 0.1, "ttft_ratio": 0.9, "ttft_error": 0.1}
    return GpuBoard(pd.DataFrame([row]), (row,), {"fitted": {"points": 3, "tpot_error": 0.1}, "fitted_networks": ["a"]})


RESULTS = {
    "allocation": lambda: explorer.allocate(LAYERS, 6.0),
    "answer": explorer.answer,
    "audit of neurons": audit,
    "audit of switching": switching,
    "bill": lambda: explorer.cost().pair.bill,
    "break-even": lambda: break_even(axes=("volume", "lifetime"), points=5, samples=16),
    "carbon by scope": lambda: carbon_scopes(explorer.cost()),
    "comparison of costs": lambda: explorer.cost().comparison,
    "comparison of scans": lambda: compare_scans(ScanIndex(1e9, 256)),
    "comparison of serving": lambda: explorer.serve_comparison(
        poisson(200.0, 40, prompt=64, output=16), on=("hnlpu", "h100"), loads=(None,), gpus_together=(2,), volumes=(1,)
    ),
    "comparison of tools": explorer.compare_tools,
    "cost": explorer.cost,
    "dominators": lambda: study().dominated_by(1),
    "evaluation": evaluation,
    "gpus": gpus,
    "inference": inference,
    "models side by side": lambda: explorer.compare_models(["llama-3-8b", "smollm2-135m"]),
    "quality": quality,
    "retrieval study": lambda: RetrievalStudy("words", 0, ("signs", "floats"), (evaluation(), evaluation("float32"))),
    "scoreboard": lambda: explorer.reproduce("hnlpu"),
    "sensitivity": lambda: Sensitivity("tiny", "0", {"kl": 1e-9}, 4, LAYERS.assign(what="weights", metric="kl")),
    "served requests": lambda: hwsim.serve("llama-3-8b", poisson(200.0, 20, prompt=64, output=16), "hnlpu"),
    "serving cost": lambda: explorer.serving_cost(
        hwsim.serve("gpt-oss-120b", poisson(200.0, 20, prompt=64, output=16), "hnlpu")
    ),
    "simulation": lambda: hwsim.simulate("gpt-oss-120b"),
    "simulation on a GPU": lambda: hwsim.simulate("gpt-oss-120b", "h100", batch=np.array([1, 8])),
    "study": study,
    "tco": lambda: explorer.cost().pair.hardwired,
    "traffic": lambda: poisson(200.0, 20),
    "uncertainty": lambda: analyse(samples=16),
    "adaptations": explorer.adapt,
    "re-spins": explorer.respins,
    "weight fabrics": explorer.weight_fabrics,
    "book": lambda: costmodel.load_book("default"),
}
#: Columns are named in small letters: parts of a whole after a dot, metrics of retrieval with their rank.
NAME = re.compile(r"(meets )?[a-z0-9]+([_@-][a-z0-9]+)*(\..+)?")
MOST_ROWS = 60


@pytest.fixture(scope="module", params=RESULTS)
def result(request):
    return RESULTS[request.param]()


def test_a_frame_is_tidy(result):
    frame = result.to_frame()
    names = [str(name) for name in frame]
    assert len(frame) and names == list(frame.columns) and len(set(names)) == len(names)
    assert [name for name in names if not NAME.fullmatch(name)] == []
    assert all(column(name).label for name in names)
    # An index holds no data, or repeats a column.
    assert isinstance(frame.index, pd.RangeIndex) or any(frame[name].tolist() == frame.index.tolist() for name in names)
    nested = [name for name in names if frame[name].map(lambda value: isinstance(value, (dict, list, tuple))).any()]
    assert nested == []


def test_a_notebook_shows_labels_and_no_more_than_a_screen(result):
    page = result._repr_html_()
    assert "<table" in page and page.count("<tr>") <= MOST_ROWS
    labels = re.findall(r"<(?:th|caption|tr><td)[^>]*>([^<]*)<", page)
    assert labels and [label for label in labels if re.search(r"\b[a-z][a-z0-9]*_[a-z0-9_]+\b", label)] == []


def test_equal_by_value_and_after_pickling(result):
    again = pickle.loads(pickle.dumps(result))
    assert again == result and (again != result) is False
