"""Evaluation outside encoding beside sentence-transformers: 5,000 queries among 200,000 documents, vectors given.

    python benchmarks/evaluation.py [--json] [--quick] [--cache FOLDER] [--rounds 3]

Both sides get the same vectors through an encoder that has them already, and give the same fifteen measures. Theirs
is the call of ``InformationRetrievalEvaluator`` with its defaults; it ends with the means. Ours ends with what a user
of ``nearfar evaluate`` gets: the value of every measure for every query, written as a table, and means with bootstrap
intervals of 10,000 resamples. Reading the data is timed on neither side. Each run is a process of its own; sides take
turns, and the median counts. ``ours_folder`` also writes what ``--out`` does: the TREC run, calibration and geometry.

``speed_ratio``     their seconds over ours; the limit is 2, and 3 was expected before the first run: the product of the
                    matrices is the same for both, but theirs looks for the best of every chunk in all of its scores and
                    then sorts in Python, while ours pays for measures by query and for resampling
``folder_ratio``    their seconds over those of ``ours_folder``
``score_gap``       the largest absolute difference of a measure; 0 but for rounding of scores in float32
``memory_ratio``    our peak over theirs, of whole processes

Vectors are a mixture of 384 dimensions, one component for each 500 documents. A query lies around the mean of the one
to five documents that are relevant to it, all of one component and with the grade 1: theirs knows no other. So the
fifteen measures are defined alike on both sides, also average precision: theirs divides by the cutoff where more
documents than that are relevant, and here never are. Both break equal scores by a rule that does not depend on luck,
but not by the same: theirs by id, ours by a hash of the text. No two documents have one vector, so that only rounding
can make scores equal.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfar.config.run import EvaluationOptions
from nearfar.data.load import load
from nearfar.data.tables import TEST, Dataset
from nearfar.evaluation.evaluate import Task, evaluate_encoder, summary, write_results
from nearfar.evaluation.results import write_per_query
from nearfar.events import Silent, Sink

CUTOFFS = (1, 3, 5, 10)
THEIR_NAMES = {
    "nDCG@10": "ndcg@10",
    "RR@10": "mrr@10",
    "AP@100": "map@100",
    **{f"Success@{k}": f"accuracy@{k}" for k in CUTOFFS},
    **{f"P@{k}": f"precision@{k}" for k in CUTOFFS},
    **{f"R@{k}": f"recall@{k}" for k in CUTOFFS},
}
DIMENSIONS, COMPONENT = 384, 500
SIDES = ("ours", "theirs", "ours_folder")


def prepare(folder: Path, queries: int, documents: int) -> None:
    """Data in BEIR's layout and the vectors of its texts, unless they are there."""
    if folder.is_dir():
        return
    generator = np.random.default_rng(0)
    components = max(documents // COMPONENT, 1)
    centres = generator.standard_normal((components, DIMENSIONS), dtype=np.float32)
    member = generator.integers(0, components, documents)
    vectors = centres[member] + generator.standard_normal((documents, DIMENSIONS), dtype=np.float32)
    asked = 4 * generator.standard_normal((queries, DIMENSIONS), dtype=np.float32)
    lines = ["query-id\tcorpus-id\tscore"]
    for query in range(queries):
        alike = np.flatnonzero(member == generator.integers(components))
        relevant = np.sort(generator.choice(alike, min(int(generator.integers(1, 6)), len(alike)), replace=False))
        asked[query] += vectors[relevant].mean(axis=0)
        lines += [f"q{query}\td{row}\t1" for row in relevant.tolist()]
    unfinished = folder.with_suffix(".partial")
    (unfinished / "qrels").mkdir(parents=True, exist_ok=True)
    (unfinished / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, letter, values in (("queries", "q", asked), ("corpus", "d", vectors)):
        np.save(unfinished / f"{name}.npy", values)
        rows = ({"_id": f"{letter}{row}", "text": f"{name} {row}"} for row in range(len(values)))
        (unfinished / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    unfinished.rename(folder)


class Given:
    """Vectors of consecutive texts, by the numbers in these: nothing is copied, so that next to nothing is timed."""

    similarity_fn_name = "cosine"
    fingerprint = "given"

    def __init__(self, folder: Path) -> None:
        self.queries, self.documents = np.load(folder / "queries.npy"), np.load(folder / "corpus.npy")
        self.model_card_data = self

    def set_evaluation_metrics(self, *_: Any) -> None:
        """Theirs notes results for the model card."""

    def _rows(self, vectors: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        first, last = (int(text.rpartition(" ")[2]) for text in (texts[0], texts[-1]))
        assert last - first + 1 == len(texts)
        return vectors[first : last + 1]


class ForOurs(Given):
    """What nearfar asks of an encoder."""

    similarity = "cosine"

    def encode_queries(self, texts: Sequence[str], sink: Sink = Silent()) -> np.ndarray:
        return self._rows(self.queries, texts)

    def encode_documents(self, texts: Sequence[str], sink: Sink = Silent()) -> np.ndarray:
        return self._rows(self.documents, texts)


class ForTheirs(Given):
    """What the evaluator of sentence-transformers asks of a model."""

    def encode_query(self, texts: Sequence[str], **_: Any) -> torch.Tensor:
        return torch.from_numpy(self._rows(self.queries, texts))

    def encode_document(self, texts: Sequence[str], **_: Any) -> torch.Tensor:
        return torch.from_numpy(self._rows(self.documents, texts))

    def similarity(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        from sentence_transformers.util import cos_sim

        return cos_sim(left, right)


def run_ours(folder: Path, dataset: Dataset, whole: bool) -> dict[str, Any]:
    """Our side; ``whole`` with everything that ``--out`` writes."""
    encoder = ForOurs(folder)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        start = time.perf_counter()
        task = Task.of(dataset, TEST, EvaluationOptions(measures=tuple(THEIR_NAMES)))
        systems = {"given": evaluate_encoder(encoder, task, calibrate=whole)}
        if whole:
            found = write_results(Path(out), systems, ())
        else:
            found = summary(systems, ())
            write_per_query(Path(out) / "per_query.parquet", {"given": systems["given"].scores}, dataset.queries)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "scores": found["systems"]["given"]}


def run_theirs(folder: Path, dataset: Dataset) -> dict[str, Any]:
    """Their side."""
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    queries, documents = (
        dict(zip(table.ids.to_pylist(), table.texts.to_pylist(), strict=True))
        for table in (dataset.queries, dataset.documents)
    )
    relevant: dict[str, set[str]] = {name: set() for name in queries}
    judged = dataset.positives(TEST)
    for query, node in zip(judged.query.tolist(), judged.node.tolist(), strict=True):
        relevant[dataset.queries.id(query)].add(dataset.documents.id(node))
    model = ForTheirs(folder)
    evaluator = InformationRetrievalEvaluator(queries, documents, relevant)
    start = time.perf_counter()
    found = evaluator(model)  # type: ignore[arg-type]
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "scores": {ours: float(found[f"cosine_{it}"]) for ours, it in THEIR_NAMES.items()}}


def run_side(side: str, folder: Path) -> dict[str, Any]:
    """One side, in this process."""
    dataset = load(folder)
    found = run_theirs(folder, dataset) if side == "theirs" else run_ours(folder, dataset, side == "ours_folder")
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM:"))
    return {**found, "peak_gb": peak}


def apart(side: str, folder: Path) -> dict[str, Any]:
    """One side, in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure(cache: Path, queries: int, documents: int, rounds: int) -> dict[str, Any]:
    """Both sides in turns."""
    folder = cache / f"{queries}-{documents}"
    prepare(folder, queries, documents)
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            runs[side].append(apart(side, folder))
    seconds = {side: statistics.median(each["seconds"] for each in runs[side]) for side in SIDES}
    peak = {side: max(each["peak_gb"] for each in runs[side]) for side in SIDES}
    ours, theirs = runs["ours"][0]["scores"], runs["theirs"][0]["scores"]
    return {
        "speed_ratio": seconds["theirs"] / seconds["ours"],
        "folder_ratio": seconds["theirs"] / seconds["ours_folder"],
        "score_gap": max(abs(ours[name] - theirs[name]) for name in THEIR_NAMES),
        "memory_ratio": peak["ours"] / peak["theirs"],
        "queries": queries,
        "documents": documents,
        "seconds": seconds,
        "every_run": {side: [each["seconds"] for each in runs[side]] for side in SIDES},
        "peak_gb": peak,
        "scores": ours,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="500 queries among 20,000 documents, once: does it run?")
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path("runs/evaluation-benchmark"))
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        result = run_side(options.side, options.folder)
    elif options.quick:
        result = measure(options.cache, 500, 20_000, 1)
    else:
        result = measure(options.cache, options.queries, options.documents, options.rounds)
    if options.json or options.side:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:14} {value}")


if __name__ == "__main__":
    main()
