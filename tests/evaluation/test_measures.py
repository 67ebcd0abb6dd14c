import dataclasses

import numpy as np
import pytest

from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.evaluation import measures as module
from nearfar.evaluation.measures import DEFAULT_MEASURES, PerQuery, mean_scores, parse_measures, per_query
from tests.evaluation.tiny import dataset, hits, qrels, rows


def values(scores: PerQuery) -> list[list[float]]:
    return scores.values.round(4).tolist()


def test_fixtures_of_ndcg_and_average_precision():
    data = dataset({0: {0: 1, 1: 2}}, documents=3)
    scores = per_query(hits([[2, 0, 1]]), rows(0), data, "test", ["nDCG@2", "nDCG@3", "nDCG(gains={1:1,2:3})@2"])
    assert values(scores) == [[0.2398, 0.6199, 0.1738]]
    data = dataset({0: {0: 1, 1: 1, 2: 1}}, documents=5)
    scores = per_query(hits([[0, 3, 1, 4]], depth=5), rows(0), data, "test", ["AP@100", "AP@2"])
    assert values(scores) == [[0.5556, 0.3333]]


def test_all_default_measures_of_a_hit_at_place_two():
    data = dataset({0: {4: 1}}, documents=5)
    scores = per_query(hits([[1, 4, 0, 2, 3]]), rows(0), data, "test")
    assert scores.measures == DEFAULT_MEASURES
    assert values(scores) == [[0.6309, 1.0, 0.5, 0.5, 0.0]]


def test_reciprocal_rank_beyond_its_cutoff_is_zero():
    data = dataset({0: {12: 1}}, documents=13)
    scores = per_query(hits([list(range(13))]), rows(0), data, "test", ["RR@10", "RR@13", "RR"])
    assert values(scores) == [[0.0, 0.0769, 0.0769]]


def test_queries_without_hits_or_without_a_ranking_count_zero():
    data = dataset({0: {0: 1}, 1: {0: 1}, 2: {1: 1}, 3: {0: 0}}, documents=3)
    scores = per_query(hits([[0], []], depth=3), rows(0, 2), data, "test", ["nDCG@3", "RR@3"])
    assert scores.query_rows.tolist() == [0, 1, 2]
    assert values(scores) == [[1, 1], [0, 0], [0, 0]]
    assert mean_scores(scores) == {"nDCG@3": pytest.approx(1 / 3), "RR@3": pytest.approx(1 / 3)}


def test_rankings_of_other_queries_are_passed_over_and_order_of_rankings_is_free():
    data = dataset({0: {0: 1}, 2: {1: 1}}, documents=2, queries=4)
    scores = per_query(hits([[1, 0], [0, 1], [0, 1]]), rows(2, 3, 0), data, "test", ["Success@1"])
    assert scores.query_rows.tolist() == [0, 2]
    assert values(scores) == [[1], [1]]


def test_a_place_counts_and_not_the_score():
    data = dataset({0: {3: 1}}, documents=5)
    for ranking, expected in (([3, 4, 0], 1.0), ([0, 3, 4], 0.5), ([4, 0, 3], 1 / 3)):
        scores = per_query(hits([ranking], depth=5), rows(0), data, "test", ["RR@5"])
        assert scores.of("RR@5").tolist() == pytest.approx([expected])


def test_every_document_of_a_relevant_node_is_relevant():
    data = dataset({0: {0: 1}, 1: {1: 1}}, documents=4, nodes=[0, 0, 0, 1])
    scores = per_query(hits([[3, 1, 0, 2], [3, 0, 1, 2]]), rows(0, 1), data, "test", ["R@2", "AP@4"])
    assert values(scores) == [[0.3333, 0.6389], [1, 1]]


def test_measures_do_not_change_one_another():
    data = dataset({0: {0: 1, 1: 2, 2: 3}, 1: {3: 2}}, documents=6)
    ranking = hits([[5, 0, 2, 4, 1, 3], [5, 0, 2, 4, 1, 3]])
    names = [
        "nDCG@3",
        "nDCG(gains={1:5,2:6})@3",
        "nDCG(gains={3:9})@3",
        "AP(rel=2)@6",
        "AP@6",
        "RR(rel=3)",
        "RR",
        "P@3",
    ]
    together = per_query(ranking, rows(0, 1), data, "test", names)
    for place, name in enumerate(names):
        alone = per_query(ranking, rows(0, 1), data, "test", [name])
        assert alone.values[:, 0].tolist() == together.values[:, place].tolist(), name
    assert len(set(together.values[0].tolist())) == len(names)


