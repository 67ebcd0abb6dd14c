"""Hard negatives of docstring pairs beside sentence-transformers, and search among a million vectors.

    python benchmarks/mining.py [--json] [--quick] [--cache FOLDER] [--pairs 50000]

Both sides get the same vectors, encoded once and kept in the cache, and mine with the same settings: the 100 nearest,
those above 95% of the positive's score dropped, the best 4 kept, written to files. Timed is all after encoding: theirs
gives triplets; ours is what ``nearfar mine`` does with its vectors there already, so with every candidate and its
reason, the account and the page. Each run is a process of its own; sides take turns, and the median counts.

``speed_ratio``          their seconds over ours; theirs is the faster of their two ways, ours the default
``float32_speed_ratio``  the same with a first pass in float32
``memory_ratio``         our peak over theirs, of whole processes, the way that is compared for speed
``same_negatives``       triplets that both give, of those that either gives
``million_gb``           anonymous memory, in 10^9 bytes, of exact search for 10,000 queries in a mapped million
``ann_recall``           recall@100 of the cheapest IVF index that reaches .95 (``ann_index``), with its interval
``ann_speed_ratio``      seconds of exact search (default) over those of that index, both with all threads

The million are synthetic: a mixture, one component for each 500 vectors, since real embeddings lie in clusters.
Uniform random vectors of 384 dimensions have no near neighbours, and no index finds them.

Where the negatives differ although nothing is wrong: theirs compares texts by byte, ours by normalised text, so theirs
may give a positive in other case or spacing; theirs breaks equal scores by luck; a score within rounding of the margin
may fall on either side. Theirs looks as many places deeper, for every query, as the query with most positives has (217
here), so ours may look as deep; by default it stops for each query where nothing deeper could be handed out.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from nearfar.config.mining import MiningOptions
from nearfar.data.docstrings import functions
from nearfar.data.identity import text_key
from nearfar.data.load import from_records
from nearfar.data.tables import TRAIN, UNSPLIT, Dataset
from nearfar.encoders.load import load
from nearfar.engine.embed import resolve_precision
from nearfar.events import Silent, Sink
from nearfar.negatives import searching
from nearfar.negatives.closure import Closure
from nearfar.negatives.engines import Inline
from nearfar.negatives.job import Workplace, run_job
from nearfar.negatives.output import write_record
from nearfar.negatives.store import KeptVectors
from nearfar.recipes.demo import MODEL
from nearfar.reports.mining import write_mining_report
from nearfar.retrieval.approximate import Index, measured_recall
from nearfar.retrieval.dense import search
from nearfar.retrieval.kinds import IVF

DEPTH, MARGIN, NEGATIVES = 100, 0.05, 4
PACKAGES = ("torch", "transformers", "sympy", "scipy", "sklearn", "networkx", "pandas", "numpy", "matplotlib", "plotly")
PACKAGES += (
    "sentence_transformers",
    "peft",
    "datasets",
    "huggingface_hub",
    "accelerate",
    "pydantic",
    "mpmath",
    "fsspec",
)
PACKAGES += ("joblib", "hypothesis", "pyarrow", "mypy", "pip", "setuptools", "lightly")
SIDES = ("ours", "ours_float32", "theirs", "theirs_faiss")


def prepare(folder: Path, pairs: int) -> None:
    """Texts and vectors, unless they are there."""
    if (folder / "documents.npy").is_file():
        return
    found: list[tuple[str, str]] = []
    for package in PACKAGES:
        found += [(each.sentence, each.code) for each in functions(package, pairs - len(found))]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pairs.json").write_text(json.dumps(found), encoding="utf-8")
    encoder = load(MODEL, max_length=128)
    encoder.precision = resolve_precision("auto", encoder.device)
    np.save(folder / "queries.npy", encoder.encode_queries(list(dict.fromkeys(query for query, _ in found))))
    partial = folder / "partial.npy"
    np.save(partial, encoder.encode_documents(list(dict.fromkeys(document for _, document in found))))
    partial.rename(folder / "documents.npy")


class Stub:
    """What ``mine_hard_negatives`` needs of a model, with vectors that are there already."""

    device = torch.device("cpu")

    def __init__(self, queries: np.ndarray, documents: np.ndarray) -> None:
        self.queries, self.documents = queries, documents

    def encode_query(self, texts: list[str], **_: Any) -> np.ndarray:
        assert len(texts) == len(self.queries)
        return self.queries

    def encode_document(self, texts: list[str], **_: Any) -> np.ndarray:
        assert len(texts) == len(self.documents)
        return self.documents

    def get_embedding_dimension(self) -> int:
        return int(self.documents.shape[1])

    def similarity(self, left: Any, right: Any) -> torch.Tensor:
        from sentence_transformers.util import cos_sim

        return cos_sim(left, right)

    def similarity_pairwise(self, left: Any, right: Any) -> torch.Tensor:
        from sentence_transformers.util import pairwise_cos_sim

        return pairwise_cos_sim(left, right)


def theirs(pairs: list[list[str]], queries: np.ndarray, documents: np.ndarray, out: Path, faiss: bool) -> None:
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers.util import mine_hard_negatives

    disable_progress_bars()
    mine_hard_negatives(
        Dataset.from_dict({"anchor": [each[0] for each in pairs], "positive": [each[1] for each in pairs]}),
        Stub(queries, documents),  # type: ignore[arg-type]
        range_max=DEPTH,
        relative_margin=MARGIN,
        num_negatives=NEGATIVES,
        sampling_strategy="top",
        use_faiss=faiss,
        verbose=False,
    ).to_parquet(out)


class Given:
    """An encoder that has the vectors of some texts, by their identity; the first spelling counts, as in the tables.

    Without a folder it has none, which is enough where all of them are in the cache.
    """

    similarity = "cosine"
    fingerprint = "given"

    def __init__(self, pairs: list[list[str]], folder: Path | None = None) -> None:
        self.queries, self.documents = (
            ({}, {})
            if folder is None
            else (
                {
                    text_key(text): vector
                    for text, vector in reversed(list(zip(texts, np.load(folder / name), strict=True)))
                }
                for texts, name in (
                    (dict.fromkeys(each[0] for each in pairs), "queries.npy"),
                    (dict.fromkeys(each[1] for each in pairs), "documents.npy"),
                )
            )
        )

    def encode_queries(self, texts: Sequence[str], sink: Sink = Silent()) -> np.ndarray:
        return np.stack([self.queries[text_key(text)] for text in texts])

    def encode_documents(self, texts: Sequence[str], sink: Sink = Silent()) -> np.ndarray:
        return np.stack([self.documents[text_key(text)] for text in texts])


def tables_of(pairs: list[list[str]]) -> Dataset:
    """The pairs as a training split."""
    tables = from_records([{"query": left, "positive": right} for left, right in pairs], name="docstrings")
    return tables.with_qrels({TRAIN: tables.qrels[UNSPLIT]})


def fill(folder: Path) -> None:
    """Put the vectors where a mining job keeps them, unless they are there."""
    if (folder / "cache").is_dir():
        return
    pairs = json.loads((folder / "pairs.json").read_text(encoding="utf-8"))
    tables = tables_of(pairs)
    unfinished = folder / "partial-cache"
    KeptVectors(tables, Closure(tables).queries, Given(pairs, folder), unfinished, Inline()).vectors("")
    unfinished.rename(folder / "cache")


def ours(pairs: list[list[str]], folder: Path, out: Path, precision: str) -> dict[str, float]:
    """``nearfar mine`` from the search on, with all its files. Their triplets are made of those, uncounted."""
    tables = tables_of(pairs)
    searching.search = partial(search, precision=precision)  # type: ignore[assignment]
    deepest = int(np.bincount(Closure(tables).positives.query).max())
    options = MiningOptions(
        sources=(f"Dense(depth={min(DEPTH + deepest, len(tables.documents))})",),
        filters=(f"Margin(margin={MARGIN}, kind=relative)",),
        select=f"Top(count={NEGATIVES})",
    )
    job = out.with_suffix(".run")
    shutil.rmtree(job, ignore_errors=True)
    for hits in (folder / "cache").glob("hits-*"):
        shutil.rmtree(hits)
    start = time.perf_counter()
    stamp = run_job(tables, Given([]), options, Workplace(folder=job, cache=folder / "cache"))["stamp"]
    write_record(job, "docstrings", {}, stamp["data"])
    write_mining_report(job)
    measured = {"seconds": time.perf_counter() - start, "peak_gb": status("VmHWM")}
    write_triplets(tables, job, out)
    return measured


def write_triplets(tables: Dataset, job: Path, out: Path) -> None:
    """Each negative with each positive of its query, as texts."""
    rows = pq.read_table(job / "negatives.parquet", columns=["query_id", "document_id", "label"]).to_pylist()
    positives: dict[str, list[str]] = {}
    for row in pq.read_table(job / "positives.parquet", columns=["query_id", "document_id"]).to_pylist():
        positives.setdefault(row["query_id"], []).append(row["document_id"])
    queries, documents = (
        dict(zip(table.ids.to_pylist(), table.texts.to_pylist(), strict=True))
        for table in (tables.queries, tables.documents)
    )
    found = [
        {"anchor": queries[row["query_id"]], "positive": documents[each], "negative": documents[row["document_id"]]}
        for row in rows
        if row["label"] == "negative"
        for each in positives[row["query_id"]]
    ]
    pq.write_table(pa.Table.from_pylist(found), out)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def run_side(side: str, folder: Path) -> dict[str, float]:
    """One side, in this process."""
    pairs = json.loads((folder / "pairs.json").read_text(encoding="utf-8"))
    out = folder / f"{side}.parquet"
    if not side.startswith("theirs"):
        return ours(pairs, folder, out, "float32" if side == "ours_float32" else "auto")
    queries, documents = np.load(folder / "queries.npy"), np.load(folder / "documents.npy")
    start = time.perf_counter()
    theirs(pairs, queries, documents, out, side == "theirs_faiss")
    return {"seconds": time.perf_counter() - start, "peak_gb": status("VmHWM")}


def status(field: str) -> float:
    """A field of this process's status, in 10^9 bytes. ``ru_maxrss`` would count what the parent held at the fork."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith(f"{field}:"))


