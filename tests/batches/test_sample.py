"""The order of pairs."""

from hypothesis import given
from hypothesis import strategies as st

from nearfar.batches.sample import RandomBatches


@given(pairs=st.integers(1, 200), size=st.integers(1, 50), seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_every_pair_once_in_batches_of_nearly_one_size(pairs, size, seed, epoch):
    batches = RandomBatches(pairs, size, seed)
    batches.set_epoch(epoch)
    found = list(batches)
    assert sorted(pair for batch in found for _, pair in batch) == list(range(pairs))
    assert {key[0] for batch in found for key in batch} == {epoch}
    sizes = [len(batch) for batch in found]
    assert len(batches) == len(found) == -(-pairs // size)
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    assert found == list(batches)


def test_seed_and_epoch_decide_the_order():
    def order(seed, epoch):
        batches = RandomBatches(50, 8, seed)
        batches.set_epoch(epoch)
        return [[pair for _, pair in batch] for batch in batches]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert order(1, 1) != order(2, 0)
