from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import ConfigError, DataError
from nearfar.statistics.families import groups, holm

PLANNED = ["a", "b", "c", "d"]


def test_holm_by_hand():
    adjusted = holm({"d": 0.005, "a": 0.01, "b": 0.04, "c": 0.03}, family=PLANNED)
    assert list(adjusted) == PLANNED
    assert adjusted == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.9, "b": 0.8}, family=["a", "b"]) == {"a": 1.0, "b": 1.0}
    assert holm({}, family=[]) == {}


def test_what_is_planned_but_not_finished_still_counts():
    assert holm({"a": 0.01}, family=PLANNED) == {"a": 0.04}
    finished = holm({"a": 0.01, "b": 0.02}, family=PLANNED)
    assert finished == pytest.approx({"a": 0.04, "b": 0.06})


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_as_the_step_down_rule_does(p_values):
    names = list(range(len(p_values)))
    adjusted = holm(dict(zip(names, p_values, strict=True)), family=names)
    order = sorted(names, key=lambda name: p_values[name])
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for rank, name in enumerate(order):
            if (len(names) - rank) * p_values[name] > alpha:
                break
            rejected.add(name)
        assert {name for name in names if adjusted[name] <= alpha} == rejected


def test_any_false_find_has_at_most_the_level():
    noise = np.random.default_rng(0).random((4_000, 5))
    false = [min(holm(dict(enumerate(row.tolist())), family=range(5)).values()) <= 0.05 for row in noise]
    assert 0.039 <= np.mean(false) <= 0.06  # 1 - 0.99^5 = 0.049, 4,000 trials


def test_families_that_are_wrong():
    with pytest.raises(DataError, match=r"Compared but not declared: z. The family has 4"):
        holm({"z": 0.1}, family=PLANNED)
    with pytest.raises(ConfigError, match="these come again: a"):
        holm({"a": 0.1}, family=["a", "b", "a"])
    for p in (-0.1, 1.5, float("nan")):
        with pytest.raises(DataError, match=f"between 0 and 1: a has {p}"):
            holm({"a": p}, family=["a"])


def pairs(different, systems="abcd"):
    return {pair: 0.01 if "".join(pair) in different else 0.5 for pair in combinations(systems, 2)}


def test_groups_that_overlap():
    found = groups({"d": 0.1, "b": 0.7, "a": 0.8, "c": 0.6}, pairs(["ac", "ad", "bd"]))
    assert found.systems == ("a", "b", "c", "d")
    assert found.groups == (("a", "b"), ("b", "c"), ("c", "d"))
    assert found.letters == {"a": "a", "b": "ab", "c": "bc", "d": "c"}
    assert found.leaders == ("a", "b")


def test_groups_of_all_and_of_each():
    means = dict(zip("abcd", (0.4, 0.3, 0.2, 0.1), strict=True))
    assert groups(means, pairs([])).letters == dict.fromkeys("abcd", "a")
    apart = groups(means, pairs(["ab", "ac", "ad", "bc", "bd", "cd"]))
    assert apart.letters == {"a": "a", "b": "b", "c": "c", "d": "d"}
    assert apart.leaders == ("a",)
    assert groups({"only": 0.5}, {}).letters == {"only": "a"}


def test_leaders_are_all_that_the_best_is_not_told_apart_from():
    found = groups(dict(zip("abc", (0.4, 0.3, 0.2), strict=True)), pairs(["bc"], "abc"))
    assert found.groups == (("a", "b"), ("a", "c"))
    assert found.leaders == ("a", "b", "c")


@given(st.integers(1, 7), st.data())
def test_two_systems_share_a_letter_exactly_where_no_difference_was_found(count, data):
    names = [f"system {number}" for number in range(count)]
    means = {name: data.draw(st.sampled_from([0.1, 0.2, 0.3])) for name in names}
    p_values = {pair[::-1]: data.draw(st.sampled_from([0.05, 0.06])) for pair in combinations(names, 2)}
    found = groups(means, p_values)
    for (left, right), p in p_values.items():
        assert bool(set(found.letters[left]) & set(found.letters[right])) == (p > 0.05)
    members = [set(group) for group in found.groups]
    assert not any(one < other for one in members for other in members)
    assert all(found.letters.values())


def test_many_groups_have_their_own_letters():
    names = [f"{number:03}" for number in range(60)]
    found = groups({name: -float(name) for name in names}, dict.fromkeys(combinations(names, 2), 0.0))
    assert [found.letters[name] for name in ("000", "025", "026", "051", "052", "053")] == [
        "a", "z", "A", "Z", "a1", "b1",
    ]  # fmt: skip
    assert len(set(found.letters.values())) == 60


def test_groups_that_are_wrong():
    with pytest.raises(DataError, match="no system"):
        groups({}, {})
    with pytest.raises(DataError, match="none for a and b"):
        groups({"a": 1.0, "b": 0.0}, {})
    with pytest.raises(DataError, match="that of a and b is nan"):
        groups({"a": 1.0, "b": 0.0}, {("b", "a"): float("nan")})
    with pytest.raises(DataError, match="those of b are not"):
        groups({"a": 1.0, "b": float("nan")}, {("b", "a"): 0.5})
    with pytest.raises(ConfigError, match="alpha must be between 0 and 1"):
        groups({"a": 1.0}, {}, alpha=5.0)
