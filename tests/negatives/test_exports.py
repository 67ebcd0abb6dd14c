"""Mined negatives in the forms of other trainers, and that these read them."""

import json
from dataclasses import replace

import pytest

from nearfar.config.data import DataOptions
from nearfar.data.load import load
from nearfar.errors import ConfigError, DataError
from nearfar.negatives.exports import FORMATS, Scores, export
from tests.batches.test_negatives import mined
from tests.data.memory import make


def data(rows=None, **more):
    """Query 0 is answered by documents 0 and 1, query 1 by 2, query 2 by 3; nothing was mined for query 2."""
    rows = [(0, -1, 4, 1.0, 0), (0, -1, 5, 1.0, 0), (1, -1, 6, 1.0, 0)] if rows is None else rows
    found = mined(rows, ignored=[(1, 7)])
    scores = {"teacher": 0.5 - 0.125 * found.document.astype("float32")}
    dataset = make(
        ["zero", "one", "two"],
        [f"text {number}" for number in range(8)],
        {"train": [(0, 0, 1), (0, 1, 1), (1, 2, 1), (2, 3, 1)]},
    )
    return replace(dataset, mined=replace(found, scores=scores))


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def written(tmp_path, format, **more):
    done = export(data(), tmp_path / "out.jsonl", format, **more)
    rows = lines(done.path)
    assert len(rows) == done.rows
    return rows, done.short


def test_triplets_by_hand(tmp_path):
    rows, short = written(tmp_path, "triplet")
    assert [tuple(row.values()) for row in rows] == [
        ("zero", "text 0", "text 4"),
        ("zero", "text 0", "text 5"),
        ("zero", "text 1", "text 4"),
        ("zero", "text 1", "text 5"),
        ("one", "text 2", "text 6"),
    ]
    assert list(rows[0]) == ["anchor", "positive", "negative"]
    assert short == 1


def test_tuples_by_hand(tmp_path):
    rows, short = written(tmp_path, "tuple")
    assert rows == [
        {"anchor": "zero", "positive": "text 0", "negative_1": "text 4", "negative_2": "text 5"},
        {"anchor": "zero", "positive": "text 1", "negative_1": "text 4", "negative_2": "text 5"},
    ]
    assert short == 2
    rows, short = written(tmp_path, "tuple", negatives=1)
    assert [row["negative_1"] for row in rows] == ["text 4", "text 4", "text 6"]
    assert short == 1


@pytest.mark.parametrize("seed", range(8))
def test_padding_is_never_relevant_nor_doubtful(tmp_path, seed):
    rows, short = written(tmp_path, "tuple", negatives=4, pad=True, seed=seed)
    assert short == 1
    assert [row["anchor"] for row in rows] == ["zero", "zero", "one"]
    for row in rows:
        negatives = [row[f"negative_{place}"] for place in range(1, 5)]
        assert len(set(negatives)) == 4
        barred = {"zero": {"text 0", "text 1"}, "one": {"text 2", "text 7"}}[row["anchor"]]
        assert not barred & set(negatives)
    assert rows == written(tmp_path, "tuple", negatives=4, pad=True, seed=seed)[0]


def test_labelled_pairs_and_lists_by_hand(tmp_path):
    rows, short = written(tmp_path, "labelled")
    assert [tuple(row.values()) for row in rows] == [
        ("zero", "text 0", 1),
        ("zero", "text 4", 0),
        ("zero", "text 5", 0),
        ("zero", "text 1", 1),
        ("one", "text 2", 1),
        ("one", "text 6", 0),
    ]
    rows, short = written(tmp_path, "labelled-list", negatives=1)
    assert rows == [
        {"anchor": "zero", "documents": ["text 0", "text 1", "text 4"], "labels": [1, 1, 0]},
        {"anchor": "one", "documents": ["text 2", "text 6"], "labels": [1, 0]},
    ]
    assert short == 1


def test_flagembedding_by_hand(tmp_path):
    rows, short = written(tmp_path, "flagembedding")
    assert rows == [
        {"query": "zero", "pos": ["text 0", "text 1"], "neg": ["text 4", "text 5"]},
        {"query": "one", "pos": ["text 2"], "neg": ["text 6"]},
    ]
    assert short == 1
    known = {(0, 0): 0.75, (0, 1): 0.5, (1, 2): 1.0}
    rows, _ = written(tmp_path, "flagembedding", scores=Scores(name="teacher", positives=known))
    assert [(row["pos_scores"], row["neg_scores"]) for row in rows] == [([0.75, 0.5], [0.0, -0.125]), ([1.0], [-0.25])]
    part = Scores(name="teacher", positives={(0, 0): 0.75})  # a trainer cannot do with scores of some
    assert "pos_scores" not in written(tmp_path, "flagembedding", scores=part)[0][0]


