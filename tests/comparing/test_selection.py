import pytest

from nearfar.comparing.selection import on_data_set, over_data_sets
from nearfar.errors import DataError
from tests.comparing.evidence import evidence, measured


def test_seeds_that_all_have_finished():
    """C has not come to seed 2, and the ready model has no seeds: two seeds count for all that is trained."""
    cells = {("a", "one", seed): [0.1, 0.2 + seed] for seed in (0, 1, 2)}
    cells |= {("c", "one", seed): [0.3, 0.4] for seed in (0, 1)} | {("ready", "one", None): [0.5, 0.6]}
    found = on_data_set(evidence(cells, untrained=("ready",)), "one")
    assert found.seeds == (0, 1)
    assert {name: values.tolist() for name, values in found.values.items()} == {
        "a": [[0.1, 0.2], [0.1, 1.2]],
        "c": [[0.3, 0.4], [0.3, 0.4]],
        "ready": [[0.5, 0.6]],
    }
    assert found.trained == {"a", "c"}
    assert found.left_out == {}


def test_what_has_finished_nothing_is_left_out_and_what_shares_no_seed():
    cells = {("a", "one", 0): [0.1, 0.2], ("a", "one", 1): [0.1, 0.2], ("b", "one", 2): [0.3, 0.4]}
    given = evidence(cells, failed=[("broken", "one", seed) for seed in (0, 1, 2)])
    found = on_data_set(given, "one")
    assert list(found.values) == ["a"]
    assert found.seeds == (0, 1)
    assert found.left_out == {
        "broken": "all its runs there have failed",
        "b": "it has finished no seed there that the others have finished",
    }
    assert on_data_set(evidence({}), "one") is None


def test_queries_are_put_in_one_order_and_others_are_refused():
    cells = {("a", "one", 0): measured([0.1, 0.2]), ("b", "one", 0): measured([0.3, 0.4], prefix="p")}
    with pytest.raises(DataError, match=r"'a, seed 0' and 'b, seed 0' were measured on different queries: only 'a, "):
        on_data_set(evidence(cells, seeds=(0,)), "one")


def test_a_data_set_waits_for_all_and_a_failure_does_not_hold_up_the_others():
    every = [(system, data_set) for system in ("a", "b") for data_set in ("one", "two", "three")]
    cells = {(system, data_set, seed): [0.1, 0.2] for system, data_set in every for seed in (0, 1)}
    cells |= {("broken", "one", 0): [0.1, 0.2], ("broken", "one", 1): [0.1, 0.2]}
    del cells["b", "three", 0], cells["b", "three", 1], cells["b", "two", 1]
    given = evidence(cells, seeds=(0, 1), failed=[("broken", "two", 0), ("broken", "two", 1)])
    found = [on_data_set(given, name) for name in ("one", "two", "three")]
    parts, left_out = over_data_sets(given, found)
    assert left_out == {"broken": "all its runs on two have failed"}
    assert [(part.data_set, sorted(part.values), part.seeds) for part in parts] == [
        ("one", ["a", "b"], (0,)),
        ("two", ["a", "b"], (0,)),
    ]
