"""What the training data knows beyond a step: no text that belongs to a query is ever its negative in a queue."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nearfar.batches.collate import PairCollator
from nearfar.batches.relate import Judgements
from nearfar.objectives import parse
from nearfar.types import KnownPairs, Origin
from tests.batches.test_relate import build, datasets
from tests.data.folders import load_with, write_beir_by_hand
from tests.data.memory import make

OBJECTIVES = (
    "XBM(size=7)",
    "MoCo(size=5, keys=given)",
    "Sum(terms=[XBM(size=5), Transposed(of=XBM(size=6))])",
    "Composition(criterion=Softmax(), candidates=BothSides(), synthesis=[Queue(size=9)])",
)


def brute(dataset, grades, one, other):
    """Whether a query and a document are relevant, by loops over the tables; each given by identity."""
    query_ids, document_ids = (side.tolist() for side in dataset.identities)
    queries = [row for row, name in enumerate(query_ids) if name == one]
    documents = [row for row, name in enumerate(document_ids) if name == other]
    return any(
        grades.get((query, int(dataset.nodes[document])), -1) >= dataset.positive_from
        for query in queries
        for document in documents
    )


@pytest.mark.parametrize("sparse", [0, 16, 10**6])
@given(given_data=datasets(), data=st.data())
def test_pairs_that_belong_together_against_loops(sparse, given_data, data):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nearfar.types._SPARSE", sparse)
        against_loops(given_data, data)


def against_loops(given_data, data):
    *made, grades = given_data
    dataset = build(*made)
    known = Judgements(dataset, "train").known
    every = sorted({int(name) for side in dataset.identities for name in side})
    names = st.lists(st.sampled_from([*every, -1, torch.iinfo(torch.int64).min, len(every) + 5]), max_size=8)
    rows, columns = data.draw(names), data.draw(names)
    found = known.between(torch.tensor(rows, dtype=torch.int64), torch.tensor(columns, dtype=torch.int64))
    assert found.shape == (len(rows), len(columns))
    for i, j in np.ndindex(*found.shape):
        expected = brute(dataset, grades, rows[i], columns[j]) or brute(dataset, grades, columns[j], rows[i])
        assert bool(found[i, j]) == expected


def test_it_is_one_number_a_text_and_one_a_pair_however_many_documents_a_label_has():
    documents = [f"text {number}" for number in range(500)]
    rows = [(query, query % 2, 1) for query in range(100)]
    dataset = build(documents[:100], documents, {"train": rows}, np.arange(500) % 2, 1.0)
    known = Judgements(dataset, "train").known
    assert (len(known.nodes), len(known.starts), len(known.positives)) == (500, 501, 100)
    # From the 100th on, a text is a document alone.
    found = known.between(*(torch.from_numpy(dataset.identities[side][start:]) for side, start in ((0, 96), (1, 100))))
    assert found.tolist() == [[row % 2 == column % 2 for column in range(100, 500)] for row in range(96, 100)]


def test_other_splits_and_judgements_below_the_bar_say_nothing():
    dataset = make(["a", "b"], ["x", "y"], {"train": [(0, 0, 1), (0, 1, 0)], "test": [(1, 1, 1)]})
    known = Judgements(dataset, "train").known
    queries, documents = (torch.from_numpy(side) for side in dataset.identities)
    assert known.between(queries, documents).tolist() == [[True, False], [False, False]]


def test_it_is_asked_for_and_shared():
    dataset = make(["a", "b"], ["x", "y"], {"train": [(0, 0, 1), (1, 1, 1)]})
    assert PairCollator(dataset, "train", 0, 0)([(0, 0)]).relation.known is None
    collate = PairCollator(dataset, "train", 0, 0, beyond=True)
    one, other = (collate([(0, place)]).relation.known for place in range(2))
    assert isinstance(one, KnownPairs)
    assert one is other
    assert one.to("cpu") is one


def test_on_another_device_there_is_one_copy():
    dataset = make(["a"], ["x"], {"train": [(0, 0, 1)]})
    relation = PairCollator(dataset, "train", 0, 0, beyond=True)([(0, 0)]).relation
    moved = relation.to("meta")
    assert moved.known.nodes.device.type == moved.anchor_ids.device.type == "meta"
    assert relation.to("meta").known is moved.known


SPELLINGS = (str, str.upper, str.title, lambda text: f"  {text} ", lambda text: text.replace(" ", "   \t"))
WORDS = ("red ant", "old bee", "big cat", "shy dog", "tall elk", "grey fox", "wise owl")


@st.composite
def spelt(draw):
    """Queries with several answers, every text in any spelling and possibly on both sides."""
    sides = [draw(st.lists(st.sampled_from(WORDS), min_size=2, max_size=7, unique=True)) for _ in range(2)]
    queries, documents = ([draw(st.sampled_from(SPELLINGS))(text) for text in side] for side in sides)
    one = st.tuples(st.integers(0, len(queries) - 1), st.integers(0, len(documents) - 1), st.sampled_from([0, 1, 1, 1]))
    rows = draw(st.lists(one, min_size=3, max_size=14, unique_by=lambda each: each[:2]))
    return queries, documents, rows


@settings(max_examples=30)
@given(texts=spelt(), seed=st.integers(0, 5), objective=st.sampled_from(OBJECTIVES))
def test_no_relevant_text_is_ever_a_negative_in_a_queue(texts, seed, objective):
    queries, documents, rows = texts
    dataset = make(queries, documents, {"train": rows})
    words = {(plain(queries[query]), plain(documents[document])) for query, document, grade in rows if grade}
    assume(any(one != other for one, other in words))
    text_of = {
        int(name): plain(text)
        for side, names in zip((queries, documents), dataset.identities, strict=True)
        for text, name in zip(side, names, strict=True)
    }
    collate = PairCollator(dataset, "train", hard_negatives=1, seed=seed, beyond=True)
    made, generator = parse(objective), np.random.default_rng(seed)
    for step in range(6):
        batch = collate([(step, int(pair)) for pair in generator.integers(0, len(collate), 2)])
        anchors, candidates = (torch.from_numpy(generator.normal(size=(size, 3))) for size in batch.relation.shape)
        for problem in made.outcome(anchors, candidates, batch.relation).problems:
            check(problem, text_of, words)


def plain(text):
    return " ".join(text.lower().split())


def check(problem, text_of, words):
    """No negative from the queue is relevant to its row, or its row to it, or the same text."""
    queued = problem.negative & (problem.origins == Origin.QUEUE)
    for row, column in queued.nonzero().tolist():
        one, other = (text_of[int(ids[place])] for ids, place in ((problem.row_ids, row), (problem.column_ids, column)))
        assert (one, other) not in words
        assert (other, one) not in words
        assert one != other


def test_what_a_step_alone_would_take_for_a_negative():
    """Query 0 has two answers. The second comes when the first is in the queue alone."""
    dataset = make(["q zero", "q one"], ["a", "b", "c"], {"train": [(0, 0, 1), (0, 1, 1), (1, 2, 1)]})
    seen = {}
    for beyond in (False, True):
        collate, objective = PairCollator(dataset, "train", 0, 0, beyond=beyond), parse("XBM(size=4)")
        for pair in (0, 2, 1):  # its first answer, another query, its second answer
            batch = collate([(0, pair)])
            sides = [torch.randn(size, 3) for size in batch.relation.shape]
            problem = objective.outcome(*sides, batch.relation).problems[0]
        seen[beyond] = problem.negative[0, 1:3].tolist()  # the queue: documents a and c
    assert seen == {False: [True, True], True: [False, True]}


@pytest.mark.parametrize("seed", range(4))
def test_answers_that_stand_in_the_corpus_under_other_ids_and_in_other_spellings(tmp_path, seed):
    """Each answer of a query has two copies; the judgements name any one of them, the corpus has all three."""
    draw = np.random.default_rng(seed)
    answers = {(asked, number): f"answer {number} of {asked}" for asked in range(5) for number in range(3)}
    documents, qrels = {}, []
    for (asked, number), text in answers.items():
        names = [f"d{asked}-{number}-{copy}" for copy in range(3)]
        documents |= dict(zip(names, (text, text.upper(), f"  {text.replace(' ', '   ')} "), strict=True))
        qrels.append((f"q{asked}", str(draw.choice(names)), 1))
    order = draw.permutation(len(documents))
    documents = {name: documents[name] for name in np.array(list(documents))[order].tolist()}
    queries = {f"q{asked}": f"question {asked}" for asked in range(5)}
    dataset = load_with(write_beir_by_hand(tmp_path / "beir", documents, queries, train=qrels))
    assert len(dataset.documents) == len(answers)
    collate, objective = PairCollator(dataset, "train", 0, seed, beyond=True), parse("XBM(size=12)")
    text_of = {
        int(name): plain(table.text(row))
        for table, names in zip((dataset.queries, dataset.documents), dataset.identities, strict=True)
        for row, name in enumerate(names)
    }
    words, seen = {(f"question {asked}", text) for (asked, _), text in answers.items()}, 0
    for step in range(8):
        batch = collate([(step, int(pair)) for pair in draw.integers(0, len(collate), 3)])
        sides = (torch.randn(size, 3) for size in batch.relation.shape)
        problem = objective.outcome(*sides, batch.relation).problems[0]
        check(problem, text_of, words)
        seen += int((problem.negative & (problem.origins == Origin.QUEUE)).sum())
    assert seen > 50


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_to_compare(shape):
    dataset = make(["a"], ["x"], {"train": [(0, 0, 1)]})
    known = Judgements(dataset, "train").known
    assert known.between(*(torch.zeros(size, dtype=torch.int64) for size in shape)).shape == shape
