"""Saved sets and hub names, without a network."""

import socket
import sys
import time

import datasets
import pytest

from nearfar.data import load
from nearfar.data.hub import reachable
from nearfar.errors import DataError, ResourceError

from .folders import load_with, pairs_of, texts_of


@pytest.fixture
def silent_server():
    """An address that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def saved(tmp_path, parts):
    content = {name: datasets.Dataset.from_dict(columns) for name, columns in parts.items()}
    target = next(iter(content.values())) if set(content) == {""} else datasets.DatasetDict(content)
    target.save_to_disk(tmp_path / "set")
    return tmp_path / "set"


def test_a_saved_set_with_splits(tmp_path):
    folder = saved(
        tmp_path,
        {
            "train": {"anchor": ["a", "b"], "positive": ["x", "y"]},
            "validation": {"anchor": ["c"], "positive": ["z"]},
            "extra": {"anchor": ["d"], "positive": ["z"]},
        },
    )
    dataset = load(folder)
    assert pairs_of(dataset, "train") == {("a", "x"): 1, ("b", "y"): 1}
    assert pairs_of(dataset, "dev") == {("c", "z"): 1}
    assert dataset.facts.notes == ("Parts that are no split were ignored: extra.",)


def test_a_saved_set_without_splits_and_with_class_names(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    content = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, 1]}, features=features)
    content.save_to_disk(tmp_path / "set")
    dataset = load(tmp_path / "set")
    assert dataset.splits == ("all",)
    assert dataset.labels == ("yes", "no")
    assert texts_of(dataset.documents) == ["a", "b", "c"]


def test_a_bad_row_of_a_saved_set_has_its_place(tmp_path):
    folder = saved(tmp_path, {"train": {"anchor": ["a", " "], "positive": ["x", "y"]}})
    with pytest.raises(DataError, match=r"set\[train\]:2: the query is empty"):
        load(folder)


def test_a_saved_set_whose_parts_are_no_splits(tmp_path):
    folder = saved(tmp_path, {"one": {"anchor": ["a"]}, "two": {"anchor": ["a"]}})
    with pytest.raises(DataError, match="none of the parts one, two is a split"):
        load(folder)


def test_a_damaged_saved_set(tmp_path):
    folder = saved(tmp_path, {"train": {"anchor": ["a"], "positive": ["x"]}})
    for path in folder.rglob("*.arrow"):
        path.write_bytes(b"damaged")
    with pytest.raises(DataError, match="cannot be read as a saved set"):
        load(folder)


def test_a_set_that_needs_the_library_that_is_missing(tmp_path, monkeypatch):
    folder = saved(tmp_path, {"train": {"anchor": ["a"], "positive": ["x"]}})
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ResourceError, match=r"pip install nearfar\[hub\]"):
        load(folder)


def test_a_hub_that_never_answers_is_given_up_in_time(monkeypatch, silent_server):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_DATASETS_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", silent_server)
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "0.2")
    started = time.monotonic()
    with pytest.raises(
        ResourceError, match=r"'owner/name' is no local path, and the hub at http://127.* cannot be reached"
    ):
        load("owner/name")
    assert time.monotonic() - started < 3


def test_a_refused_connection_is_unreachable(silent_server):
    port = int(silent_server.rsplit(":", 1)[1])
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
    assert closed != port
    assert not reachable(f"http://127.0.0.1:{closed}", 2.0)
    assert not reachable("nonsense", 2.0)


def test_offline_asks_the_cache_only(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = []

    def load_dataset(name, config):
        asked.append((name, config))
        if name == "owner/broken":
            raise ValueError("Config name is missing.\nPick one")
        return datasets.DatasetDict({"train": datasets.Dataset.from_dict({"query": ["a"], "answer": ["b"]})})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    dataset = load_with("owner/name:triplet")
    assert asked == [("owner/name", "triplet")]
    assert (dataset.name, dataset.facts.source) == ("name:triplet", "owner/name:triplet")
    assert pairs_of(dataset, "train") == {("a", "b"): 1}
    with pytest.raises(
        ResourceError, match=r"could not be loaded from the local cache: Config name is missing\. Write own"
    ):
        load("owner/broken")
