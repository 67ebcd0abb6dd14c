import numpy as np
import pytest

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.tasks.probe import Probe, first_of_each, rank_within
from tests.evaluation.tasks.made import Given, labelled_records, setting


def run(sizes, task, spread=0.6, **options):
    records, vectors = labelled_records(sizes, spread=spread)
    return task.run(setting(records, Given(vectors), **options))


def test_more_examples_are_better():
    found = run({"train": 30, "dev": 10, "test": 20}, Probe(examples=(1, 5, "all"), draws=2))
    values = {score.measure: score.value for score in found.scores}
    assert list(values) == ["logistic@1", "logistic@5", "logistic@all", "bayes@1", "bayes@5", "bayes@all"]
    assert values["logistic@1"] < values["logistic@5"] < values["logistic@all"]
    assert values["bayes@1"] < values["bayes@all"]
    assert values["logistic@all"] > 0.8
    assert found.columns["bayes@5"].mean() == pytest.approx(values["bayes@5"])
    assert set(np.unique(found.columns["bayes@5"])) <= {0, 0.5, 1}
    assert all(score.low < score.value <= score.high and score.n == 120 for score in found.scores)


def test_the_same_seed_gives_the_same_and_another_does_not():
    sizes = {"train": 8, "dev": 4, "test": 10}
    first, again = (run(sizes, Probe(examples=(2,), draws=1)) for _ in range(2))
    other = run(sizes, Probe(examples=(2,), draws=1, seed=1))
    assert (first.resampled == again.resampled).all()
    assert (first.columns["bayes@2"] != other.columns["bayes@2"]).any()


def test_without_dev_a_part_of_train_chooses():
    found = run({"train": 10, "test": 10}, Probe(examples=(1, 8, 9), draws=1, strengths=(0.01, 1.0)))
    assert [score.measure for score in found.scores] == ["logistic@1", "logistic@8", "bayes@1", "bayes@8"]
    assert found.notes == ("Left out: 9 examples of each label. No label of train has more than 8.",)


def test_data_without_train_is_refused():
    with pytest.raises(DataError, match="needs a train split beside 'test'; records has test"):
        run({"test": 5}, Probe())
    with pytest.raises(DataError, match="needs a train split beside 'train'; records has train"):
        run({"train": 5}, Probe(), split="train")


def test_examples_of_a_larger_number_hold_those_of_a_smaller_one():
    labels = np.random.default_rng(0).integers(0, 4, size=50)
    few, many = (first_of_each(labels, count, [0, 1]) for count in (2, 5))
    assert (few <= many).all()
    assert np.bincount(labels[few]).tolist() == [2, 2, 2, 2]
    ranks = rank_within(labels, [0, 1])
    assert all(sorted(ranks[labels == label]) == list(range((labels == label).sum())) for label in range(4))


@pytest.mark.parametrize("options", [{"examples": ()}, {"examples": ("some",)}, {"draws": 0}, {"strengths": (0.0,)}])
def test_settings_that_are_not_possible(options):
    with pytest.raises(ConfigError, match=f"Probe: {next(iter(options))} must be"):
        Probe(**options)
