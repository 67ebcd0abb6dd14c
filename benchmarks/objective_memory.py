"""Memory and time of objectives in tiles, beside the same objectives with their matrix of scores whole.

    python benchmarks/objective_memory.py [--json] [--size 16384] [--rounds 3] [--only InfoNCE]

Loss and gradients in random unit vectors of 384 dimensions, for a matrix of ``size`` rows and as many columns, with
identities and one positive a row. Each measurement is a process of its own. ``memory_ratio`` is the peak of what a call
takes beside its inputs, in tiles over whole; ``time_ratio`` likewise; ``floor_ratio`` is the time in tiles over that of
the three matrix products that no way of computing can avoid. For each of them the worst objective is printed, and all
of them are in ``objectives``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from nearfar.engine.tile import SCORES_AT_ONCE, tile_of
from nearfar.objectives import parse
from nearfar.objectives.outline import Tiling
from nearfar.types import Relation

WIDTH = 384
OBJECTIVES = {
    "InfoNCE": "InfoNCE",
    "InfoNCE symmetric": "InfoNCE(directions=symmetric)",
    "MW": "MW",
    "HCL": "HCL",
    "DecoupledSoftmax": "DecoupledSoftmax",
    "SigLIP": "SigLIP",
    "MultiSimilarity": "MultiSimilarity(sides=other)",
}
"""HCL has both sides as rows and columns: half as many anchors and candidates make a matrix of the same size."""


def inputs(name: str, size: int) -> tuple[torch.Tensor, torch.Tensor, Relation]:
    """Vectors and relation; an anchor lies near its candidate."""
    count = size // 2 if name == "HCL" else size
    generator = torch.Generator().manual_seed(0)
    candidates = torch.nn.functional.normalize(torch.randn(count, WIDTH, generator=generator), dim=1)
    anchors = torch.nn.functional.normalize(candidates + torch.randn(count, WIDTH, generator=generator) / 6, dim=1)
    place, none = torch.arange(count), torch.zeros(0, dtype=torch.int64)
    relation = Relation(
        anchor_ids=place,
        candidate_ids=place + count,
        rows=place,
        columns=place,
        grades=torch.ones(count),
        origins=torch.zeros(count, dtype=torch.int64),
        ignored_rows=none,
        ignored_columns=none,
    )
    return anchors.requires_grad_(), candidates.requires_grad_(), relation


def memory(name: str) -> float:
    """A line of this process's status, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def call(name: str, size: int, tiled: bool) -> dict[str, float]:
    """One call, forwards and backwards: seconds, and the peak of what it took beside its inputs."""
    objective = parse(OBJECTIVES[name])
    tiling = Tiling(tile_of(SCORES_AT_ONCE, torch.device("cpu"))) if tiled else None
    for count in (256, size):  # the first call is a rehearsal
        anchors, candidates, relation = inputs(name, count)
        for each in (anchors, candidates, *objective.parameters()):
            each.grad = None
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before, start = memory("VmRSS"), time.perf_counter()
        given = (anchors, candidates, relation)
        loss = (objective.in_tiles(tiling, *given) if tiling else objective.outcome(*given)).loss
        loss.backward()
        taken = time.perf_counter() - start
    slope = float(anchors.grad.norm() + candidates.grad.norm())
    return {"seconds": taken, "mebibytes": memory("VmHWM") - before, "loss": float(loss.detach()), "slope": slope}


def products(size: int) -> dict[str, float]:
    """The three matrix products, in blocks that are written over: seconds."""
    anchors, candidates = (torch.randn(size, WIDTH) for _ in range(2))
    height = max(tile_of(SCORES_AT_ONCE, torch.device("cpu")) // size, 1)
    scores, slope, into = torch.empty(height, size), torch.zeros(size, WIDTH), torch.empty(height, WIDTH)
    start = time.perf_counter()
    for place in range(0, size, height):
        rows = anchors[place : place + height]
        torch.mm(rows, candidates.T, out=scores)
        torch.mm(scores, candidates, out=into)
        slope.addmm_(scores.T, rows)
    return {"seconds": time.perf_counter() - start}


def measure(*arguments: str) -> dict[str, float]:
    """The same file in a process of its own."""
    command = [sys.executable, __file__, "--measure", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ})
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--size", type=int, default=16_384)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=OBJECTIVES)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, way = options.measure
        print(json.dumps(products(options.size) if name == "products" else call(name, options.size, way == "tiled")))
        return
    found = {}
    for name in options.only or OBJECTIVES:
        runs: dict[str, list[dict[str, float]]] = {"whole": [], "tiled": [], "products": []}
        for _ in range(options.rounds):
            for way, each in runs.items():
                each.append(measure("products" if way == "products" else name, way, "--size", str(options.size)))
        seconds = {way: statistics.median(run["seconds"] for run in each) for way, each in runs.items()}
        peak = {way: max(run["mebibytes"] for run in runs[way]) for way in ("whole", "tiled")}
        found[name] = {
            "memory_ratio": peak["tiled"] / peak["whole"],
            "time_ratio": seconds["tiled"] / seconds["whole"],
            "floor_ratio": seconds["tiled"] / seconds["products"],
            "whole_mebibytes": peak["whole"],
            "tiled_mebibytes": peak["tiled"],
            "whole_seconds": seconds["whole"],
            "tiled_seconds": seconds["tiled"],
            "loss_gap": abs(runs["whole"][0]["loss"] - runs["tiled"][0]["loss"]),
            "slope_gap": abs(runs["whole"][0]["slope"] / runs["tiled"][0]["slope"] - 1),
        }
        print(name, {key: float(f"{value:.3g}") for key, value in found[name].items()}, flush=True)
    worst = {key: max(each[key] for each in found.values()) for key in ("memory_ratio", "time_ratio", "floor_ratio")}
    result = {**worst, "objectives": found}
    print(json.dumps(result) if options.json else "\n".join(f"{key}: {value:.3g}" for key, value in worst.items()))


if __name__ == "__main__":
    main()