def mixture(rows: int, components: int, seed: int) -> np.ndarray:
    """Unit vectors around the components, which are the same for every seed."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((components, 384), dtype=np.float32)
    return unit(
        centres[generator.integers(0, components, rows)] + 0.9 * generator.standard_normal((rows, 384), np.float32)
    )


class Anonymous:
    """The most anonymous memory that this process had while inside, in 10^9 bytes."""

    def __enter__(self) -> "Anonymous":
        self.peak, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self.peak = max(self.peak, status("RssAnon"))


def run_million(folder: Path, rows: int, count: int) -> dict[str, float | str]:
    """Exact and approximate search in a mapped file, in this process."""
    path, components = folder / f"mixture-{rows}.npy", max(rows // 500, 1)
    if not path.is_file():
        partial = np.lib.format.open_memmap(folder / "partial.npy", "w+", np.float32, (rows, 384))
        for start in range(0, rows, 50_000):
            partial[start : start + 50_000] = mixture(min(50_000, rows - start), components, 1 + start)
        partial.flush()
        (folder / "partial.npy").rename(path)
    documents: np.ndarray = np.load(path, mmap_mode="r")
    queries = mixture(count, components, 2**31)
    with Anonymous() as memory:
        start = time.perf_counter()
        search(queries, documents, DEPTH)
        exact = time.perf_counter() - start
    result: dict[str, float | str] = {"million_gb": memory.peak, "exact_seconds": exact}
    start = time.perf_counter()
    index = Index(IVF(probes=1, oversampling=1), documents)
    result["ann_build_seconds"] = time.perf_counter() - start
    for probes in (1, 2, 4, 8, 16, 32, 64):
        index.kind = IVF(probes=probes, oversampling=1)
        recall = measured_recall(index, queries, DEPTH)
        if recall.low >= 0.95:
            break
    start = time.perf_counter()
    index.search(queries, DEPTH)
    result["ann_seconds"] = time.perf_counter() - start
    return result | {
        "ann_index": str(index.kind),
        "ann_recall": recall.mean,
        "ann_recall_low": recall.low,
        "ann_recall_high": recall.high,
        "ann_speed_ratio": exact / float(result["ann_seconds"]),
    }


def apart(*arguments: str) -> dict[str, Any]:
    """This file in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def triplets(path: Path) -> set[tuple[str, str, str]]:
    table = pq.read_table(path, columns=["anchor", "positive", "negative"])
    return set(zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True))


