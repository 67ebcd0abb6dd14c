import numpy as np
import pytest
from sklearn.metrics import v_measure_score

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.tasks.clustering import Clustering
from tests.evaluation.tasks.made import Given, labelled_records, setting


def test_clear_clusters_are_found_and_noise_is_not():
    records, vectors = labelled_records({"test": 30}, spread=0.01)
    found = Clustering(runs=12).run(setting(records, Given(vectors)))
    assert found.columns["V-measure"].max() == pytest.approx(1)
    assert found.value("V-measure") > 0.85
    assert (found.unit, found.scores[0].n) == ("run", 12)
    noise = dict(zip(vectors, np.random.default_rng(0).normal(size=(len(vectors), 16)), strict=True))
    assert Clustering(runs=3).run(setting(records, Given(noise))).value("V-measure") < 0.2


def test_the_v_measure_is_the_harmonic_mean():
    records, vectors = labelled_records({"test": 20})
    found = Clustering(runs=3).run(setting(records, Given(vectors))).columns
    h, c = found["homogeneity"], found["completeness"]
    assert found["V-measure"] == pytest.approx(2 * h * c / (h + c))
    assert v_measure_score([0, 0, 1, 1], [1, 1, 0, 0]) == 1


def test_runs_take_samples_and_repeat():
    records, vectors = labelled_records({"test": 30})
    task = Clustering(runs=4, texts=60)
    first, again = (task.run(setting(records, Given(vectors))).columns["V-measure"] for _ in range(2))
    assert (first == again).all()
    assert len(np.unique(first)) > 1


def test_what_is_refused():
    rows = [{"text": f"{split} {i}", "label": f"l{i}", "split": split} for i in range(4) for split in ("train", "test")]
    with pytest.raises(DataError, match="each of the 4 texts of test in records has its own"):
        Clustering().run(setting(rows, Given({})))
    with pytest.raises(ConfigError, match="runs must be a whole number from 2"):
        Clustering(runs=1)