def test_a_query_with_two_nodes_and_grades():
    data = dataset({0: {0: 1, 1: 2}}, documents=3, nodes=[0, 1, 1])
    scores = per_query(hits([[0, 1, 2]]), rows(0), data, "test", ["nDCG@3"])
    ideal = 2 + 2 / np.log2(3) + 1 / 2
    assert scores.values[0, 0] == pytest.approx((1 + 2 / np.log2(3) + 2 / 2) / ideal, abs=1e-12)


def test_documents_that_are_not_searched_neither_count_nor_take_a_place():
    data = dataset({0: {0: 1, 2: 1}}, documents=4, searched=[True, True, False, True])
    scores = per_query(hits([[2, 1, 0, 3]]), rows(0), data, "test", ["R@3", "RR@3"])
    assert values(scores) == [[1, 0.5]]


def test_a_query_whose_relevant_documents_are_not_searched_counts_zero():
    data = dataset({0: {0: 1}, 1: {1: 1}}, documents=3, searched=[False, True, True])
    scores = per_query(hits([[1, 2], [1, 2]]), rows(0, 1), data, "test", ["nDCG@2", "R@2", "AP@2"])
    assert values(scores) == [[0, 0, 0], [1, 1, 1]]


def test_an_excluded_document_is_neither_hit_nor_relevant():
    data = dataset({0: {0: 1}}, documents=3, nodes=[0, 0, 1])
    left_out = np.array([0])
    scores = per_query(hits([[0, 1, 2]]), rows(0), data, "test", ["R@1", "RR@2"], exclude=left_out)
    assert values(scores) == [[1, 1]]
    assert values(per_query(hits([[0, 1, 2]]), rows(0), data, "test", ["R@1"])) == [[0.5]]


def test_grades_below_positive_from_gain_nothing():
    data = dataset({0: {0: 1, 1: 2, 2: 3}}, documents=3, positive_from=2)
    scores = per_query(hits([[0, 1, 2]]), rows(0), data, "test", ["RR@3", "R@2", "nDCG@3"])
    ndcg = (2 / np.log2(3) + 3 / 2) / (3 + 2 / np.log2(3))
    assert scores.values[0] == pytest.approx([0.5, 0.5, ndcg], abs=1e-12)


@pytest.mark.parametrize(("grades", "positive_from"), [((0.5, 0.9), 0.5), ((1.5, 3), 1), ((0, 2), 0), ((-1, 2), -1)])
def test_grades_that_are_no_whole_numbers_from_one_are_all_gains_of_one(grades, positive_from):
    data = dataset({0: dict(enumerate(grades))}, documents=3, positive_from=positive_from)
    scores = per_query(hits([[0, 2, 1]]), rows(0), data, "test", ["nDCG@3", "R@1"])
    assert scores.values[0] == pytest.approx([1.5 / (1 + 1 / np.log2(3)), 0.5], abs=1e-12)


def test_gains_are_decided_over_all_splits():
    data = dataset({0: {0: 3, 1: 1}}, documents=2)
    both = data.with_qrels({**data.qrels, "dev": qrels({0: {0: 1.5}})})
    ranking = hits([[1, 0]])
    graded = per_query(ranking, rows(0), data, "test", ["nDCG@2"]).values[0, 0]
    binary = per_query(ranking, rows(0), both, "test", ["nDCG@2"]).values[0, 0]
    assert graded == pytest.approx((1 + 3 / np.log2(3)) / (3 + 1 / np.log2(3)))
    assert binary == pytest.approx(1.0)


def test_negative_grades_of_unwanted_documents_gain_nothing():
    data = dataset({0: {0: -2, 1: 1}}, documents=2)
    assert values(per_query(hits([[0, 1]]), rows(0), data, "test", ["nDCG@2", "AP@2"])) == [[0.6309, 0.5]]


def test_a_huge_grade_is_refused():
    data = dataset({0: {0: 2e6}}, documents=2)
    with pytest.raises(DataError, match="must not exceed 1000000"):
        per_query(hits([[0, 1]]), rows(0), data, "test", ["nDCG@2"])


def test_blocks_of_queries_do_not_change_values(monkeypatch):
    generator = np.random.default_rng(3)
    judged = {query: {int(node): 1.0} for query, node in enumerate(generator.integers(0, 5, 40))}
    data = dataset(judged, documents=60, nodes=generator.integers(0, 5, 60).tolist())
    ranking = hits([generator.permutation(60)[:20].tolist() for _ in range(40)])
    measures = ["nDCG@10", "R@20", "AP@20", "RR@5"]
    whole = per_query(ranking, np.arange(40), data, "test", measures)
    monkeypatch.setattr(module, "JUDGEMENTS_AT_ONCE", 25)
    parts = per_query(ranking, np.arange(40), data, "test", measures)
    assert whole.values.min() < whole.values.max()
    np.testing.assert_array_equal(whole.values, parts.values)


