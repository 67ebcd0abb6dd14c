"""Fixtures that several parts of the tests share: a tokenizer, pairs, and a finished run."""

import pytest

from tests import forked, runs


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """A tokenizer file for a static encoder."""
    return runs.write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """A file of pairs without splits."""
    return runs.write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.jsonl")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, tokenizer, pairs):
    """A run from the command line: a static model on pairs. Do not change it."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    assert runs.nearfar("train", pairs, "--model", runs.static(tokenizer), "--out", folder, *runs.SETTINGS) == 0
    return folder


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    """A folder with commands ``nearfar`` and ``python -m`` that start at once."""
    folder = tmp_path_factory.mktemp("commands")
    with forked.commands(folder):
        yield folder


@pytest.fixture
def no_map(monkeypatch):
    """The map of the report takes longer than training; for tests of something else."""
    from nearfar.evaluation import evidence

    monkeypatch.setattr(evidence, "_plane", lambda vectors, seed: vectors[:, :2].astype(float))
