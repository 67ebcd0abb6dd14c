import pytest

import nearfar
from nearfar.comparing.flips import flips
from nearfar.comparing.selection import on_data_set
from tests.comparing.evidence import evidence, measured


def test_rates_texts_and_training_again():
    """Of four queries one falls in both seeds and one in the second; the baseline alone loses one of four by itself."""
    old = {0: [1.0, 1.0, 0.5, 0.0], 1: [1.0, 1.0, 0.3, 0.0]}
    new = {0: [0.2, 1.0, 0.5, 0.5], 1: [0.4, 0.9, 0.3, 0.0]}
    first = ("d1", "d1", "", "d3")
    cells = {("old", "one", seed): measured(values, first=first) for seed, values in old.items()}
    cells |= {("new", "one", seed): measured(values, first=("d2",) * 4) for seed, values in new.items()}
    given = evidence(cells, seeds=(0, 1), baseline="old")
    rows = [
        {"query_id": f"q{number}", "document_id": f"d{number}", "query": f"question {number}", "positive": f"a{number}"}
        for number in range(4)
    ]
    dataset = nearfar.from_records(rows)
    (found,) = flips(given, [on_data_set(given, "one")], lambda name: (dataset, "all"))
    assert (found.system, found.baseline, found.data_set) == ("new", "old", "one")
    assert found.negative_rate == pytest.approx(3 / 8)
    assert found.positive_rate == pytest.approx(1 / 8)
    assert found.again_rate == pytest.approx(1 / 4)
    assert 0 <= found.low < found.negative_rate < found.high <= 1
    worst, second = found.worst
    assert (worst.query_id, worst.seeds, worst.before, worst.after) == ("q0", 2, 1.0, pytest.approx(0.3))
    assert (worst.query, worst.wanted, worst.found_before, worst.found_after) == ("question 0", "a0", "a1", "a2")
    assert (second.query_id, second.seeds) == ("q1", 1)


def test_one_seed_and_no_texts():
    cells = {("old", "one", None): [1.0, 0.5, 0.5], ("new", "one", None): [0.0, 0.5, 0.5]}
    given = evidence(cells, untrained=("old", "new"))
    (found,) = flips(given, [on_data_set(given, "one")], lambda name: None)
    assert (found.baseline, found.again_rate) == ("old", None)  # of two systems, the first
    assert found.negative_rate == pytest.approx(1 / 3)
    assert 0 < found.low < 1 / 3 < found.high < 1  # Wilson's, which is not empty
    assert found.worst[0].query == ""
    three = evidence({(name, "one", None): [1.0, 0.5] for name in "abc"}, untrained="abc")
    assert flips(three, [on_data_set(three, "one")], lambda name: None) == ()
