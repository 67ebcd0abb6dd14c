"""How many steps a run has, counted by hand, and when processes are too many for a batch."""

import math

import pytest

from nearfar.config.read import override
from nearfar.config.run import RunConfig
from nearfar.errors import ConfigError
from nearfar.training.steps import check_shares, steps_of_epoch, steps_of_run


@pytest.mark.parametrize(
    ("pairs", "size", "accumulate", "epochs", "expected"),
    [(100, 10, 1, 3, 30), (101, 10, 1, 1, 11), (100, 10, 4, 1, 3), (100, 10, 4, 2, 6), (100, 10, 4, 0.5, 2)],
)
def test_steps_by_hand(pairs, size, accumulate, epochs, expected):
    settings = [f"batches.size={size}", f"batches.accumulate={accumulate}", f"training.epochs={epochs}"]
    config = override(RunConfig(), settings)
    assert steps_of_run(config, pairs) == expected
    assert steps_of_run(override(config, ["training.steps=7"]), pairs) == 7
    assert steps_of_epoch(config, pairs) == math.ceil(math.ceil(pairs / size) / accumulate)


@pytest.fixture
def three_processes(monkeypatch):
    given = {"RANK": "0", "WORLD_SIZE": "3", "LOCAL_RANK": "0", "MASTER_ADDR": "x", "MASTER_PORT": "1"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("three_processes")
@pytest.mark.parametrize(
    ("pairs", "size", "smallest", "reason"),
    [(100, 2, 2, "batches.size is 2"), (2, 64, 2, "there are 2 pairs"), (5, 3, 2, "batches.size is 3")],
)
def test_more_processes_than_pairs_are_refused(pairs, size, smallest, reason):
    message = f"3 processes share each batch, and the smallest batch has {smallest} pairs, since {reason}"
    with pytest.raises(ConfigError, match=message):
        check_shares(override(RunConfig(), [f"batches.size={size}"]), pairs)


@pytest.mark.usefixtures("three_processes")
def test_as_many_processes_as_pairs_are_enough():
    check_shares(override(RunConfig(), ["batches.size=3"]), 30)


def test_one_process_has_always_enough():
    check_shares(RunConfig(), 1)
