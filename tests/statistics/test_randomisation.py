from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.statistics import randomisation
from nearfar.statistics import values as shared
from nearfar.statistics.randomisation import randomisation_test, randomised_tukey

FIXTURE = np.array([0.1, 0.2, -0.05, 0.3, 0.0, 0.15])
values = st.lists(st.sampled_from([-0.3, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3, 1 / 3]), min_size=1, max_size=9)


def test_fixture_of_the_exact_test():
    tested = randomisation_test(FIXTURE, seed=0)
    assert (tested.p, tested.exact, tested.draws) == (8 / 64, True, 32)


@given(values)
def test_the_exact_test_counts_sign_flips_in_any_order(differences):
    units = [round(value * 60) for value in differences]
    sums = [
        sum(sign * unit for sign, unit in zip(signs, units, strict=True))
        for signs in product((1, -1), repeat=len(units))
    ]
    expected = sum(abs(total) >= abs(sum(units)) for total in sums) / len(sums)
    exact = np.array(units) / 60
    for order in (exact, exact[::-1], np.sort(exact)):
        assert randomisation_test(order.copy(), seed=1).p == expected


def test_random_draws_agree_with_all_draws(monkeypatch):
    differences = np.random.default_rng(4).normal(0.2, 0.5, 14)
    exact = randomisation_test(differences, seed=0)
    monkeypatch.setattr(randomisation, "EXACT_UP_TO", 0)
    monkeypatch.setattr(shared, "NUMBERS_AT_ONCE", 1_000)
    drawn = randomisation_test(differences, draws=20_000, seed=0)
    assert exact.exact
    assert not drawn.exact
    assert 0.02 < exact.p < 0.5
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p / 20_000))


def test_a_drawn_p_value_is_never_zero_and_repeats_with_its_seed():
    differences = np.full(100, 0.5)
    tested = randomisation_test(differences, draws=999, seed=5)
    assert (tested.p, tested.draws) == (1 / 1000, 999)
    noisy = np.random.default_rng(0).normal(0.05, 1, 200)
    assert randomisation_test(noisy, seed=5) == randomisation_test(noisy, seed=5)
    assert randomisation_test(noisy, seed=5) != randomisation_test(noisy, seed=6)


def test_type_one_error_of_the_drawn_test_is_its_level():
    generator = np.random.default_rng(11)
    skewed = generator.exponential(1.0, (2_000, 40)) - generator.exponential(1.0, (2_000, 40))
    p_values = np.array([randomisation_test(row, draws=399, seed=seed).p for seed, row in enumerate(skewed)])
    assert 0.04 <= (p_values <= 0.05).mean() <= 0.06
    assert 0.17 <= (p_values <= 0.2).mean() <= 0.23


def test_type_one_error_of_the_exact_test_is_at_most_its_level():
    null = np.random.default_rng(12).normal(size=(2_000, 9))
    p_values = np.array([randomisation_test(row, seed=0).p for row in null])
    assert 0.035 <= (p_values <= 0.05).mean() <= 0.06


@pytest.mark.parametrize("n", [2, 5, 11])
def test_the_exact_test_agrees_with_that_of_scipy(n):
    differences = np.random.default_rng(n).normal(0.3, 1.0, n)
    oracle = permutation_test((differences,), lambda x, axis: x.mean(axis=axis), permutation_type="samples", rng=0)
    assert randomisation_test(differences, seed=0).p == pytest.approx(oracle.pvalue, abs=1e-12)


def test_a_million_flips_are_counted_exactly():
    differences = np.where(np.arange(20) < 15, 1.0, -1.0)
    tested = randomisation_test(differences, seed=0)
    at_least_15 = 15504 + 4845 + 1140 + 190 + 20 + 1  # binomial coefficients of 20 over 15 to 20
    assert (tested.p, tested.exact, tested.draws) == (2 * at_least_15 / 2**20, True, 2**20)
    assert not randomisation_test(np.append(differences, 1.0), draws=10, seed=0).exact


def test_tukey_agrees_with_all_permutations():
    table = np.array([[0.9, 0.5, 0.7, 0.8], [0.4, 0.6, 0.2, 0.3], [0.5, 0.4, 0.3, 0.1]])
    orders = [list(order) for order in permutations(range(3))]
    ranges = np.array(
        [
            np.ptp(sum(table[order, query] for query, order in enumerate(chosen)))
            for chosen in product(orders, repeat=table.shape[1])
        ]
    )
    found = randomised_tukey(dict(zip("abc", table, strict=True)), draws=20_000, seed=1)
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    for (left, right), p in zip(combinations(range(3), 2), found.values(), strict=True):
        reached = abs(table[left].sum() - table[right].sum())
        expected = float((ranges >= reached - 1e-9).mean())
        assert p == pytest.approx(expected, abs=4 * np.sqrt(expected / 20_000))


def test_tukey_of_two_systems_is_the_randomisation_test(monkeypatch):
    monkeypatch.setattr(shared, "NUMBERS_AT_ONCE", 5_000)
    generator = np.random.default_rng(2)
    other = generator.random(15)
    one = other + generator.normal(0.12, 0.3, 15)
    (p,) = randomised_tukey({"one": one, "other": other}, draws=20_000, seed=1).values()
    exact = randomisation_test(one - other, seed=0).p
    assert 0.02 < exact < 0.9
    assert p == pytest.approx(exact, abs=0.015)


def test_tukey_finds_any_false_difference_as_often_as_its_level():
    generator = np.random.default_rng(3)
    null = generator.exponential(1.0, (600, 1, 30)) + generator.exponential(1.0, (600, 4, 30))
    smallest = [
        min(randomised_tukey(dict(zip("abcd", table, strict=True)), draws=199, seed=seed).values())
        for seed, table in enumerate(null)
    ]
    assert 0.03 <= (np.array(smallest) <= 0.05).mean() <= 0.07  # 600 trials: 0.05 +- 0.018


def test_tukey_of_equal_and_of_far_systems():
    same = np.array([0.5, 0.25, 1.0])
    assert randomised_tukey({"a": same, "b": same, "c": same}, draws=99, seed=0) == dict.fromkeys(
        [("a", "b"), ("a", "c"), ("b", "c")], 1.0
    )
    assert randomised_tukey({"a": np.zeros(2), "b": np.zeros(2)}, draws=9, seed=0) == {("a", "b"): 1.0}
    generator = np.random.default_rng(0)
    near = generator.random(60)
    found = randomised_tukey({"a": near, "b": near + 0.001, "far": near + 1}, draws=999, seed=0)
    assert found["a", "far"] == found["b", "far"] == 1 / 1000
    assert found["a", "b"] > 0.9
    assert found == randomised_tukey({"a": near, "b": near + 0.001, "far": near + 1}, draws=999, seed=0)


def test_what_cannot_be_dealt_is_refused():
    with pytest.raises(DataError, match="at least two systems, got 1"):
        randomised_tukey({"a": np.zeros(3)}, seed=0)
    with pytest.raises(ShapeError, match="different numbers: a 3, b 2"):
        randomised_tukey({"a": np.zeros(3), "b": np.zeros(2)}, seed=0)
    with pytest.raises(DataError, match="those at 1 are not"):
        randomised_tukey({"a": np.zeros(3), "b": np.array([0, np.nan, 0])}, seed=0)
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        randomised_tukey({"a": np.zeros(3), "b": np.zeros(3)}, draws=0, seed=0)
