"""Learning rates by what is trained, and the objective's own."""

import torch

from nearfar.config.read import read_config
from nearfar.objectives import CLIP, InfoNCE
from nearfar.training.rates import give_own_rate, learning_rate
from tests.encoders.models import STATIC, TINY, opened


def test_a_rate_for_each_kind_of_weights():
    static, bert = opened(STATIC), opened(TINY)
    adapters = read_config(None, ["model.adapter.rank=8"])
    assert (learning_rate(read_config(), static), learning_rate(read_config(), bert)) == (2e-2, 5e-5)
    assert learning_rate(adapters, bert) == 5e-4
    assert learning_rate(read_config(None, ["model.adapter.rank=8", "training.learning_rate=1e-4"]), bert) == 1e-4


def test_the_objective_gets_a_group_of_its_own():
    encoder, objective = torch.nn.Linear(2, 2), CLIP()
    (temperature,) = objective.parameters()
    groups = [{"params": [encoder.weight], "weight_decay": 0.1}, {"params": [encoder.bias, temperature]}]
    optimiser = torch.optim.AdamW(groups, lr=1e-3, weight_decay=0.0)
    give_own_rate(optimiser, objective.parameters(), 0.5)
    assert [len(group["params"]) for group in optimiser.param_groups] == [1, 1, 1]
    assert [group["lr"] for group in optimiser.param_groups] == [1e-3, 1e-3, 0.5]
    assert optimiser.param_groups[2]["params"][0] is temperature
    assert optimiser.param_groups[2]["weight_decay"] == 0


def test_an_objective_that_trains_nothing_changes_nothing():
    optimiser = torch.optim.AdamW(torch.nn.Linear(2, 2).parameters(), lr=1e-3)
    give_own_rate(optimiser, InfoNCE().parameters(), 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == [1e-3]
