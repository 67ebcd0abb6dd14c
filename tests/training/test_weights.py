"""The pairs of a run, weighed."""

import pytest
import torch

from nearfar.config.read import read_config
from nearfar.data.load import load
from nearfar.data.split import split
from nearfar.events import Silent
from nearfar.objectives import InfoNCE, parse
from nearfar.training.folder import RunFolder
from nearfar.training.weights import BATCHES, joined, weigh_run


@pytest.fixture
def weighed(finished):
    folder = RunFolder(finished)
    options = read_config(folder.config)
    dataset = split(load(folder.read_record()["data"], options.data), options.data)
    return lambda *objectives: weigh_run(folder, dataset, options, objectives, Silent())


def test_all_pairs_of_some_batches(weighed):
    (one, other), batches = weighed(InfoNCE(), parse("SogCLR"))
    assert batches == BATCHES
    # 30 or 31 pairs a batch, of which each query sees all documents.
    assert one.positive.sum() in range(30 * BATCHES, 33 * BATCHES)
    assert len(one.weight) == pytest.approx(int(one.positive.sum()) ** 2 / BATCHES, rel=0.01)
    assert len(other.weight) >= len(one.weight)
    assert one.weight[one.positive].sum().item() == pytest.approx(one.weight[~one.positive].sum().item(), rel=1e-6)
    # The model has been trained to tell them apart.
    assert one.similarity[one.positive].mean() > one.similarity[~one.positive].mean() + 0.2


def test_it_is_the_same_again(weighed):
    first, second = (weighed(InfoNCE())[0][0] for _ in range(2))
    assert torch.equal(joined([first, first]).weight[: len(first.weight)], second.weight)