def test_labelled_data_of_many_documents_is_quick_and_right():
    nodes = np.arange(6_000) % 20
    data = dataset({query: {query % 20: 1.0} for query in range(1_000)}, documents=6_000, nodes=nodes.tolist())
    ranking = hits([list(range(query % 20, 200, 20)) for query in range(1_000)])
    scores = per_query(ranking, np.arange(1_000), data, "test", ["R@10", "Success@1"])
    assert np.unique(scores.of("R@10")).tolist() == [pytest.approx(10 / 300)]
    assert scores.of("Success@1").min() == 1.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndcg@10", "no measure 'ndcg@10'. Did you mean 'nDCG@10'"),
        ("Recal@100", "Did you mean 'R"),
        ("nDCG@0", "cutoff of 'nDCG@0' must be at least 1"),
        ("nDCG@10 x", "cannot be read"),
        ("Success@1.5", "cannot be read"),
        ("R", "cannot be"),
        ("nDCG(dcg='exp-log2')@10", r"gains=\{1:1,2:3,3:7\}"),
        ("RBP(p=0.8)", "cannot be computed"),
    ],
)
def test_unknown_measures_are_refused_with_a_suggestion(name, message):
    with pytest.raises(ConfigError, match=message):
        parse_measures([name])


def test_measures_have_a_text_form_that_reads_back():
    names = [*DEFAULT_MEASURES, "nDCG(gains={2:3})@10", "AP(rel=2)@100", "P@5"]
    assert tuple(str(measure) for measure in parse_measures(names)) == tuple(names)
    assert [str(measure) for measure in parse_measures(["MRR@10", "Recall@5"])] == ["RR@10", "R@5"]


def test_no_measure_and_a_measure_twice_are_refused():
    with pytest.raises(ConfigError, match="at least one measure"):
        parse_measures([])
    with pytest.raises(ConfigError, match="RR@10 is given twice"):
        parse_measures(["MRR@10", "RR@10"])


def test_rankings_that_do_not_fit_are_refused():
    data = dataset({0: {0: 1}}, documents=30)
    with pytest.raises(ConfigError, match=r"no split 'tset'.*Did you mean 'test'"):
        per_query(hits([[0]]), rows(0), data, "tset", ["R@1"])
    with pytest.raises(ConfigError, match=r"R@20 looks at 20 places, the rankings have 2. Search with k=20"):
        per_query(hits([[0, 1]]), rows(0), data, "test", ["R@20"])
    with pytest.raises(ShapeError, match=r"query_rows must have one entry for each of the 1 rankings, it has 2"):
        per_query(hits([[0, 1]]), rows(0, 1), data, "test", ["R@2"])
    with pytest.raises(ShapeError, match="exclude must have one entry"):
        per_query(hits([[0, 1]]), rows(0), data, "test", ["R@2"], exclude=np.array([1, 2]))
    with pytest.raises(DataError, match="Query rows 0 have more than one ranking"):
        per_query(hits([[0], [1]]), rows(0, 0), data, "test", ["R@1"])
    with pytest.raises(DataError, match="Rankings of query rows 0 hold a document twice"):
        per_query(hits([[3, 3]]), rows(0), data, "test", ["R@1"])
    with pytest.raises(DataError, match="document row 30, 'tiny' has 30 documents"):
        per_query(hits([[30]]), rows(0), data, "test", ["R@1"])


def test_a_corpus_smaller_than_the_cutoff_is_fine():
    data = dataset({0: {0: 1}}, documents=3)
    assert values(per_query(hits([[1, 2, 0]]), rows(0), data, "test", ["R@100"])) == [[1]]


def test_values_are_found_by_name_and_shapes_are_checked():
    scores = PerQuery(query_rows=rows(1, 2), measures=("R@1", "RR"), values=np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert scores.of("RR").tolist() == [2.0, 4.0]
    with pytest.raises(ConfigError, match="'R@2' was not computed"):
        scores.of("R@2")
    with pytest.raises(ShapeError, match="2 queries and 1 measures"):
        dataclasses.replace(scores, measures=("R@1",))
    with pytest.raises(DataError, match="no query to average over"):
        mean_scores(PerQuery(query_rows=rows(), measures=("RR",), values=np.zeros((0, 1))))


def test_a_split_without_positives_gives_an_empty_table():
    data = dataset({0: {0: 0}}, documents=2)
    assert per_query(hits([[0, 1]]), rows(0), data, "test", ["R@2"]).values.shape == (0, 1)
