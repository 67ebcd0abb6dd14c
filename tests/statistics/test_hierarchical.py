import json

import numpy as np
import pytest
from scipy import stats

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.statistics.estimates import Estimate, Part, estimate
from nearfar.statistics.hierarchical import hierarchical, seed_differences
from nearfar.statistics.power import detectable

MEAN = 0.2


def drawn(generator, *, seeds, queries, of_seed, of_query, of_rest, shared=None):
    """One data set by the model: normal seeds, skewed queries and rest."""
    seed = of_seed * generator.normal(size=(seeds, 1)) if shared is None else shared
    query = of_query * (generator.exponential(size=(1, queries)) - 1)
    return MEAN + seed + query + of_rest * (generator.exponential(size=(seeds, queries)) - 1)


def coverage(tables, **options):
    """How often the interval holds the true mean."""
    found = [hierarchical(table, **options) for table in tables]
    return np.mean([each.low <= MEAN <= each.high for each in found])


TRIALS = 400
LEAST = 0.95 - 3 * np.sqrt(0.95 * 0.05 / TRIALS)


@pytest.mark.parametrize(
    ("of_seed", "of_query", "of_rest"),
    [(0.0, 1.0, 0.3), (0.0, 0.0, 1.0), (0.1, 1.0, 0.3), (0.1, 0.3, 1.0), (1.0, 0.3, 0.3)],
)
def test_the_interval_covers_with_three_seeds(of_seed, of_query, of_rest):
    generator = np.random.default_rng(1)
    tables = [
        {"one": drawn(generator, seeds=3, queries=60, of_seed=of_seed, of_query=of_query, of_rest=of_rest)}
        for _ in range(TRIALS)
    ]
    assert LEAST <= coverage(tables) <= 0.99


def test_pooled_seeds_do_not_cover_what_the_hierarchical_interval_does():
    generator = np.random.default_rng(2)
    tables = [drawn(generator, seeds=3, queries=60, of_seed=0.3, of_query=0.3, of_rest=0.3) for _ in range(400)]
    ends = [estimate(table.mean(axis=0)).interval() for table in tables]
    assert np.mean([low <= MEAN <= high for low, high in ends]) < 0.7
    assert coverage([{"one": table} for table in tables]) > 0.92


@pytest.mark.parametrize("shared", [True, False])
def test_it_covers_over_several_data_sets(shared):
    generator = np.random.default_rng(3)
    tables = []
    for _ in range(TRIALS):
        lucky = 0.2 * generator.normal(size=(3, 1)) if shared else None
        tables.append(
            {
                str(queries): drawn(
                    generator, seeds=3, queries=queries, of_seed=0.2, of_query=0.5, of_rest=0.5, shared=lucky
                )
                for queries in (20, 80, 300)
            }
        )
    assert LEAST <= coverage(tables, shared_seeds=shared) <= 0.99
    if shared:
        assert coverage(tables, shared_seeds=False) < 0.92
    else:
        assert coverage(tables, shared_seeds=True) >= LEAST


@pytest.mark.parametrize("shared", [True, False])
def test_it_covers_where_data_sets_stand_for_others(shared):
    generator = np.random.default_rng(4)
    tables = []
    for _ in range(TRIALS):
        lucky = 0.2 * generator.normal(size=(3, 1)) if shared else None
        tables.append(
            {
                str(number): 0.3 * generator.normal()
                + drawn(generator, seeds=3, queries=40, of_seed=0.2, of_query=0.5, of_rest=0.5, shared=lucky)
                for number in range(5)
            }
        )
    assert LEAST <= coverage(tables, shared_seeds=shared, sampled=True) <= 0.995
    assert coverage(tables, shared_seeds=shared) < 0.92


def test_p_values_of_no_difference_are_at_most_their_level():
    generator = np.random.default_rng(5)
    p_values = [
        hierarchical({"one": drawn(generator, seeds=3, queries=40, of_seed=0.5, of_query=1.0, of_rest=0.5) - MEAN}).p
        for _ in range(TRIALS)
    ]
    assert 0.01 <= np.mean(np.array(p_values) <= 0.05) <= 1 - LEAST


def test_what_is_detectable_with_three_seeds_is_found_that_often():
    unit = Estimate(mean=0.0, parts=(Part(source="seeds", variance=1 / 3, degrees=2),), n=40)
    of_seed = MEAN / detectable(unit)
    generator = np.random.default_rng(6)
    found = [
        hierarchical({"one": drawn(generator, seeds=3, queries=40, of_seed=of_seed, of_query=0.0, of_rest=0.001)}).p
        for _ in range(TRIALS)
    ]
    assert np.mean(np.array(found) <= 0.05) == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / TRIALS))


def test_one_seed_and_one_data_set_is_the_t_test():
    differences = np.random.default_rng(7).normal(0.1, 0.3, (1, 25))
    found = hierarchical({"one": differences})
    oracle = stats.ttest_1samp(differences[0], 0)
    assert found.p == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval()))
    assert found.covers == "Covers the choice of test queries; not training again, which takes more than one seed."
    assert found.data_sets["one"].low == found.low


def test_seeds_that_differ_by_a_constant_are_the_t_test_of_seeds():
    offsets = np.array([0.1, 0.3, 0.35, 0.2])
    found = hierarchical({"one": np.repeat(offsets[:, None], 50, axis=1)})
    oracle = stats.ttest_1samp(offsets, 0)
    assert found.p == pytest.approx(oracle.pvalue)
    assert [part.source for part in found.estimate.parts] == ["seeds"]
    assert found.as_dict()["shares"] == {"seeds": 1.0}


