"""Finding out what a source is, and saying so when it is nothing."""

import subprocess
import sys

import pytest

from nearfar.data import load
from nearfar.errors import DataError

from .folders import load_with, pairs_of, write_beir_by_hand, write_lines

PAIR = {"query": "a", "document": "x"}


def test_a_folder_with_one_file_of_any_name(tmp_path):
    write_lines(tmp_path / "everything.jsonl", [PAIR])
    (tmp_path / "README.md").write_text("hello")
    dataset = load(tmp_path)
    assert pairs_of(dataset, "all") == {("a", "x"): 1}
    assert dataset.name == tmp_path.name
    assert dataset.facts.source == str(tmp_path)


def test_files_that_are_no_split_are_ignored_with_a_note(tmp_path):
    for name in ("train", "oos_train", "other"):
        write_lines(tmp_path / f"{name}.jsonl", [PAIR])
    dataset = load(tmp_path)
    assert dataset.splits == ("train",)
    assert dataset.facts.notes == ("Files that are no split were ignored: oos_train.jsonl, other.jsonl.",)


def test_shards_of_a_split_are_read_together(tmp_path):
    write_lines(tmp_path / "train-00000-of-00002.jsonl", [PAIR])
    write_lines(tmp_path / "train-00001-of-00002.jsonl", [{"query": "b", "document": "x"}])
    assert len(load(tmp_path).qrels["train"]) == 2


def test_a_folder_without_a_known_layout(tmp_path):
    for name in ("b.jsonl", "a.jsonl", "notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "sub").mkdir()
    with pytest.raises(
        DataError, match=r"no layout that nearfar knows\. Found: a\.jsonl, b\.jsonl, notes\.txt, sub/\. Expect"
    ):
        load(tmp_path)


def test_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match=r"It is empty\. Expected one of: a BEIR folder"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "trian.jsonl",
            r"There is no file or folder .*trian\.jsonl\. Did you mean 'train\.jsonl'\? The folder .* holds: train",
        ),
        ("nowhere/train.jsonl", r"its folder .*nowhere does not exist either"),
    ],
)
def test_a_missing_path_names_its_neighbours(tmp_path, name, message):
    write_lines(tmp_path / "train.jsonl", [PAIR])
    with pytest.raises(DataError, match=message):
        load(tmp_path / name)


def test_a_relative_file_name_is_never_taken_for_a_hub_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("sub/missing", "nowhere/train.jsonl", "./missing"):
        with pytest.raises(DataError, match="There is no file or folder"):
            load(name)


def test_a_beir_folder_can_be_asked_for_and_refused(tmp_path):
    write_beir_by_hand(tmp_path / "beir")
    assert load_with(tmp_path / "beir", layout="beir").facts.layout == "beir"
    path = write_lines(tmp_path / "a.jsonl", [PAIR])
    with pytest.raises(DataError, match=r"data\.layout=beir needs a folder"):
        load_with(path, layout="beir")
    write_lines(tmp_path / "plain" / "train.jsonl", [PAIR])
    with pytest.raises(DataError, match="looks like a BEIR folder, but lacks"):
        load_with(tmp_path / "plain", layout="beir")


def test_reading_data_loads_neither_torch_nor_datasets():
    code = (
        "import sys, nearfar.data, nearfar.config.data;"
        "print([name for name in ('torch', 'datasets', 'scipy', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
