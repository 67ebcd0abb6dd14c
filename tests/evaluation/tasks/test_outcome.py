import numpy as np
import pytest

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.tasks.outcome import changes, means_of, outcome
from nearfar.statistics.paired import bootstrap_interval


def made(values, names=None, draws=1, resamples=2000, task="Made()", confidence=0.95):
    values = np.asarray(values, dtype=np.float64)
    names = names or [f"i{place}" for place in range(len(values))]
    table = values.reshape(len(values), -1) if values.ndim == 1 else values
    columns = {"mean": table.mean(axis=1)}
    return outcome(
        task,
        "text",
        names,
        ("mean",),
        means_of(table),
        columns,
        confidence=confidence,
        resamples=resamples,
        draws=draws,
    )


def test_a_mean_has_the_interval_of_the_bootstrap():
    values = np.random.default_rng(0).normal(size=400)
    found = made(values, resamples=8000).scores[0]
    low, high = bootstrap_interval(values, resamples=8000, seed=1)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)
    assert found.n == 400


def test_few_items_have_the_interval_of_students_t():
    values = np.array([0.61, 0.64, 0.58, 0.66, 0.63, 0.6])
    found = made(values, resamples=20_000).scores[0]
    half = 2.5706 * values.std(ddof=1) / np.sqrt(6)  # the quantile of t with 5 degrees of freedom
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.05)


def test_draws_widen_the_interval():
    generator = np.random.default_rng(0)
    by_text, by_draw = generator.normal(size=(300, 1)), np.array([[-1.0, 0.0, 1.0]])
    crossed, averaged = made(by_text + by_draw, draws=3), made(by_text)
    assert crossed.value("mean") == pytest.approx(averaged.value("mean"))
    assert crossed.scores[0].high - crossed.scores[0].low > 3 * (averaged.scores[0].high - averaged.scores[0].low)


def test_two_systems_are_compared_on_the_same_resamples():
    values = np.random.default_rng(0).normal(size=200)
    better, same = changes(made(values + 0.25), made(values))[0], changes(made(values), made(values))[0]
    assert (better.value, better.low, better.high) == pytest.approx((0.25, 0.25, 0.25))
    assert better.p < 0.001
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_other_items_cannot_be_compared():
    with pytest.raises(DataError, match="Only the first has i1; only the second has other"):
        changes(made([1.0, 2.0]), made([1.0, 2.0], ["i0", "other"]))
    with pytest.raises(DataError, match="They stand in another order"):
        changes(made([1.0, 2.0]), made([1.0, 2.0], ["i1", "i0"]))
    with pytest.raises(DataError, match=r"got Made\(\) with 2000 and Other\(\)"):
        changes(made([1.0, 2.0]), made([1.0, 2.0], task="Other()"))


def test_no_items_and_no_such_measure():
    with pytest.raises(DataError, match="nothing to measure: the split holds no text"):
        made(np.zeros((0, 1)))
    with pytest.raises(ConfigError, match="no measure 'median'; it has mean"):
        made([1.0]).value("median")
