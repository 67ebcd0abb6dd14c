import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from nearfar.evaluation.tasks.classifiers import NaiveBayes, logistic, standardised


def examples(count=60, dim=5, classes=3, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, size=count) * 10
    return (generator.normal(size=(count, dim)) + labels[:, None] / 12 * np.arange(dim)).astype(np.float32), labels


def test_naive_bayes_is_the_density_of_each_feature():
    vectors, labels = examples()
    others, _ = examples(40, seed=1)
    names = np.unique(labels)
    means = np.stack([vectors[labels == name].astype(float).mean(axis=0) for name in names])
    within = np.concatenate([vectors[labels == name] - vectors[labels == name].mean(axis=0) for name in names])
    spread = np.sqrt((within.astype(float) ** 2).mean(axis=0))
    densities = np.stack([norm.logpdf(others, mean, spread).sum(axis=1) for mean in means], axis=1)
    posterior = densities + np.log([(labels == name).mean() for name in names])
    found = NaiveBayes.fit(vectors, labels)
    assert (found.predict(others) == names[posterior.argmax(axis=1)]).all()
    scores = others @ found.weights.T + found.offsets  # linear, and equal up to what all classes share
    gaps = (scores - scores[:, :1]) - (posterior - posterior[:, :1])
    assert np.abs(gaps).max() < 1e-4


def test_one_example_of_each_is_the_nearest_example():
    vectors, labels = np.array([[0, 0], [4, 0], [0, 3]], np.float32), np.array([0, 1, 2])
    found = NaiveBayes.fit(vectors, labels)
    assert found.predict(np.array([[1.9, 1], [2.1, 1], [0, 1.6]], np.float32)).tolist() == [0, 1, 2]
    same = NaiveBayes.fit(np.ones((3, 2), np.float32), labels)
    assert same.predict(np.ones((1, 2), np.float32)).tolist() == [0]


def test_logistic_takes_the_strength_that_is_best_on_dev():
    vectors, labels = examples()
    dev, dev_labels = examples(50, seed=1)
    test, _ = examples(50, seed=2)
    strengths = (0.0001, 0.01, 1.0)
    models = {c: LogisticRegression(C=c, max_iter=1000).fit(vectors, labels) for c in strengths}
    expected = max(strengths, key=lambda c: (models[c].score(dev, dev_labels), -c))
    predict, chosen = logistic(vectors, labels, dev, dev_labels, strengths)
    assert chosen == expected
    assert (predict(test) == models[expected].predict(test)).mean() > 0.97


def test_standardised():
    vectors, _ = examples()
    vectors[:, 2] = 7
    scaled = standardised(vectors)(vectors)
    assert np.abs(scaled.mean(axis=0)).max() < 1e-5
    assert scaled.std(axis=0) == pytest.approx([1, 1, 0, 1, 1], abs=1e-5)
