from itertools import combinations

import numpy as np
import pytest

from nearfar.comparing.tables import pairs, tables
from nearfar.statistics.families import holm
from nearfar.statistics.hierarchical import hierarchical
from tests.comparing.evidence import evidence, varied

GAINS = {"plain": 0.0, "alike": 0.001, "best": 0.2}


def test_groups_over_all_data_sets():
    cells = varied(GAINS)
    overall, single, _ = tables(evidence(cells))
    assert overall.standings[0].system == "best"
    assert [standing.letters for standing in overall.standings] == ["a", "b", "b"]
    assert [standing.leader for standing in overall.standings] == [True, False, False]
    assert overall.groups[0] == ("best",)
    assert sorted(overall.groups[1]) == ["alike", "plain"]
    assert (overall.family, single[0].family) == (3, 6)
    assert overall.seeds == {"one": (0, 1, 2), "two": (0, 1, 2)}
    assert overall.queries == 120
    assert overall.covers.startswith("Covers the choice of test queries and training again (3 seeds")
    assert [(table.name, table.data_sets) for table in single] == [("one", ("one",)), ("two", ("two",))]


def test_numbers_are_those_of_the_statistics():
    """Written out: differences by hand, the interval from ``hierarchical``, Holm over both data sets together."""
    cells = varied(GAINS)
    overall, single, _ = tables(evidence(cells))
    tables_of = {
        name: np.stack([cells["best", name, seed] - cells["plain", name, seed] for seed in (0, 1, 2)])
        for name in ("one", "two")
    }
    found = hierarchical(tables_of, shared_seeds=False)
    versus = next(each for each in overall.versus if (each.treatment, each.control) == ("best", "plain"))
    assert (versus.difference, versus.low, versus.high) == pytest.approx((found.mean, found.low, found.high))
    assert versus.difference == pytest.approx(np.mean([values.mean() for values in tables_of.values()]))
    assert versus.p == pytest.approx(found.p)
    assert sum(versus.shares.values()) == pytest.approx(1)
    raw = {(table.name, frozenset((each.treatment, each.control))): each.p for table in single for each in table.versus}
    family = [(name, frozenset(pair)) for name in ("one", "two") for pair in combinations(GAINS, 2)]
    expected = holm(raw, family=family)
    for table in single:
        for each in table.versus:
            assert each.adjusted == expected[table.name, frozenset((each.treatment, each.control))]
    standing = overall.standings[0]
    assert standing.by_seed == pytest.approx(
        [np.mean([cells["best", name, seed].mean() for name in ("one", "two")]) for seed in (0, 1, 2)]
    )
    assert standing.mean == pytest.approx(np.mean(standing.by_seed))


def test_against_a_baseline_and_the_better_one_first_without():
    cells = varied(GAINS)
    overall, _, _ = tables(evidence(cells, baseline="best"))
    assert {each.treatment: each.verdict for each in overall.versus} == {"alike": "worse", "plain": "worse"}
    assert all(each.control == "best" and each.high < 0 for each in overall.versus)
    assert overall.family == 2
    assert overall.groups == ()
    assert {standing.system: standing.verdict for standing in overall.standings}["best"] is None
    free, _, _ = tables(evidence(cells))
    assert all(each.difference >= 0 and each.low <= each.difference <= each.high for each in free.versus)
    assert all(each.detectable > 0 for each in free.versus)
    assert pairs(["a", "b", "c"], "b") == [("a", "b"), ("c", "b")]


def test_what_is_missing_still_counts_in_the_family():
    """Three systems were planned: one that failed does not make the p-value of the others smaller."""
    cells = {key: values for key, values in varied({"plain": 0.0, "best": 0.02}, data_sets=("one",)).items()}
    both = tables(evidence(cells))[1][0].versus[0]
    failed = [("broken", "one", seed) for seed in (0, 1, 2)]
    with_failed = tables(evidence(cells, failed=failed))[1][0]
    assert with_failed.versus[0].adjusted == pytest.approx(min(1, 3 * both.adjusted))
    assert with_failed.left_out == {"broken": "all its runs there have failed"}


def test_ties_everywhere():
    cells = {(system, "one", seed): [0.5] * 30 for system in "ab" for seed in (0, 1)}
    overall, (table,), _ = tables(evidence(cells, seeds=(0, 1)))
    assert overall is None
    (versus,) = table.versus
    assert (versus.difference, versus.low, versus.high, versus.p, versus.verdict) == (0, 0, 0, 1, "open")
    assert versus.detectable is None
    assert versus.shares == {}
    assert [standing.letters for standing in table.standings] == ["a", "a"]
