import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from nearfar.errors import ConfigError, DataError
from nearfar.evaluation.tasks.bitext import Bitext
from tests.evaluation.tasks.made import Given, random_vectors, setting


def made(count=40, noise=1.5, dim=8):
    rows = [{"text1": f"a {i}", "text2": f"b {i}"} for i in range(count)]
    vectors = random_vectors([row["text1"] for row in rows], dim)
    for place, change in enumerate(random_vectors([row["text2"] for row in rows], dim, seed=1).items()):
        vectors[change[0]] = vectors[f"a {place}"] + noise * change[1]
    return rows, vectors


@pytest.mark.parametrize("margin", ["ratio", "distance", "none"])
def test_equal_to_the_whole_matrix(margin):
    rows, vectors = made()
    found = Bitext(margin=margin).run(setting(rows, Given(vectors)))
    cosines = cosine_similarity(*(np.stack([vectors[row[side]] for row in rows]) for side in ("text1", "text2")))
    nearest = [np.sort(matrix, axis=1)[:, -4:].mean(axis=1) for matrix in (cosines, cosines.T)]
    middle = (nearest[0][:, None] + nearest[1]) / 2
    scores = {"ratio": cosines / middle, "distance": cosines - middle, "none": cosines}[margin]
    # a text chooses among its four nearest
    among = [matrix >= np.sort(matrix, axis=1)[:, -4:-3] for matrix in (cosines, cosines.T)]
    forward = np.where(among[0], scores, -9).argmax(axis=1)
    backward = np.where(among[1], scores.T, -9).argmax(axis=1)
    own = np.arange(40)
    assert found.value("forward") == pytest.approx((forward == own).mean())
    assert found.value("backward") == pytest.approx((backward == own).mean())
    mined = backward[forward] == own
    precision, recall = (forward == own)[mined].mean(), (mined & (forward == own)).mean()
    assert found.value("F1") == pytest.approx(2 * precision * recall / (precision + recall))
    assert 0.3 < found.value("F1") < 1


def test_a_margin_keeps_a_hub_from_being_chosen():
    rows, vectors = made(noise=0.9)
    centre = np.mean([vectors[f"a {i}"] / np.linalg.norm(vectors[f"a {i}"]) for i in range(40)], axis=0)
    for place in range(40):  # all texts share much, and one on the right is nothing else
        vectors[f"a {place}"] = vectors[f"a {place}"] + 3
        vectors[f"b {place}"] = vectors[f"b {place}"] + 3
    vectors["b 0"] = centre + 30
    plain, ratio = (Bitext(margin=margin).run(setting(rows, Given(vectors))) for margin in ("none", "ratio"))
    assert ratio.value("forward") > plain.value("forward")


def test_equal_texts_with_several_translations():
    rows = [{"text1": "x", "text2": "u"}, {"text1": "x", "text2": "v"}, {"text1": "y", "text2": "w"}]
    vectors = dict(zip("xyuvw", np.array([[1, 0], [0, 1], [1, 0.1], [1, 0.2], [0, 1]], float), strict=True))
    found = Bitext(margin="none").run(setting(rows, Given(vectors)))
    assert found.value("forward") == found.value("backward") == 1
    assert found.value("F1") == pytest.approx(2 * 2 / (2 + 3))  # v is not mined: its text has one choice


def test_what_is_refused():
    with pytest.raises(DataError, match="at least two texts on each side; all in records has 1 and 1"):
        Bitext().run(setting([{"text1": "a", "text2": "b"}], Given({})))
    with pytest.raises(ConfigError, match="margin must be ratio, distance or none"):
        Bitext(margin="product")
