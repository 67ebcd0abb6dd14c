import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.tasks.pair_classification import PairClassification, _measures, best_thresholds
from nearfar.statistics.bootstrap import bootstrap_counts
from tests.evaluation.tasks.made import Given, random_vectors, setting


def records(count, split, seed=0):
    labels = np.random.default_rng(seed).integers(0, 2, size=count)
    return [
        {"sentence1": f"{split} a {i}", "sentence2": f"{split} b {i}", "label": int(label), "split": split}
        for i, label in enumerate(labels)
    ]


def made(rows, **options):
    vectors = random_vectors([row["sentence1"] for row in rows], seed=1)
    noise = random_vectors([row["sentence2"] for row in rows], seed=2)
    for row in rows:
        vectors[row["sentence2"]] = vectors[row["sentence1"]] * row["label"] + noise[row["sentence2"]] * 1.2
    return setting(rows, Given(vectors), **options)


def test_measures_are_those_of_scikit_learn_with_thresholds_of_dev():
    rows = records(80, "dev") + records(60, "test", seed=3)
    found = PairClassification().run(made(rows))
    cosines, same = found.columns["cosine"], found.columns["same"]
    dev = PairClassification().run(made(records(80, "dev"), split="dev"))
    cuts = best_thresholds(dev.columns["cosine"], dev.columns["same"] == 1)
    assert found.value("AP") == pytest.approx(average_precision_score(same, cosines))
    assert found.value("F1") == pytest.approx(f1_score(same, cosines >= cuts["F1"]))
    assert found.value("accuracy") == pytest.approx(accuracy_score(same, cosines >= cuts["accuracy"]))
    assert found.notes[0].startswith("Thresholds were chosen on dev: ")


def test_thresholds_are_those_of_sentence_transformers():
    from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator as Theirs

    generator = np.random.default_rng(0)
    same = generator.integers(0, 2, size=50).astype(bool)
    scores = np.round(same + generator.normal(size=50), 6)
    cuts = best_thresholds(scores, same)
    accuracy, accuracy_cut = Theirs.find_best_acc_and_threshold(scores, same, True)
    f1, _, _, f1_cut = Theirs.find_best_f1_and_threshold(scores, same, True)
    assert (cuts["accuracy"], cuts["F1"]) == pytest.approx((accuracy_cut, f1_cut))
    assert accuracy_score(same, scores >= cuts["accuracy"]) == pytest.approx(accuracy)
    assert f1_score(same, scores >= cuts["F1"]) == pytest.approx(f1)


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better(seed):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 6, size=15) / 5
    same = generator.integers(0, 2, size=15).astype(bool)
    same[:2] = [True, False]
    cuts = best_thresholds(scores, same)
    tried = [*(np.unique(scores) - 0.01), np.inf]
    assert accuracy_score(same, scores >= cuts["accuracy"]) == max(accuracy_score(same, scores >= cut) for cut in tried)
    assert f1_score(same, scores >= cuts["F1"]) == max(f1_score(same, scores >= cut) for cut in tried)


def test_resamples_are_measures_of_repeated_pairs():
    generator = np.random.default_rng(1)
    same = generator.integers(0, 2, size=25).astype(bool)
    scores = generator.integers(0, 7, size=25) / 6
    called = scores >= 0.5
    for counts in bootstrap_counts(25, 15, seed=0):
        found = _measures(scores, same, called, (called == same).astype(float))(counts)
        for row, measured in zip(counts.astype(int), found, strict=True):
            drawn = [np.repeat(values, row) for values in (same, scores, called)]
            expected = (
                average_precision_score(*drawn[:2]),
                f1_score(drawn[0], drawn[2]),
                accuracy_score(drawn[0], drawn[2]),
            )
            assert measured == pytest.approx(expected)


def test_without_dev_each_half_is_judged_by_the_other():
    rows = records(40, "test")
    found = PairClassification().run(made(rows))
    best = best_thresholds(found.columns["cosine"], found.columns["same"] == 1)
    chosen_on_test = accuracy_score(found.columns["same"], found.columns["cosine"] >= best["accuracy"])
    assert "each half was judged" in found.notes[0]
    assert found.value("accuracy") <= chosen_on_test
    assert found.value("accuracy") > 0.6
    assert PairClassification().run(made(rows)).value("F1") == found.value("F1")


def test_what_is_refused():
    with pytest.raises(ConfigError, match="seed must be a whole number from 0, got -1"):
        PairClassification(seed=-1)
    rows = records(6, "test")
    with pytest.raises(DataError, match=r"go from 0 to 3. Use STS"):
        PairClassification().run(made([*rows[:-1], rows[-1] | {"label": 3}]))
    with pytest.raises(DataError, match="all of test in records have the grade 1"):
        PairClassification().run(made([row | {"label": 1} for row in rows]))
    few = [row | {"label": int(place == 0)} for place, row in enumerate(rows)]
    with pytest.raises(DataError, match=r"test has 1 of one and 5 of the other, .* Add a dev split"):
        PairClassification().run(made(few))
