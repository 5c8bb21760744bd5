"""Designs per second of a study, end to end with results on disk, beside GenZ evaluating one decode point at a time.

    python benchmarks/studies.py [points]           # GenZ: pip install genz-llm (MIT, arXiv 2406.01698)

Study (a) is the shipped `hardwired-space`: speed, energy, silicon, masks, TCO and carbon of each design, sampled,
evaluated, judged and written. Study (b) is the roofline of one LLM on an H100 at random batches and contexts, which is
what GenZ's `decode_moddeling` answers; both see the same points. Prints medians and ratios, of answers too.
"""

import contextlib
import dataclasses
import io
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

import explorer.study as studies

RUNS = 3
ROOFLINE_POINTS = 200_000
PEER_POINTS = 40
MODEL, PEER_MODEL, PEER_SYSTEM = "llama-3-8b", "llama3_8b", "H100_GPU"


def seconds(work: Callable[[], object], runs: int = RUNS) -> float:
    """Median seconds of `work`."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


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


def main() -> None:
    """Run and print."""
    points = int(sys.argv[1]) if len(sys.argv) > 1 else 2_097_152
    space = dataclasses.replace(studies.load_study("hardwired-space"), points=points)
    for workers in (1, 2):
        rate = points / seconds(written(space, workers))
        print(f"(a) hardwired-space, {workers} thread(s), written      {rate:14,.0f} designs/s")
    cases = roofline(ROOFLINE_POINTS)
    ours = ROOFLINE_POINTS / seconds(written(cases, 2))
    print(f"(b) {MODEL} on an H100, 2 threads, written  {ours:14,.0f} designs/s")
    frame = dataclasses.replace(cases, points=PEER_POINTS).run().to_frame()
    asked = list(zip(frame["batch"].tolist(), frame["context"].tolist(), strict=True))
    try:
        genz(asked[:1])
    except ImportError:
        print("GenZ is not installed: pip install genz-llm")
        return
    answers: list[float] = []

    def peer() -> None:
        answers[:] = genz(asked)

    theirs = PEER_POINTS / seconds(peer)
    print(
        f"(b) {PEER_MODEL} on {PEER_SYSTEM}, GenZ, one at a time {theirs:14,.1f} designs/s   ours {ours / theirs:,.0f}x"
    )
    ratios = frame["tokens_per_s"].to_numpy() / np.array(answers)
    print(
        f"    tokens/s, ours over GenZ's at the same {PEER_POINTS} points: median {np.median(ratios):.2f}, "
        f"{ratios.min():.2f} to {ratios.max():.2f}"
    )


if __name__ == "__main__":
    main()
