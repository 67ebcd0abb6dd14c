"""The dev search."""

import numpy as np
import pytest
import torch
from torch import nn

from nearfar.config.run import DevOptions
from nearfar.encoders.module import ModuleEncoder
from nearfar.errors import ConfigError, DataError
from nearfar.training.dev import DevSearch
from tests.data.memory import make


class Numbers(nn.Module):
    """A text "query 7" or "document 7" as a direction that depends on its number only."""

    def __init__(self, wrong=0):
        super().__init__()
        self.wrong = wrong
        self.asked = []

    def forward(self, features):
        angle = features["number"] / 100
        return torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)


def encoder(wrong=0):
    asked = []

    def tokenise(texts, role):
        asked.extend((role.value, text) for text in texts)
        shift = wrong if role == "query" else 0
        return {"number": torch.tensor([float(text.split()[1]) + shift for text in texts])}

    made = ModuleEncoder(Numbers(), tokenise)
    made.asked = asked
    return made


def dataset(queries=20, documents=60, dev=None, **options):
    dev = [(number, number, 1) for number in range(queries)] if dev is None else dev
    return make(
        [f"query {number}" for number in range(queries)],
        [f"document {number}" for number in range(documents)],
        {"train": [(0, 1, 1)], "dev": dev, "test": [(0, 2, 1)]},
        **options,
    )


def searched(search):
    made = encoder()
    search(made)
    return [{text for role, text in made.asked if role == side} for side in ("query", "document")]


def test_a_perfect_encoder_scores_one_and_a_shifted_one_less():
    search = DevSearch(dataset(), DevOptions(), seed=0)
    assert search.size == (20, 60)
    assert search(encoder()) == pytest.approx(1.0)
    assert search(encoder(wrong=0.6)) == pytest.approx(1 / np.log2(3))
    assert DevSearch(dataset(), DevOptions(measure="Success@1"), seed=0)(encoder(wrong=0.6)) == 0


def test_limits_are_kept_and_every_relevant_document_is_there():
    search = DevSearch(dataset(), DevOptions(queries=5, documents=12), seed=3)
    assert search.size == (5, 12)
    queries, documents = searched(search)
    assert len(queries) == 5
    assert len(documents) == 12
    assert {text.replace("query", "document") for text in queries} <= documents


def test_the_seed_decides_what_is_drawn():
    def drawn(seed):
        return searched(DevSearch(dataset(), DevOptions(queries=5, documents=12), seed=seed))

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    search = DevSearch(dataset(), DevOptions(queries=5, documents=12), seed=1)
    assert search(encoder(wrong=0.6)) == search(encoder(wrong=0.6))


def test_more_relevant_documents_than_allowed():
    search = DevSearch(dataset(dev=[(0, n, 1) for n in range(50)]), DevOptions(documents=10), seed=0)
    assert search.size == (1, 10)
    assert 0 < search(encoder()) <= 1


def test_queries_whose_relevant_documents_are_not_searched_are_left_out():
    present = np.ones(60, dtype=bool)
    present[3] = False
    search = DevSearch(dataset(searched=present), DevOptions(), seed=0)
    assert search.size == (19, 59)
    queries, documents = searched(search)
    assert "query 3" not in queries
    assert "document 3" not in documents


def test_nothing_to_search_for():
    absent = np.arange(60) >= 20
    with pytest.raises(DataError, match="No dev query of made has a relevant document in the corpus"):
        DevSearch(dataset(searched=absent), DevOptions(), seed=0)
    with pytest.raises(DataError, match="No dev query"):
        DevSearch(dataset(dev=[(0, 0, 0)]), DevOptions(), seed=0)


def test_a_measure_that_is_none():
    with pytest.raises(ConfigError, match="nDCG@10"):
        DevSearch(dataset(), DevOptions(measure="nDGC@10"), seed=0)
