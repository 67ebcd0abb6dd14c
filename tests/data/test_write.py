"""Writing a BEIR folder, and reading the same back."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.config.data import DataOptions
from nearfar.data import load, normalise, write_beir
from nearfar.errors import DataError, ResourceError

from .folders import load_with, pairs_of, texts_of, write_lines
from .memory import make

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: normalise(text) != ""
)
GRADE = st.sampled_from([0, 0.25, 1, 3])


def flat(dataset):
    return {name: pairs_of(dataset, name) for name in dataset.splits}


@settings(deadline=None)
@given(
    st.lists(TEXT, min_size=3, max_size=6, unique_by=normalise),
    st.lists(TEXT, min_size=3, max_size=6, unique_by=normalise),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), GRADE), max_size=8),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.lists(st.sampled_from([None, "g", "h"]), min_size=6, max_size=6),
)
def test_what_is_written_reads_back_the_same(queries, documents, train, searched, groups):
    searched = [True, *searched][: len(documents)]
    splits = {
        "train": [(0, 0, 1), *((0, node, grade) for _, node, grade in train)],
        "dev": [(1, 0, 1)],
        "test": [(2, 0, 1)],
    }
    dataset = make(queries[:3], documents, splits, groups=groups[:3], searched=searched)
    with tempfile.TemporaryDirectory() as parent:
        folder = write_beir(dataset, Path(parent) / "out")
        extra = (folder / "train_pairs.jsonl").is_file()
        group = None if dataset.queries.groups is None else "group"
        back = load(folder, DataOptions(train="train_pairs.jsonl" if extra else None, group=group))
    assert flat(back) == flat(dataset)
    judged = {node for rows in splits.values() for _, node, _ in rows}
    kept = [row for row in range(len(documents)) if searched[row] or row in judged]
    back_searched = dict(zip(texts_of(back.documents), back.searched.tolist(), strict=True))
    assert back_searched == {documents[row]: searched[row] for row in kept}
    assert {back.documents.id(row) for row in range(len(kept))} == {f"d{row}" for row in kept}
    if group is not None:
        assert back.queries.groups is not None
        assert back.queries.groups.to_pylist() == groups[:3]


def test_aliases_and_unsplit_data_survive(tmp_path):
    rows = [{"id": n, "query": text, "document": "x"} for n, text in enumerate(["a", "A", "b"])]
    dataset = load(write_lines(tmp_path / "a.jsonl", rows))
    back = load(write_beir(dataset, tmp_path / "out"))
    assert back.queries.row_of == dataset.queries.row_of == {"0": 0, "2": 1, "1": 0}
    assert flat(back) == {"all": {("a", "x"): 1, ("b", "x"): 1}}


def test_an_empty_folder_may_be_there_and_nothing_else_is_left(tmp_path):
    (tmp_path / "out").mkdir()
    dataset = make(["a"], ["x"], {"test": [(0, 0, 1)]})
    assert write_beir(dataset, tmp_path / "out") == tmp_path / "out"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")) == [
        "corpus.jsonl", "qrels/test.tsv", "queries.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_place_that_is_taken_is_refused_and_untouched(tmp_path, kind):
    target = tmp_path / "out"
    if kind == "folder":
        target.mkdir()
        (target / "mine.txt").write_text("precious")
    else:
        target.write_text("precious")
    with pytest.raises(ResourceError, match=r"out exists and is not an empty folder\. Choose another name"):
        write_beir(make(["a"], ["x"], {"test": [(0, 0, 1)]}), target)
    assert (target / "mine.txt" if kind == "folder" else target).read_text() == "precious"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResourceError, match="cannot be written"):
        write_beir(make(["a"], ["x"], {"test": [(0, 0, 1)]}), tmp_path / "file" / "out")


def test_a_failure_half_way_leaves_nothing(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nearfar.data.write._write_qrels", fail)
    with pytest.raises(ResourceError, match="No space left on device"):
        write_beir(make(["a"], ["x"], {"test": [(0, 0, 1)]}), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_beir_cannot_hold(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [{"text": "a", "label": "x"}, {"text": "b", "label": "x"}])
    with pytest.raises(DataError, match="labelled data has no BEIR form"):
        write_beir(load(path), tmp_path / "out")
    path = write_lines(tmp_path / "b.jsonl", [{"id": "a\tb", "query": "a", "document": "x"}])
    with pytest.raises(DataError, match=r"The query id 'a\\tb' has a tab"):
        write_beir(load_with(path), tmp_path / "out")
