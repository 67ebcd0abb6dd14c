"""Candidates that filters dropped as possibly relevant: ignored in every batch, and counted while training."""

import pyarrow.compute as compute
import pyarrow.parquet as parquet
import pytest

from nearfar import api
from nearfar.batches.collate import PairCollator
from nearfar.data.load import load
from nearfar.events import Silent
from nearfar.objectives.masks import masks
from tests import runs

pytestmark = pytest.mark.usefixtures("no_map")


@pytest.fixture(scope="module")
def mined(pairs, tokenizer, tmp_path_factory):
    """Two mining jobs with a strict filter: one ignores what it suspects, the other forgets it."""
    folder = tmp_path_factory.mktemp("suspects")
    strict = ("mining.sources=Dense(depth=20)", "mining.filters=Percent(ratio=0.8)")
    for name in ("ignore", "forget"):
        api.mine(
            pairs,
            model=runs.static(tokenizer),
            out=folder / name,
            settings=(*strict, f"mining.suspects={name}"),
            cache=folder / "cache",
            workers=1,
            sink=Silent(),
        )
    return folder


def doubtful(folder):
    """Pairs of texts that the filter dropped."""
    table = parquet.read_table(folder / "candidates.parquet").to_pylist()
    return {(row["query_id"], row["document_id"]) for row in table if row["reason"] == "percent"}


def in_batches(folder, pairs_of_doubt):
    """How many doubtful pairs stand in the batches of an epoch, and how many of them are negatives there."""
    dataset = load(folder)
    collate = PairCollator(dataset, "train", 4, 0)
    there = negative = 0
    for start in range(0, len(collate), 50):
        batch = collate([(0, pair) for pair in range(start, min(start + 50, len(collate)))])
        found = masks(batch.relation)
        queries = [dataset.queries.ids[row].as_py() for row in batch.index.tolist()]
        documents = [dataset.documents.ids[row].as_py() for row in batch.documents.tolist()]
        doubted = [
            (row, column)
            for row, query in enumerate(queries)
            for column, document in enumerate(documents)
            if (query, document) in pairs_of_doubt
        ]
        there += len(doubted)
        negative += sum(bool(found.negative[row, column]) for row, column in doubted)
    return there, negative


def test_no_suspect_is_a_negative_in_any_batch(mined):
    doubted = doubtful(mined / "ignore")
    there, negative = in_batches(mined / "ignore", doubted)
    assert there > 100
    assert negative == 0
    assert in_batches(mined / "forget", doubted) == (there, there)


def labelled(folder, label):
    """The rows of a label in the file of negatives."""
    return parquet.read_table(folder / "negatives.parquet").filter(compute.field("label") == label)


def test_the_negatives_themselves_are_the_same(mined):
    one, other = (labelled(mined / name, "negative") for name in ("ignore", "forget"))
    assert len(one) > 0
    assert one.equals(other)
    assert set(labelled(mined / "ignore", "unknown")["rank"].to_pylist()) == {-1}
    assert not len(labelled(mined / "forget", "unknown"))


def test_the_share_of_ignored_pairs_is_in_telemetry(mined, tokenizer, tmp_path):
    shares = {}
    for name in ("ignore", "forget"):
        settings = (*runs.FAST, "training.steps=4", "batches.hard_negatives=2")
        api.train(mined / name, model=runs.static(tokenizer), out=tmp_path / name, settings=settings, sink=Silent())
        shares[name] = [entry["ignored"] for entry in runs.curve(tmp_path / name) if "loss" in entry]
    assert min(shares["ignore"]) > 0
    assert set(shares["forget"]) == {0.0}
