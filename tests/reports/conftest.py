"""Run folders and the page made from one, and evaluations with their pages."""

import random
from pathlib import Path

import pytest

import nearfar
from nearfar.reports import write_report
from tests import runs

from .fixture import write_run_folder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    return write_run_folder(tmp_path_factory.mktemp("run"), queries=300)


@pytest.fixture(scope="session")
def page(run_folder, tmp_path_factory) -> str:
    return write_report(run_folder, tmp_path_factory.mktemp("page") / "page.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def evaluated(tmp_path_factory) -> dict[str, Path]:
    """Folders of ``nearfar evaluate --out``: a search with a model and with BM25, graded pairs, texts with labels."""
    folder = tmp_path_factory.mktemp("evaluated")
    model = runs.static(runs.write_tokenizer(folder / "tokenizer.json"))
    drawn = random.Random(0)
    graded = []
    for _ in range(120):
        left, same = drawn.choices(runs.ASK, k=4), drawn.randrange(5)
        right = [*left[:same], *drawn.choices(runs.ASK, k=4 - same)]
        graded.append({"sentence1": " ".join(left), "sentence2": " ".join(right), "score": float(same)})
    labelled = [
        {"text": " ".join(drawn.choices(runs.ASK[5 * label : 5 * label + 7], k=4)), "label": f"class {label}"}
        for label in range(2)
        for _ in range(60)
    ]
    data = {
        "search": runs.write_pairs(folder / "pairs.jsonl", 120),
        "bm25": folder / "pairs.jsonl",
        "sts": runs.write_lines(folder / "graded.jsonl", graded),
        "labels": runs.write_lines(folder / "labelled.jsonl", labelled),
    }
    for name, source in data.items():
        nearfar.evaluate(
            "bm25" if name == "bm25" else model,
            source,
            out=folder / name,
            task=["KNN", "FewShot(episodes=20, shots=1, ways=2)"] if name == "labels" else None,
            settings=["evaluation.resamples=100", *(["evaluation.truncate=[8]"] if name == "search" else [])],
        )
    return {name: folder / name for name in data}
