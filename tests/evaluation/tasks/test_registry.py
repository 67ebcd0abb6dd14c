import pytest

from nearfar.config.component import parse_component
from nearfar.data.load import from_records
from nearfar.errors import ConfigError
from nearfar.evaluation.tasks.knn import KNN
from nearfar.evaluation.tasks.registry import DEFAULTS, TASKS, Kind, kind_of, parse_task, tasks_named
from tests.evaluation.tiny import dataset

LABELS = [{"text": f"t {i}", "label": i % 2} for i in range(4)]
KINDS = {
    Kind.GRADED: [{"sentence1": f"a {i}", "sentence2": f"b {i}", "score": i / 2} for i in range(4)],
    Kind.BINARY: [{"sentence1": f"a {i}", "sentence2": f"b {i}", "label": i % 2} for i in range(4)],
    Kind.TRIPLETS: [{"anchor": f"a {i}", "positive": f"b {i}", "negative": f"c {i}"} for i in range(4)],
    Kind.CANDIDATES: [{"query": f"a {i}", "positives": [f"b {i}"], "negatives": ["c", "d"]} for i in range(4)],
    Kind.LABELLED: LABELS,
    Kind.MULTI_LABEL: [{"text": f"t {i}", "labels": [str(i % 2), "all"]} for i in range(4)],
    Kind.SEARCHED: [{"query": f"a {i}", "positive": f"b {i}"} for i in range(4)],
}


@pytest.mark.parametrize("kind", Kind)
def test_the_kind_of_data(kind):
    found = from_records(KINDS[kind])
    assert kind_of(found, "all") is kind
    for task in DEFAULTS[kind]:
        assert found.facts.layout in task.layouts


def test_queries_without_negatives_make_it_a_search():
    rows = [*KINDS[Kind.TRIPLETS], {"anchor": "x", "positive": "y", "negative": None}]
    assert kind_of(from_records(rows), "all") is Kind.SEARCHED
    assert kind_of(dataset({0: {0: 1, 1: 0}}, 2), "test") is Kind.SEARCHED


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_text_form(name):
    task = TASKS[name]()
    assert parse_task(str(task)) == task == parse_task(name)
    assert parse_component(str(task), TASKS, "task") == task
    assert task.layouts
    assert task.needs


def test_tasks_by_name():
    assert tasks_named(["KNN(neighbours=[1, 3])", KNN()]) == (KNN(neighbours=(1, 3)), KNN())
    assert tasks_named(["Retrieval"]) == ()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Knnn"], "There is no task 'Knnn'. Did you mean 'KNN'.* Tasks: STS, PairClassification, .*, Retrieval"),
        (["KNN(neighbors=[1])"], "KNN has no field 'neighbors'. Did you mean 'neighbours'"),
        (["KNN", "KNN()"], "is named twice"),
        (["Retrieval", "KNN"], "Retrieval is measured alone"),
    ],
)
def test_names_that_are_wrong(names, message):
    with pytest.raises(ConfigError, match=message):
        tasks_named(names)
