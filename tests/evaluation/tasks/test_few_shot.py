import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.tasks.few_shot import FewShot, area_under_curve
from nearfar.evaluation.tasks.outcome import changes
from tests.evaluation.tasks.made import Given, labelled_records, setting


def run(task, per_label=12, spread=0.6, rows=(), **options):
    records, vectors = labelled_records({"test": per_label}, spread=spread)
    strange = np.random.default_rng(9).normal(size=(len(rows), 16))
    vectors |= dict(zip([row["text"] for row in rows], strange, strict=True))
    return task.run(setting([*records, *rows], Given(vectors), resamples=2000, **options))


STRANGERS = [{"text": f"strange {i}", "label": "oos", "split": "test"} for i in range(15)]


def test_clear_labels_are_told_apart():
    found = run(FewShot(ways=3, shots=2, queries=4, episodes=50), spread=0.01)
    assert [score.measure for score in found.scores] == ["accuracy", "rejection"]
    assert found.value("accuracy") == 1
    assert found.value("rejection") == 1


def test_the_interval_is_that_of_the_mean_of_episodes():
    found = run(FewShot(ways=4, shots=1, queries=5, episodes=300))
    values = found.columns["accuracy"]
    assert found.value("accuracy") == pytest.approx(values.mean())
    half = 1.96 * values.std(ddof=1) / np.sqrt(300)
    assert (found.scores[0].high - found.scores[0].low) / 2 == pytest.approx(half, rel=0.1)


def test_more_shots_are_better():
    one, five = (run(FewShot(ways=4, shots=shots, queries=5, episodes=60)).value("accuracy") for shots in (1, 5))
    assert five > one


def test_two_models_meet_the_same_episodes():
    task = FewShot(ways=3, shots=2, queries=4, episodes=60)
    change = changes(run(task, spread=0.5), run(task, spread=0.6))
    assert change[0].n == 60
    assert change[0].p is not None
    assert changes(run(task), run(task))[0].high == 0


def test_texts_out_of_scope_are_the_strangers():
    found = run(FewShot(ways=6, shots=3, queries=4, episodes=40, out_of_scope="oos"), rows=STRANGERS)
    assert found.value("rejection") > 0.7
    closed = run(FewShot(ways=6, shots=3, queries=4, episodes=40))
    assert [score.measure for score in closed.scores] == ["accuracy"]  # no label is left to be strange


def test_the_area_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    known, unknown = generator.integers(3, 9, size=30) / 9, generator.integers(0, 7, size=20) / 9
    expected = roc_auc_score([1] * 30 + [0] * 20, [*known, *unknown])
    assert area_under_curve(known, unknown) == pytest.approx(expected)


def test_what_is_refused():
    with pytest.raises(DataError, match=r"needs 5 labels with 20 texts .* has 0 such labels of 6; the largest has 12"):
        run(FewShot())
    with pytest.raises(ConfigError, match=r"no label is called 'osos'. Did you mean 'oos'"):
        run(FewShot(out_of_scope="osos"), rows=STRANGERS)
    with pytest.raises(ConfigError, match="ways must be a whole number from 2"):
        FewShot(ways=1)


def test_small_labels_are_left_out():
    found = run(FewShot(ways=6, shots=3, queries=9, episodes=5), rows=STRANGERS[:3])
    assert found.notes == ("1 labels were left out: they have fewer than 12 texts.",)
