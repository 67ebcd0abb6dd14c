"""Temperatures that adapt to each example."""

from dataclasses import replace

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives.logits.robust import AdaptiveTemperature
from nearfar.objectives.memory import Memory
from nearfar.objectives.problem import make_problem
from tests.objectives.relations import relation


def applied(part, rows, grades, memory):
    logits = torch.tensor(rows)
    problem = make_problem(
        "test",
        torch.eye(len(rows)),
        torch.eye(len(rows[0]), len(rows)),
        relation(grades),
        index=torch.arange(len(rows)),
    )
    return part.apply(replace(problem, similarity=logits, logits=logits, temperature=torch.ones(())), memory)


def test_a_sure_row_is_colder_than_a_uniform_one():
    part = AdaptiveTemperature(initial=2.0, alpha=4.0)
    table = part.make_memory(0)
    found = applied(part, [[200.0, 0, 0], [1.0, 1, 1], [5.0, 0, 0]], [[1, 0, 0]] * 3, Memory({"": table}))
    sure, uniform, between = found.temperature[:, 0].tolist()
    assert sure == pytest.approx(1.5)
    assert uniform == pytest.approx(2.0)
    assert 1.5 < between < 2
    assert table.read(torch.arange(3))[0][:, 0].tolist() == pytest.approx([sure, uniform, between])


def test_a_row_of_one_column_and_one_without_positives_keep_the_initial_temperature():
    part = AdaptiveTemperature()
    table = part.make_memory(0)
    assert applied(part, [[3.0]], [[1]], Memory({"": table})).temperature.item() == 1
    applied(part, [[9.0, 0], [9.0, 0]], [[1, 0], [None, None]], Memory({"": table}))
    values, visits = table.read(torch.arange(2))
    assert values[0].item() < 1 == values[1].item()
    assert visits.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("settings", "message"), [({"alpha": 1.0}, "alpha must be"), ({"initial": 0.0}, "initial must be")]
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        AdaptiveTemperature(**settings)
