import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from nearfar.errors import DataError
from nearfar.evaluation.tasks.outcome import changes
from nearfar.evaluation.tasks.sts import STS, correlations
from nearfar.statistics.bootstrap import bootstrap_counts
from tests.evaluation.tasks.made import Given, random_vectors, setting


def records(count=60, seed=0):
    grades = np.random.default_rng(seed).integers(0, 6, size=count)
    return [{"sentence1": f"a {i}", "sentence2": f"b {i}", "score": float(g)} for i, g in enumerate(grades)]


def made(rows, seed=0, **options):
    texts = [row[side] for row in rows for side in ("sentence1", "sentence2")]
    return setting(rows, Given(random_vectors(texts, seed=seed)), **options)


def test_equal_to_sentence_transformers():
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator

    rows = records()
    on = made(rows)
    found = STS().run(on)
    evaluator = EmbeddingSimilarityEvaluator(
        [row["sentence1"] for row in rows],
        [row["sentence2"] for row in rows],
        [row["score"] for row in rows],
        main_similarity="cosine",
        write_csv=False,
    )

    class Model:
        similarity_fn_name = "cosine"

        def encode(self, texts, **options):
            return on.embedded.encoder.encode_queries(texts)

    evaluator.embed_inputs = lambda model, texts, **options: model.encode(texts)
    evaluator.store_metrics_in_model_card_data = lambda *everything, **options: None
    theirs = evaluator(Model())
    assert found.value("Spearman") == pytest.approx(theirs["spearman_cosine"], abs=1e-6)
    assert found.value("Pearson") == pytest.approx(theirs["pearson_cosine"], abs=1e-6)
    assert found.unit == "pair"
    assert found.scores[0].n == 60
    assert found.scores[0].low < found.scores[0].value < found.scores[0].high


def test_resamples_are_correlations_of_repeated_pairs():
    generator = np.random.default_rng(1)
    left, right = generator.integers(0, 9, size=30) / 8, generator.integers(0, 5, size=30).astype(float)
    for counts in bootstrap_counts(30, 20, seed=0):
        found = correlations(left, right)(counts)
        for row, measured in zip(counts.astype(int), found, strict=True):
            drawn = np.repeat(left, row), np.repeat(right, row)
            assert measured == pytest.approx([spearmanr(*drawn).statistic, pearsonr(*drawn).statistic])


def test_two_models_are_compared_by_resampling_pairs():
    rows = records()
    change = changes(STS().run(made(rows)), STS().run(made(rows, seed=5)))
    assert [each.measure for each in change] == ["Spearman", "Pearson"]
    assert change[0].low < change[0].value < change[0].high
    assert change[0].p is None


def test_a_collapsed_model_correlates_with_nothing():
    rows = records(10)
    on = setting(
        rows, Given(dict.fromkeys([row[side] for row in rows for side in ("sentence1", "sentence2")], np.ones(4)))
    )
    found = STS().run(on)
    assert [score.value for score in found.scores] == [0, 0]
    assert "All cosines are equal" in found.notes[0]


def test_binary_data_is_refused():
    rows = [row | {"score": float(place % 2)} for place, row in enumerate(records(6))]
    with pytest.raises(DataError, match=r"have no grades but 0 and 1. Use PairClassification"):
        STS().run(made(rows))


def test_broken_vectors_are_refused():
    rows = records(6)
    on = made(rows)
    on.embedded.encoder.vectors["a 3"] = np.full(8, np.nan)
    with pytest.raises(DataError, match="The vectors of 1 of 6 texts hold NaN or infinity, first that of 'a 3'"):
        STS().run(on)


def test_other_data_is_refused():
    on = setting([{"text": f"t {place}", "label": place % 2} for place in range(6)], Given({}))
    with pytest.raises(DataError, match=r"STS needs pairs with grades, .*; records holds texts with one label each"):
        STS().run(on)


def test_each_text_is_embedded_once():
    rows = records(5)
    on = made(rows)
    STS().run(on)
    STS().run(on)
    assert len(on.embedded.encoder.asked) == 10


def test_cut_vectors():
    rows = records()
    whole, cut = STS().run(made(rows)), STS().run(made(rows, width=2))
    vectors = made(rows).embedded.encoder.vectors
    pairs = [(vectors[row["sentence1"]][:2], vectors[row["sentence2"]][:2]) for row in rows]
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]
    grades = [row["score"] for row in rows]
    assert cut.value("Spearman") == pytest.approx(spearmanr(cosines, grades).statistic)
    assert cut.value("Spearman") != whole.value("Spearman")