def measure(cache: Path, pairs: int, rounds: int, rows: int, queries: int) -> dict[str, Any]:
    folder = cache / f"pairs-{pairs}"
    prepare(folder, pairs)
    fill(folder)
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            runs[side].append(apart("--side", side, "--folder", str(folder)))
    seconds = {side: statistics.median(each["seconds"] for each in runs[side]) for side in SIDES}
    peak = {side: max(each["peak_gb"] for each in runs[side]) for side in SIDES}
    faster = min(("theirs", "theirs_faiss"), key=seconds.__getitem__)
    mine, other = triplets(folder / "ours.parquet"), triplets(folder / f"{faster}.parquet")
    result = {
        "speed_ratio": seconds[faster] / seconds["ours"],
        "float32_speed_ratio": seconds[faster] / seconds["ours_float32"],
        "memory_ratio": peak["ours"] / peak[faster],
        "same_negatives": len(mine & other) / max(1, len(mine | other)),
        "only_ours": len(mine - other),
        "only_theirs": len(other - mine),
        "seconds": seconds,
        "peak_gb": peak,
    }
    return result | apart("--million", str(rows), "--queries", str(queries), "--folder", str(cache))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="2,000 pairs and 20,000 vectors: does it run?")
    parser.add_argument("--pairs", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path("runs/mining-benchmark"))
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--million", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--queries", type=int, default=10_000, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        result: dict[str, Any] = dict(run_side(options.side, options.folder))
    elif options.million:
        result = dict(run_million(options.folder, options.million, options.queries))
    elif options.quick:
        result = measure(options.cache, 2_000, 1, 20_000, 500)
    else:
        result = measure(options.cache, options.pairs, options.rounds, 1_000_000, options.queries)
    if options.json or options.side or options.million:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
