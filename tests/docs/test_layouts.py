"""The example files of the data guide are read as the guide says."""

from pathlib import Path

import pytest

import nearfar
from nearfar.data import DEV, TEST, TRAIN, UNSPLIT

LAYOUTS = Path(__file__).parents[2] / "docs" / "snippets" / "data" / "layouts"


def judged(data: nearfar.Dataset, split: str) -> list[tuple[str, str, float]]:
    """Query, document or label, and grade of every judgement."""
    qrels = data.qrels[split]
    return [
        (
            data.queries.text(int(query)),
            data.labels[node] if data.labels is not None else data.documents.text(int(node)),
            float(grade),
        )
        for query, node, grade in zip(qrels.query, qrels.node, qrels.grade, strict=True)
    ]


def grades(source: str, split: str = UNSPLIT, **options) -> list[float]:
    data = nearfar.load(LAYOUTS / source, nearfar.DataOptions(**options))
    return [grade for _, _, grade in judged(data, split)]


def test_pairs():
    assert judged(nearfar.load(LAYOUTS / "pairs.csv"), UNSPLIT) == [
        ("How do I wash a jumper?", "Use lukewarm water and mild soap.", 1.0),
        ("Who repairs bicycles?", "The workshop in Mill Lane mends bikes.", 1.0),
    ]


def test_lists_may_differ_in_length():
    assert grades("several.jsonl") == [1.0, 1.0, 0.0, 1.0]


def test_an_empty_cell_is_no_negative():
    assert grades("triplets.csv") == [1.0, 0.0, 1.0, 0.0, 0.0]


def test_grades_are_kept_and_one_says_from_where_they_are_relevant():
    data = nearfar.load(LAYOUTS / "scored.tsv", nearfar.DataOptions(positive_from=4))
    assert [grade for _, _, grade in judged(data, UNSPLIT)] == [4.5, 1.5, 5.0]
    assert len(data.positives(UNSPLIT)) == 2


def test_grades_without_a_limit_cannot_be_measured():
    with pytest.raises(nearfar.ConfigError, match=r"grades from 1\.5 to 5.*data\.positive_from"):
        nearfar.evaluate("bm25", LAYOUTS / "scored.tsv")


def test_labels():
    data = nearfar.load(LAYOUTS / "labels.jsonl")
    assert data.labels == ("card_arrival", "card_swallowed")
    assert ("my card has not come yet", "card_arrival", 1.0) in judged(data, UNSPLIT)


def test_labels_are_documents_where_a_text_has_several():
    data = nearfar.load(LAYOUTS / "topics.jsonl")
    assert ("Best tent for two", "travel", 1.0) in judged(data, UNSPLIT)
    assert len(data.documents) == 3


def test_beir_and_training_pairs_beside_it():
    assert judged(nearfar.load(LAYOUTS / "beir"), TEST) == [
        ("Who repairs bicycles?", "Mill Lane The workshop mends bikes.", 2.0),
        ("Who repairs bicycles?", "Cars are mended in Dock Street.", 0.0),
        ("How do I wash a jumper?", "Use lukewarm water and mild soap.", 1.0),
    ]
    data = nearfar.load(LAYOUTS / "beir", nearfar.DataOptions(train="clicks.jsonl"))
    assert judged(data, TRAIN) == [("mend my bike", "The workshop in Mill Lane mends bikes.", 1.0)]
    assert int(data.searched.sum()) == 3
    assert len(data.documents) == 4


def test_an_unknown_column_is_named_with_what_is_there():
    with pytest.raises(nearfar.DataError, match=r"no column for the query\. Found: frage, antwort, bemerkung"):
        nearfar.load(LAYOUTS / "german.csv")


def test_the_splits_that_are_made_are_the_same_from_any_order(tmp_path):
    pairs = (LAYOUTS.parent / "pairs.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "pairs.jsonl").write_text("".join(reversed(pairs)), encoding="utf-8")
    options = nearfar.DataOptions()
    one, other = (nearfar.split(nearfar.load(folder / "pairs.jsonl"), options) for folder in (LAYOUTS.parent, tmp_path))
    for split in (DEV, TEST):
        assert sorted(judged(one, split)) == sorted(judged(other, split))
