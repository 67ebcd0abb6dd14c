"""Fixtures that several parts of the tests share: a tokenizer, pairs, and a finished run."""

import pytest

from tests import runs


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
