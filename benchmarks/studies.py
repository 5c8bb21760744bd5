"""Designs per second of a study, end to end with results on disk, beside GenZ evaluating one decode point at a time.

GenZ: pip install genz-llm (MIT, arXiv 2406.01698).

Study (a) is the shipped `hardwired-space`: speed, energy, silicon, masks, TCO and carbon of each design, sampled,
evaluated, judged and written. Study (b) is the roofline of one LLM on an H100 at random batches and contexts, which is
what GenZ's `decode_moddeling` answers; both see the same points.
"""

import contextlib
import dataclasses
import io
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import explorer.study as studies
from benchmarks.measure import Measure, absent, medians

RUNS = 3
ROOFLINE_POINTS = 200_000
PEER_POINTS = 40
MODEL, PEER_MODEL, PEER_SYSTEM = "llama-3-8b", "llama3_8b", "H100_GPU"


def written(study: studies.Study, workers: int) -> Callable[[], object]:
    """Run `study` into a new folder, which is removed."""

    def work() -> None:
        folder = Path(tempfile.mkdtemp())
        try:
            study.run(folder / "study", workers=workers)
        finally:
            shutil.rmtree(folder)

    return work


def roofline(points: int) -> studies.Study:
    """Batches and contexts that fit one H100."""
    return studies.Study(
        evaluate="accelerator",
        parameters={"batch": (1, 64, "log"), "context": (512, 4096, "log")},
        fixed={"model": MODEL, "on": "h100"},
        sampler="random",
        points=points,
        seed=3,
    )


def genz(points: list[tuple[int, int]]) -> list[float]:
    """Tokens per second by GenZ at (batch, context) points."""
    from GenZ import decode_moddeling

    found = []
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for batch, context in points:
            answer = decode_moddeling(
                model=PEER_MODEL,
                batch_size=batch,
                input_tokens=context,
                output_tokens=0,
                Bb=1,
                system_name=PEER_SYSTEM,
                bits="bf16",
            )
            found.append(float(answer["Throughput"]))
    return found


def measures(quick: bool) -> Iterator[Measure]:
    """Yield designs per second of both studies, and the ratio of the answers."""
    points, cases_points, runs = (4_096, 2_000, 1) if quick else (2_097_152, ROOFLINE_POINTS, RUNS)
    space = dataclasses.replace(studies.load_study("hardwired-space"), points=points)
    rates: dict[int, float] = {}
    for workers in (1, 2):
        rates[workers] = points / medians({"study": written(space, workers)}, runs)["study"]
    yield Measure("(a) hardwired-space, 1 thread, written", rates[1], "designs/s", note=f"{points:,} points")
    yield Measure("(a) hardwired-space, 2 threads, written", rates[2], "designs/s", "1 thread", rates[1])
    cases = dataclasses.replace(roofline(cases_points))
    ours = cases_points / medians({"study": written(cases, 2)}, runs)["study"]
    frame = dataclasses.replace(cases, points=PEER_POINTS).run().to_frame()
    pairs = list(zip(frame["batch"].tolist(), frame["context"].tolist(), strict=True))
    name = f"(b) {MODEL} on an H100, 2 threads, written"
    try:
        genz(pairs[:1])
    except ImportError:
        yield Measure(name, ours, "designs/s")
        yield absent("GenZ", "genz-llm")
        return
    answers: list[float] = []

    def peer() -> None:
        answers[:] = genz(pairs)

    theirs = PEER_POINTS / medians({"peer": peer}, 1)["peer"]
    ratios = frame["tokens_per_s"].to_numpy() / np.array(answers)
    note = (
        f"tokens/s, ours over GenZ's at the same {PEER_POINTS} points: median {np.median(ratios):.2f}, "
        f"{ratios.min():.2f} to {ratios.max():.2f}"
    )
    yield Measure(name, ours, "designs/s", "GenZ, one at a time", theirs, note)