def test_lists_of_pairs_stay_with_their_pairs(tmp_path):
    dataset = data([(0, 0, 4, 1.0, 0), (0, 1, 5, 1.0, 0)])
    done = export(dataset, tmp_path / "out.jsonl", "triplet")
    assert [tuple(row.values()) for row in lines(done.path)] == [
        ("zero", "text 0", "text 4"),
        ("zero", "text 1", "text 5"),
    ]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("format", FORMATS)
def test_datasets_and_our_own_readers_read_it(tmp_path, format, suffix):
    if format == "flagembedding" and suffix == "parquet":
        return
    path = tmp_path / f"train.{suffix}"
    done = export(data(), path, format)
    import datasets

    kind = {"jsonl": "json", "parquet": "parquet"}[suffix]
    read = datasets.load_dataset(kind, data_files=str(path), cache_dir=str(tmp_path / "cache"))["train"]
    assert len(read) == done.rows
    back = load(path, DataOptions(positive_from=1))
    (qrels,) = back.qrels.values()
    triples = {
        (back.queries.text(query), back.documents.text(node), grade)
        for query, node, grade in zip(qrels.query.tolist(), qrels.node.tolist(), qrels.grade.tolist(), strict=True)
    }
    known = {("zero", "text 0", 1.0), ("zero", "text 1", 1.0), ("zero", "text 4", 0.0), ("zero", "text 5", 0.0)}
    rest = {("one", "text 2", 1.0), ("one", "text 6", 0.0)}
    assert triples == (known if format == "tuple" else known | rest)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_data_gives_the_same_bytes(tmp_path, format):
    one, other = (export(data(), tmp_path / f"{name}.jsonl", format).path.read_bytes() for name in "ab")
    assert one == other


@pytest.mark.parametrize(
    ("name", "format", "more", "message"),
    [
        ("a.jsonl", "triplets", {}, r"There is no format 'triplets'. Did you mean 'triplet'\?"),
        ("a.csv", "triplet", {}, "must end in .jsonl or .parquet for the format triplet"),
        ("a.parquet", "flagembedding", {}, "must end in .jsonl for the format flagembedding"),
        ("a.jsonl", "tuple", {"negatives": 0}, "A row needs at least 1 negative, got 0"),
        ("a.jsonl", "triplet", {"pad": True}, "there is nothing to pad"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, format, more, message):
    with pytest.raises(ConfigError, match=message):
        export(data(), tmp_path / name, format, **more)


def test_nothing_to_write_is_told(tmp_path):
    with pytest.raises(DataError, match="has no mined negatives to export"):
        export(replace(data(), mined=None), tmp_path / "a.jsonl", "triplet")
    with pytest.raises(DataError, match="No row has 5 negatives, so nothing was written"):
        export(data(), tmp_path / "a.jsonl", "tuple", negatives=5)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory):
    from tests import runs

    return runs.write_tokenizer(tmp_path_factory.mktemp("words") / "words.json")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("format", "loss"),
    [("triplet", "TripletLoss"), ("tuple", "MultipleNegativesRankingLoss"), ("labelled", "ContrastiveLoss")],
)
def test_a_loss_of_sentence_transformers_takes_it(tmp_path, tokenizer_file, format, loss):
    import datasets
    import torch
    from sentence_transformers import losses

    from nearfar.encoders.load import load as load_model

    path = export(data(), tmp_path / "train.jsonl", format).path
    table = datasets.load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "cache"))["train"]
    model = load_model(f"static:{tokenizer_file}?dim=8", device="cpu").model
    texts = [column for column in table.column_names if column != "label"]
    features = [model.preprocess(table[column]) for column in texts]
    labels = torch.tensor(table["label"]) if format == "labelled" else None
    value = getattr(losses, loss)(model)(features, labels)
    assert torch.isfinite(value)
    value.backward()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_listwise_loss_of_a_cross_encoder_takes_it(tmp_path, tokenizer_file):
    import datasets
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.losses import LambdaLoss
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_file), unk_token="[UNK]", pad_token="[PAD]")
    config = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        num_labels=1,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path / "model")
    words.save_pretrained(tmp_path / "model")
    path = export(data(), tmp_path / "train.jsonl", "labelled-list").path
    table = datasets.load_dataset("json", data_files=str(path), cache_dir=str(tmp_path / "cache"))["train"]
    model = CrossEncoder(str(tmp_path / "model"), device="cpu")
    labels = [torch.tensor(each) for each in table["labels"]]
    value = LambdaLoss(model)([table["anchor"], table["documents"]], labels)
    assert torch.isfinite(value)
    value.backward()
