"""Writes a run folder as the training job leaves it, with invented numbers that agree with one another.

``python -m tests.reports.fixture FOLDER`` writes one to look at.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from nearfar.evaluation.calibrated import Scored, calibrate
from nearfar.evaluation.geometry import Cloud, Hubs
from nearfar.evaluation.space import Geometry

MEASURES = ("nDCG@10", "Success@1", "RR@10", "AP@100", "R@100")

PAIRS = [line.split("\t") for line in (Path(__file__).parent / "pairs.tsv").read_text(encoding="utf-8").splitlines()]

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)> & \"quotes\" <b>bold</b> %{x} {{ 7*7 }}"


def write_run_folder(
    folder: Path,
    *,
    seed: int = 0,
    queries: int = 1200,
    gain: float = 0.38,
    spread: float = 0.9,
    omit: tuple[str, ...] = (),
    hostile: bool = False,
) -> Path:
    """Write a whole run: ``gain`` is how much tuning lifts a query, ``omit`` names files to leave out."""
    generator = np.random.default_rng(seed)
    (folder / "evaluation").mkdir(parents=True, exist_ok=True)
    values = _per_query(generator, queries, gain, spread)
    text = HOSTILE if hostile else ""
    _dump(folder / "run.json", _run(text))
    (folder / "config.yaml").write_text(CONFIG + (f"# {text}\n" if text else ""), encoding="utf-8")
    _dump(folder / "data.json", _data(generator, queries, text))
    _training(folder / "training.jsonl", generator, gain, text)
    _dump(folder / "evaluation/scores.json", _scores(generator, values))
    _table(folder / "evaluation/per_query.parquet", _per_query_rows(values))
    _table(folder / "evaluation/score_pairs.parquet", _score_pairs(generator, gain))
    _dump(folder / "evaluation/examples.json", _examples(text))
    _table(folder / "evaluation/map.parquet", _map(generator, text))
    _dump(folder / "evaluation/calibration.json", {"systems": {"base": _calibration(0.3), "tuned": _calibration(0.1)}})
    _dump(folder / "evaluation/geometry.json", {"systems": {"base": _geometry(0.4), "tuned": _geometry(0.02)}})
    for name in omit:
        (folder / name).unlink()
    return folder


def _dump(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _table(path: Path, columns: dict[str, list]) -> None:
    parquet.write_table(pa.table(columns), path)


def _per_query(generator, queries: int, gain: float, spread: float) -> dict[str, dict[str, np.ndarray]]:
    """Each query has a latent ease; the rank of its document follows from it, and every measure from the rank."""
    ease = generator.normal(0.15, 1.6, queries)
    latent = {
        "bm25": ease * 0.6 + generator.normal(-0.25, 1.1, queries),
        "base": ease,
        "tuned": ease + gain + generator.normal(0, spread, queries) * (generator.random(queries) < 0.55),
    }
    return {system: _measures(values) for system, values in latent.items()}


def _measures(latent: np.ndarray) -> dict[str, np.ndarray]:
    rank = np.maximum(1, np.ceil(np.exp(-1.9 * latent + 0.1))).astype(int)
    top = rank <= 10
    reciprocal = 1.0 / rank
    return {
        "nDCG@10": np.where(top, 1 / np.log2(rank + 1), 0.0),
        "Success@1": (rank == 1).astype(float),
        "RR@10": np.where(top, reciprocal, 0.0),
        "AP@100": np.where(rank <= 100, reciprocal, 0.0),
        "R@100": (rank <= 100).astype(float),
    }


def _per_query_rows(values) -> dict[str, list]:
    rows: dict[str, list] = {"query_id": [], "system": [], "measure": [], "value": []}
    for system, measures in values.items():
        for measure, column in measures.items():
            rows["query_id"] += [f"q{index:05d}" for index in range(len(column))]
            rows["system"] += [system] * len(column)
            rows["measure"] += [measure] * len(column)
            rows["value"] += column.tolist()
    return rows


def _interval(generator, column: np.ndarray) -> list[float]:
    draws = generator.integers(0, len(column), (1000, len(column)))
    return [float(bound) for bound in np.quantile(column[draws].mean(axis=1), [0.025, 0.975])]


def _scores(generator, values) -> dict:
    comparisons = []
    for control in ("base", "bm25"):
        for measure in MEASURES:
            gaps = values["tuned"][measure] - values[control][measure]
            low, high = _interval(generator, gaps)
            signs = generator.choice([-1.0, 1.0], (1000, len(gaps)))
            p = (1 + int((np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-9).sum())) / 1001
            comparisons.append(
                {"treatment": "tuned", "control": control, "measure": measure, "mean": float(gaps.mean()), "low": low,
                 "high": high, "p": p, "test": "randomisation test, 1000 draws", "n": len(gaps),
                 "wins": int((gaps > 0).sum()), "losses": int((gaps < 0).sum()), "ties": int((gaps == 0).sum())}
            )  # fmt: skip
    return {
        "split": "test",
        "queries": len(values["base"]["nDCG@10"]),
        "confidence": 0.95,
        "documents": 18432,
        "systems": {s: {m: float(v[m].mean()) for m in MEASURES} for s, v in values.items()},
        "intervals": {s: {m: _interval(generator, v[m]) for m in MEASURES} for s, v in values.items()},
        "comparisons": comparisons,
    }


def _score_pairs(generator, gain: float) -> dict[str, list]:
    rows: dict[str, list] = {"system": [], "kind": [], "score": []}
    shapes = {
        "base": {"positive": (0.62, 0.11), "negative": (0.55, 0.09), "random": (0.18, 0.09)},
        "tuned": {"positive": (0.64 + gain / 8, 0.10), "negative": (0.50 - gain / 6, 0.09), "random": (0.07, 0.08)},
    }
    for system, kinds in shapes.items():
        for kind, (centre, width) in kinds.items():
            scores = np.clip(generator.normal(centre, width, 1500), -1, 1)
            rows["system"] += [system] * len(scores)
            rows["kind"] += [kind] * len(scores)
            rows["score"] += scores.tolist()
    return rows


def _map(generator, text: str) -> dict[str, list]:
    rows: dict[str, list] = {"system": [], "kind": [], "id": [], "text": [], "x": [], "y": [], "pair": []}
    centres = generator.normal(0, 3.2, (9, 2))
    for system, apart, width in (("base", 1.9, 0.8), ("tuned", 0.28, 0.62)):
        for pair in range(170):
            place = centres[pair % 9] + generator.normal(0, width, 2)
            shift = apart * np.array([0.8, 0.45]) + generator.normal(0, apart * 0.55, 2)
            for kind, where, content in (
                ("query", place + shift, PAIRS[pair % len(PAIRS)][0]),
                ("document", place, PAIRS[pair % len(PAIRS)][1][:90]),
            ):
                rows["system"].append(system)
                rows["kind"].append(kind)
                rows["id"].append(f"{kind[0]}{pair}")
                rows["text"].append(text or content)
                rows["x"].append(float(where[0]))
                rows["y"].append(float(where[1]))
                rows["pair"].append(pair)
    return rows


def _calibration(shift: float) -> dict:
    """Ten hits of each query, one of them relevant; ``shift`` is how far the scales of queries are apart."""
    generator = np.random.default_rng(3)

    def scored(split: str, queries: int) -> Scored:
        owner, rank = np.repeat(np.arange(queries), 10), np.tile(np.arange(10), queries)
        scale = shift * generator.normal(0, 1, queries)
        scores = 0.8 - 0.03 * rank + generator.normal(0, 0.01, len(rank)) + scale[owner]
        relevant = rank == generator.geometric(0.6, queries)[owner] - 1
        scores = scores.astype(np.float32)
        return Scored(
            split=split, totals=np.ones(queries, dtype=np.int64), hit_query=owner, hit_rank=rank, hit_scores=scores,
            hit_relevant=relevant, relevant_query=owner[relevant], relevant_scores=scores[relevant],
            random_query=owner, random_scores=(scores - 0.4).astype(np.float32),
        )  # fmt: skip

    return asdict(calibrate(scored("test", 300), scored("dev", 200)))


def _geometry(shared: float) -> dict:
    """Spread out when ``shared`` is small, nearly a point when it is 1."""
    cloud = Cloud(
        vectors=2000, width=384, uniformity=-3.8 + 3.5 * shared, anisotropy=shared, effective_rank=190.0, alike=0.0
    )
    hubs = Hubs(depth=10, skew=4.3, skew_by_chance=0.8, most=39, most_share=0.0195, never=0.41)
    return asdict(
        Geometry(queries=cloud, documents=cloud, alignment=0.61, gap=0.2, separator=0.8, length_bias=-0.11, hubs=hubs)
    )


def _training(path: Path, generator, gain: float, text: str) -> None:
    lines = [{"level": "info", "message": "Training starts."}]
    for step in range(0, 601, 10):
        if step % 50 == 0:
            lift = gain * 0.17 * (1 - np.exp(-step / 120)) - gain * 0.03 * max(0, step - 450) / 150
            lines.append({"step": step, "group": "dev", "nDCG@10": float(0.651 + lift + generator.normal(0, 0.0015))})
        if step:
            loss = 0.55 + 1.9 * np.exp(-step / 90) + generator.normal(0, 0.05)
            lines.append(
                {"step": step, "group": "train", "loss": float(loss), "learning_rate": 2e-5, "epoch": step / 210}
                | _inside(generator, step)
            )
        if step == 300:
            lines.append({"level": "warning", "message": text or "12 texts were cut at 256 tokens."})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _inside(generator, step: int) -> dict[str, float]:
    """What a step looks like from inside, with hard negatives and a trained temperature."""
    learnt = 1 - np.exp(-step / 110)
    at = {"q05": -1.65, "q25": -0.67, "q50": 0.0, "q75": 0.67, "q95": 1.65}
    positive, negative = 0.55 + 0.17 * learnt, 0.25 - 0.2 * learnt
    hard = 0.11 + 0.14 * learnt + generator.normal(0, 0.01)
    values = {
        "accuracy": np.clip(0.62 + 0.31 * learnt + generator.normal(0, 0.03), 0, 1),
        "negatives": 127.0,
        "effective_negatives": 19 * np.exp(-step / 160) + 4 + generator.normal(0, 0.4),
        "temperature": 0.05 - 0.018 * learnt,
        **({"negatives_age": float((step - 1) % 210)} if step > 210 else {}),
        "gradient/positive/in_batch": 0.5,
        "gradient/positive/hard": 0.0,
        "gradient/negative/in_batch": 0.5 - hard,
        "gradient/negative/hard": hard,
        **{f"similarity/positive/{name}": positive + width * 0.11 for name, width in at.items()},
        **{f"similarity/negative/{name}": negative + width * (0.12 - 0.02 * learnt) for name, width in at.items()},
    }
    return {name: float(value) for name, value in values.items()}


def _examples(text: str) -> dict:
    def example(at: int, before: float, after: float, places: tuple[int | None, int | None]) -> dict:
        query, answer = PAIRS[at]
        others = [PAIRS[(at + step) % len(PAIRS)][1] for step in (1, 2, 3)]

        def top(place: int | None, high: float) -> list[dict]:
            listed = [(f"d{at}{index}", other, False) for index, other in enumerate(others)]
            if place is not None:
                listed.insert(place, (f"d{at}", answer, True))
            return [{"id": i, "text": text or t, "score": round(high - 0.043 * rank, 4), "relevant": r}
                    for rank, (i, t, r) in enumerate(listed[:3])]  # fmt: skip

        return {
            "query_id": f"q{at:05d}", "query": text or query, "before": before, "after": after,
            "relevant": [{"id": f"d{at}", "text": text or answer}],
            "base": top(places[0], 0.62), "tuned": top(places[1], 0.71),
        }  # fmt: skip

    won = [example(1, 0.0, 1.0, (None, 0)), example(7, 0.0, 1.0, (None, 0)), example(13, 0.289, 1.0, (None, 0)),
           example(5, 0.0, 0.631, (None, 1)), example(15, 0.5, 1.0, (2, 0))]  # fmt: skip
    lost = [example(3, 1.0, 0.0, (0, None)), example(14, 1.0, 0.387, (0, None)), example(16, 1.0, 0.631, (0, 1))]
    return {"measure": "nDCG@10", "won": won, "lost": lost}


def _data(generator, queries: int, text: str) -> dict:
    def words(centre: float, edges: list[int]) -> dict:
        counts, _ = np.histogram(generator.lognormal(np.log(centre), 0.45, 9000), [*edges[:-1], 10**6])
        return {"edges": edges, "counts": counts.tolist()}

    return {
        "name": "help-desk", "source": "data/help-desk", "layout": "beir", "documents": 18432, "searched": 18432,
        "queries": {"train": 9400, "dev": 600, "test": queries}, "pairs": {"train": 11872, "dev": 741, "test": 1466},
        "duplicates": {"queries": 23, "documents": 118}, "leaked_queries": 4,
        "notes": [text or "31 judgements name documents that the corpus does not hold; they were left out."],
        "positives_per_query": {"1": 9120, "2": 1411, "3": 402, "4": 168, "5+": 99},
        "mined": {"negatives": 36918, "ignored": 4127, "queries": 9400, "without": 61},
        "words": {"queries": words(9, list(range(0, 33, 2))), "documents": words(62, list(range(0, 241, 12)))},
    }  # fmt: skip


def _run(text: str) -> dict:
    return {
        "name": text or "help-desk-minilm", "model": "sentence-transformers/all-MiniLM-L6-v2", "data": "data/help-desk",
        "created": "2026-11-22T00:46:52+00:00", "seconds": {"train": 412.6, "evaluate": 38.2, "total": 463.9},
        "environment": {"python": "3.11.7", "torch": "2.9.0+cpu", "transformers": "5.2.0",
                        "sentence_transformers": "6.0.1", "nearfar": "0.1.0", "cpu": "AMD EPYC 7B13", "threads": 8},
        "objective": "InfoNCE(temperature=0.05)", "seed": 0, "parameters": 22713216, "precision": "bf16", "steps": 600,
        "best_step": 450, "batch_size": 64, "learning_rate": 2e-5, "stopped": "early",
    }  # fmt: skip


CONFIG = """\
model: sentence-transformers/all-MiniLM-L6-v2
data:
  path: data/help-desk
  layout: beir
objective:
  kind: InfoNCE
  temperature: 0.05
training:
  batch_size: 64
  learning_rate: 2.0e-05
  epochs: 3
  precision: bf16
  patience: 3
seed: 0
"""


if __name__ == "__main__":
    print(write_run_folder(Path(sys.argv[1])))
