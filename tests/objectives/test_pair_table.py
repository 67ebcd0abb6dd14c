"""Memory of pairs."""

import torch

from nearfar.objectives.pair_table import PairTable
from tests.objectives.relations import whole


def test_a_pair_table_finds_what_it_was_told_and_grows():
    table = PairTable(0.5)
    index, identities = whole([3, 3, -1, 0]), whole([9, 4, 4, 9])
    slots = table.slots(index, identities)
    assert slots[2] == -1
    assert sorted(slots.tolist()) == [-1, 0, 1, 2]
    table.write(slots, torch.tensor([[1.0], [2.0], [3.0], [4.0]]))
    more = table.slots(whole([2, 3, 0]), whole([1, 4, 9]))
    assert table.read(more)[0][:, 0].tolist() == [0.5, 2.0, 4.0]
    assert table.eval().slots(whole([7]), whole([7])).tolist() == [-1]
    assert len(table.pairs) == 4
    assert table.slots(torch.tensor([[3, 0], [3, 7]]), torch.tensor([[9, 9], [4, 7]])).shape == (2, 2)


def test_identities_are_told_apart_however_large_or_negative():
    table = PairTable(0.0)
    slots = table.slots(whole([1, 1, 1, 0]), whole([-1, 2**31, 0, -1]))
    assert len(set(slots.tolist())) == 4


def test_a_pair_table_goes_through_a_checkpoint():
    table, again = PairTable(0.5), PairTable(0.5)
    slots = table.slots(whole([3, 0]), whole([9, 4]))
    table.write(slots, torch.tensor([[1.0], [2.0]]))
    again.load_state_dict(table.state_dict())
    found = again.slots(whole([0, 3, 5]), whole([4, 9, 9]))
    assert again.read(found)[0][:, 0].tolist() == [2.0, 1.0, 0.5]


def test_what_is_written_does_not_reach_into_what_was_loaded():
    table, again = PairTable(0.5), PairTable(0.5)
    table.write(table.slots(whole([3]), whole([9])), torch.tensor([[1.0]]))
    again.load_state_dict(table.state_dict())
    table.slots(whole([2, 1]), whole([1, 1]))
    assert len(again.pairs) == 1
