import numpy as np
import pytest

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.contamination import contaminated_queries, gain
from tests.auditing.material import dataset, rows, words


def planted():
    """Of the test queries: one with its answer in training, one as it stands, one spelt out, one in other words."""
    made = rows()
    made[0] |= {"query": made[18]["query"] + " more", "positive": made[18]["positive"], "document_id": "d018"}
    made[1]["query"] = made[19]["query"] + " more"
    made[2]["positive"] += f" {made[20]['query']} and so on"
    made[3]["query"] = " ".join(reversed(made[21]["query"].split()))  # a paraphrase, as far as words go
    made[4]["positive"] += " " + " ".join(made[22]["query"].split()[:7])  # seven words are chance
    return made


def test_planted_copies_are_found_and_a_paraphrase_is_not():
    found = contaminated_queries(dataset(planted()), "test")
    assert found.queries == ("q018", "q019", "q020")
    assert found.pairs == ("q018",)


def test_training_data_may_be_another_set():
    made = planted()
    held = [row for row in made if row["split"] == "test"]
    other = dataset([row for row in made if row["split"] == "train"])
    assert contaminated_queries(dataset(held), "test", other).queries == ("q018", "q019", "q020")
    with pytest.raises(DataError, match="no training split to compare test with"):
        contaminated_queries(dataset(held), "test")
    with pytest.raises(ConfigError, match="Did you mean 'test'"):
        contaminated_queries(dataset(held), "tset")


def test_labelled_data_is_refused():
    texts = [{"text": " ".join(words(3, 3 * place)), "label": str(place % 2), "split": "train"} for place in range(4)]
    texts += [{"text": " ".join(words(3, 50)), "label": "0", "split": "test"}]
    with pytest.raises(DataError, match="this data has labels"):
        contaminated_queries(dataset(texts), "test")


def test_the_gain_by_hand():
    found = gain({"a": 1.0, "b": 1.0, "c": 0.5, "d": 0.0}, ["a", "b"], seed=0)
    assert (found.all, found.clean, found.gain) == (0.625, 0.25, 0.375)
    assert (found.queries, found.contaminated, found.confidence) == (4, 2, 0.95)
    assert found.low <= found.gain <= found.high


def test_without_contamination_there_is_no_gain():
    found = gain({"a": 0.1, "b": 0.2, "c": 0.7}, [], seed=0)
    assert (found.gain, found.low, found.high, found.contaminated) == (0.0, 0.0, 0.0, 0)


def test_the_interval_covers():
    """Of 200 draws of 120 queries, a fifth contaminated and 0.3 better: the true gain is 0.06."""
    generator, inside = np.random.default_rng(0), 0
    for draw in range(200):
        dirty = generator.random(120) < 0.2
        values = {
            str(place): float(value) for place, value in enumerate(0.5 + 0.3 * dirty + generator.normal(size=120))
        }
        found = gain(values, [str(place) for place in np.flatnonzero(dirty)], resamples=400, seed=draw)
        inside += found.low <= 0.06 <= found.high
    assert 180 <= inside <= 199  # binomial(200, .95) is within 180 to 198 in 99.9 %


def test_one_contaminated_query_shows_nothing():
    values = {f"q{place}": 0.2 + 0.01 * (place % 7) for place in range(100)} | {"leak": 1.0}
    found = gain(values, ["leak"], seed=0)
    assert found.gain > 0
    assert found.low == 0


def test_bad_input():
    with pytest.raises(DataError, match="All 2 queries are contaminated"):
        gain({"a": 1.0, "b": 0.0}, ["a", "b"], seed=0)
    with pytest.raises(DataError, match="without a value: c"):
        gain({"a": 1.0, "b": 0.0}, ["c"], seed=0)
    with pytest.raises(DataError, match="must be finite"):
        gain({"a": float("nan"), "b": 0.0}, ["b"], seed=0)
    with pytest.raises(DataError, match="at least one query"):
        gain({}, [], seed=0)
    with pytest.raises(ConfigError, match="confidence"):
        gain({"a": 1.0, "b": 0.0}, ["b"], confidence=95.0, seed=0)
