"""What objectives remember: rows by dataset index, draws, calls."""

import pickle

import pytest
import torch

from nearfar.errors import ShapeError
from nearfar.objectives.memory import Clock, Draws, Memory, Table, mean_of_each


def whole(*values):
    return torch.tensor(values, dtype=torch.int64)


def test_what_was_never_written_reads_as_the_initial_values():
    table = Table(1.0, -2.0)
    values, visits = table.read(whole(0, 7, -1))
    assert values.tolist() == [[1, -2]] * 3
    assert visits.tolist() == [0, 0, 0]


def test_what_was_written_is_read_by_index_and_the_table_grows():
    table = Table(0.5)
    table.write(whole(3, 1), torch.tensor([[30.0], [10.0]]))
    table.write(whole(900), torch.tensor([[9.0]]))
    values, visits = table.read(whole(1, 3, 900, 2, 5000))
    assert values[:, 0].tolist() == [10, 30, 9, 0.5, 0.5]
    assert visits.tolist() == [1, 1, 1, 0, 0]


def test_an_example_that_is_there_twice_takes_the_mean_and_counts_one_visit():
    table = Table(0.0)
    table.write(whole(2, 5, 2), torch.tensor([[1.0], [7.0], [3.0]]))
    values, visits = table.read(whole(2, 5))
    assert values[:, 0].tolist() == [2, 7]
    assert visits.tolist() == [1, 1]


def test_no_example_is_not_remembered():
    table = Table(0.0)
    table.write(whole(-1, -1), torch.tensor([[1.0], [2.0]]))
    assert len(table.values) == 0


def test_nothing_is_written_in_evaluation_mode():
    table = Table(0.0).eval()
    table.write(whole(0), torch.tensor([[1.0]]))
    assert len(table.values) == 0


def test_a_checkpoint_brings_its_own_size():
    table, other = Table(0.0), Table(0.0)
    table.write(whole(6), torch.tensor([[4.0]]))
    other.reserve(2)
    other.load_state_dict(table.state_dict())
    assert other.read(whole(6))[0].item() == 4
    assert len(other.values) == len(table.values)


def test_what_is_written_carries_no_gradient():
    table = Table(0.0)
    table.write(whole(0), torch.ones(1, 1, requires_grad=True))
    assert not table.values.requires_grad


def test_rows_of_one_index_share_their_mean_and_rows_of_none_keep_their_own():
    values = torch.tensor([[1.0], [4.0], [3.0], [8.0], [10.0]])
    assert mean_of_each(torch.tensor([7, 2, 7, -1, -1]), values)[:, 0].tolist() == [2.0, 4.0, 2.0, 8.0, 10.0]
    assert mean_of_each(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 1)).shape == (0, 1)


def test_a_hash_is_no_index():
    with pytest.raises(ShapeError, match=r"9223372036854775807 is too high for one. Number the examples 0, 1, 2"):
        Table(0.0).write(whole(3, 2**63 - 1), torch.zeros(2, 1))


def test_draws_differ_by_call_and_by_seed_and_come_back_from_a_checkpoint():
    draws, other, again = Draws(0), Draws(1), Draws(0)
    first, second = (torch.rand(3, generator=draws.generator()) for _ in range(2))
    assert not torch.equal(first, second)
    assert not torch.equal(first, torch.rand(3, generator=other.generator()))
    again.load_state_dict({"calls": whole(1)[0]})
    assert torch.equal(second, torch.rand(3, generator=again.generator()))


def test_draws_stand_still_in_evaluation_mode():
    draws = Draws(3).eval()
    assert torch.equal(torch.rand(3, generator=draws.generator()), torch.rand(3, generator=draws.generator()))


def test_a_clock_counts_calls_in_training_mode():
    clock = Clock()
    assert [clock.tick() for _ in range(3)] == [0, 1, 2]
    clock.eval()
    assert [clock.tick() for _ in range(2)] == [3, 3]
    assert pickle.loads(pickle.dumps(clock)).tick() == 3


def test_a_memory_finds_the_module_of_a_part():
    memory = Memory({"weights_1": Clock(), "criterion": Table(0.0)})
    assert isinstance(memory.at("weights", 1).of(Clock), Clock)
    with pytest.raises(AssertionError):
        memory.at("criterion").of(Clock)