def test_seeds_that_are_all_the_same_are_the_t_test_of_queries():
    differences = np.random.default_rng(8).normal(0.1, 0.3, 25)
    found = hierarchical({"one": np.stack([differences] * 3)})
    assert found.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert found.covers == "Covers the choice of test queries and training again (3 seeds for each data set)."


def test_parts_by_hand():
    table = np.array([[1.0, 2.0, 4.0], [2.0, 3.0, 7.0]])
    found = hierarchical({"one": table})
    seeds, queries = found.estimate.parts
    assert seeds.variance == pytest.approx(np.var([7 / 3, 4.0], ddof=1) / 2)
    # what is left after both means: -1/3, -1/3, 2/3 and the opposite; 12/9 over 2 degrees and 6 cells
    rest = (12 / 9) / 2 / 6
    assert queries.variance == pytest.approx(np.var([1.5, 2.5, 5.5], ddof=1) / 3 - rest)
    assert (seeds.degrees, queries.degrees) == (1, 2)


def test_data_sets_weigh_the_same_however_large():
    small, large = np.full((3, 2), 0.1), np.full((3, 1000), 0.3)
    small[:, 0] += 0.02
    found = hierarchical({"small": small, "large": large})
    assert found.mean == pytest.approx((0.11 + 0.3) / 2)
    assert found.data_sets["small"].queries == 2
    assert found.data_sets["large"].p == 2.0**-999
    assert found.covers.endswith("; not other data sets.")
    written = json.loads(json.dumps(found.as_dict()))
    assert written["queries"] == 1002
    assert written["data_sets"]["large"]["mean"] == pytest.approx(0.3)
    assert written["low"] < written["mean"] < written["high"]


def test_sampled_sets_with_trainings_of_their_own_are_the_t_test_of_sets():
    generator = np.random.default_rng(9)
    tables = {str(number): generator.normal(0.2, 0.5, (2, 10 + number)) for number in range(4)}
    found = hierarchical(tables, sampled=True, shared_seeds=False)
    oracle = stats.ttest_1samp([table.mean() for table in tables.values()], 0)
    assert found.p == pytest.approx(oracle.pvalue)
    one_seed = hierarchical({name: table[:1] for name, table in tables.items()}, sampled=True, shared_seeds=False)
    assert one_seed.covers == (
        "Covers the choice of test queries and training again (1 seed for each data set) and the choice of data "
        "sets (4)."
    )


def test_ties_everywhere():
    found = hierarchical({"one": np.zeros((3, 5)), "other": np.zeros((3, 8))})
    assert (found.mean, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.as_dict()["shares"] == {}
    equal = np.full((3, 4), 0.8)
    assert seed_differences(equal, np.full((3, 4), 0.7 + 0.1)).tolist() == np.zeros((3, 4)).tolist()


def test_a_system_without_training_has_no_seeds():
    trained = np.array([[0.5, 0.7], [0.6, 0.9]])
    assert seed_differences(trained, np.array([0.5, 0.5])) == pytest.approx(np.array([[0.0, 0.2], [0.1, 0.4]]))
    assert seed_differences(np.array([0.5, 0.5]), trained) == pytest.approx(np.array([[0.0, -0.2], [-0.1, -0.4]]))
    assert seed_differences(np.array([0.5, 0.5]), np.array([0.25, 0.5])).tolist() == [[0.25, 0.0]]


def test_values_that_do_not_pair_are_refused():
    with pytest.raises(ShapeError, match="same queries: treatment has 4, control has 5"):
        seed_differences(np.zeros((3, 4)), np.zeros((3, 5)))
    with pytest.raises(ShapeError, match="treatment has 3, control has 1"):
        seed_differences(np.zeros((3, 4)), np.zeros((1, 4)))
    with pytest.raises(ShapeError, match="those of control have 3 axes"):
        seed_differences(np.zeros((3, 4)), np.zeros((1, 3, 4)))
    broken = np.zeros((3, 4))
    broken[1, 2] = np.nan
    with pytest.raises(DataError, match="control has 1 that are not, the first at seed 1, query 2"):
        seed_differences(np.zeros((3, 4)), broken)
    with pytest.raises(DataError, match="data set 'one' has 1 that are not"):
        hierarchical({"one": broken})


def test_too_little_for_a_test_is_refused():
    table = np.zeros((2, 4))
    with pytest.raises(DataError, match="no data set"):
        hierarchical({})
    with pytest.raises(DataError, match=r"at least 2 queries .*: few has 1"):
        hierarchical({"one": table, "few": table[:, :1]})
    with pytest.raises(DataError, match="at least 3 training seeds for each data set: one has 2"):
        hierarchical({"one": table}, least_seeds=3)
    with pytest.raises(DataError, match="at least 1 training seeds for each data set: one has 0"):
        hierarchical({"one": table[:0]})
    with pytest.raises(ShapeError, match="equally many: one has 2, other has 1"):
        hierarchical({"one": table, "other": table[:1]})
    with pytest.raises(DataError, match="nothing is known of their training: one has 2, other has 1"):
        hierarchical({"one": table, "other": table[:1]}, shared_seeds=False)
    with pytest.raises(DataError, match="One data set cannot stand for others"):
        hierarchical({"one": table}, sampled=True)
    with pytest.raises(ConfigError, match="least_seeds must be at least 1, got 0"):
        hierarchical({"one": table}, least_seeds=0)
    with pytest.raises(ConfigError, match="confidence must be between 0 and 1"):
        hierarchical({"one": table}, confidence=95.0)
