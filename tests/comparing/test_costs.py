from nearfar.comparing.cells import CellCost
from nearfar.comparing.costs import costs, front
from nearfar.comparing.tables import tables
from tests.comparing.evidence import evidence, measured


def test_front():
    systems = {"cheap": (1.0, 0.3), "good": (5.0, 0.6), "dear": (9.0, 0.6), "bad": (5.0, 0.2), "unknown": (None, 0.9)}
    assert front(systems) == {"cheap", "good"}
    assert front({"a": (1.0, 0.3), "b": (1.0, 0.3), "c": (2.0, 0.3)}) == {"a", "b"}
    assert front({"a": (1.0, 0.3), "b": (1.0, 0.4)}) == frozenset()  # the cost says nothing
    assert front({}) == frozenset()


def test_means_over_seeds_and_data_sets():
    def cell(value, seconds):
        return measured([value, value / 2], cost=CellCost(train_seconds=seconds, parameters=10.0))

    cells = {("a", "one", 0): cell(0.5, 1.0), ("a", "one", 1): cell(0.5, None)}
    cells |= {("b", "one", seed): cell(0.8, 4.0 + seed) for seed in (0, 1)}
    given = evidence(cells, seeds=(0, 1))
    slow_last = costs(given, tables(given)[1][0])
    assert [(cost.system, cost.train_seconds, round(cost.quality, 9)) for cost in slow_last] == [
        ("a", 1.0, 0.375),
        ("b", 4.5, 0.6),
    ]
    assert [cost.on_front for cost in slow_last] == [("train_seconds",), ("train_seconds",)]
    assert costs(given, None) == ()
