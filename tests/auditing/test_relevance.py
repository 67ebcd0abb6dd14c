import numpy as np
import pytest

import nearfar
from nearfar.auditing.audit import audit
from nearfar.config.auditing import AuditOptions

from .material import dataset, found, rows


def test_a_judged_negative_that_the_query_spells_out():
    planted = rows()
    planted[20]["negative"] = planted[20]["query"] + " indeed so"
    report = audit(dataset(planted))
    suspects = report.of("false_negative")
    assert [(each.query.id, each.document.text) for each in suspects] == [("q020", planted[20]["negative"])]
    assert suspects[0].note == "judged not relevant, rank 1; the best relevant one has rank 2"
    assert suspects[0].gap > 0
    assert 0 < suspects[0].sure <= 1


def test_an_unjudged_document_needs_a_lead():
    planted = rows()
    planted[3]["positive"] = planted[20]["query"] + " " + planted[3]["positive"]
    expected = ("false_negative", "test", "q020", "d003", "d020")
    assert expected in found(planted, "false_negative")
    assert expected not in found(planted, "false_negative", options=AuditOptions(lead=5.0))


def test_a_near_duplicate_of_a_positive_is_suspected_whatever_its_rank():
    planted = rows()
    planted[3]["positive"] = "more " + planted[20]["positive"]
    both = found(planted, "false_negative", options=AuditOptions(lead=10.0))
    assert both == {
        ("false_negative", "test", "q020", "d003", "d020"),
        ("false_negative", "train", "q003", "d020", "d003"),
    }


def test_two_signs_are_surer_than_one():
    planted = rows()
    planted[20]["negative"] = planted[20]["query"]
    planted[21]["negative"] = planted[21]["positive"] + " " + planted[21]["query"].split()[1]
    surest = audit(dataset(planted)).of("false_negative")[0]
    assert surest.query.id == "q021"
    assert surest.note.startswith("judged not relevant, rank 1; the best relevant one has rank 2; nearly the same text")


def test_two_near_duplicates_that_are_both_judged_relevant_are_none():
    planted = rows()
    planted.append(planted[20] | {"document_id": "d999", "positive": "more " + planted[20]["positive"]})
    assert not found(planted, "false_negative", options=AuditOptions(lead=10.0))


def test_a_positive_without_a_word_of_its_query():
    planted = rows()
    planted[20]["positive"], planted[21]["positive"] = planted[21]["positive"], planted[20]["positive"]
    assert found(planted, "noisy_positive") == {
        ("noisy_positive", "test", "q020", "d020", "d021"),
        ("noisy_positive", "test", "q021", "d021", "d020"),
    }


def test_a_positive_below_the_depth():
    planted = rows()
    for place in range(3):
        planted[place]["positive"] += " " + planted[20]["query"]
    assert not found(planted, "noisy_positive")
    report = audit(dataset(planted), options=AuditOptions(depth=2))
    assert [(each.query.id, each.document.id, each.note) for each in report.of("noisy_positive")] == [
        ("q020", "d020", "not among the first 2")
    ]


class Fixed:
    """Vectors of one direction for each text, by its first word; a text that is asked for backwards stands opposite."""

    similarity = "cosine"

    def __init__(self, backwards=""):
        self.backwards = backwards
        self.known = {}

    def encode_queries(self, texts, sink=None):
        vectors = np.stack([self._vector(" ".join(sorted(text.split())[:1])) for text in texts])
        vectors[[text == self.backwards for text in texts]] *= -1
        return vectors

    def encode_documents(self, texts, sink=None):
        return np.stack([self._vector(self._first(text)) for text in texts])

    def _first(self, text):
        return min(text.split())

    def _vector(self, word):
        generator = np.random.default_rng(list(word.encode()))
        return generator.normal(size=16).astype(np.float32)


def test_a_model_sees_the_positive_that_stands_below_half_of_the_others():
    planted = rows()
    for row in planted:
        row["positive"] = " ".join(sorted([*row["positive"].split(), min(row["query"].split())]))
    report = audit(dataset(planted), encoder=Fixed(planted[20]["query"]), model="fixed")
    assert [(each.query.id, each.document.id) for each in report.of("noisy_positive")] == [("q020", "d020")]
    assert report.of("noisy_positive")[0].note == "rank 24 of 24, below half of the other documents"
    assert report.of("noisy_positive")[0].gap > 1
    assert report.summary["model"] == "fixed"


def test_wrong_labels():
    texts = [{"text": f"card {place} lost in the street", "label": "lost"} for place in range(8)]
    texts += [{"text": f"please raise limit {place} of spending", "label": "limit"} for place in range(8)]
    texts += [{"text": "card 99 lost in the street again", "label": "limit"}]
    report = audit(nearfar.from_records(texts))
    kinds = {finding.kind for finding in report.findings}
    assert kinds <= {"noisy_positive", "near_duplicate"}
    notes = [finding.note for finding in report.of("noisy_positive")]
    assert notes == ["labelled 'limit'; of its 8 nearest texts 8 are 'lost'"]
    assert any("every text of another label" in sentence for sentence in report.summary["left_out"])


@pytest.mark.parametrize(
    "setting", [{"similarity": 0.0}, {"share": -1.0}, {"depth": 0}, {"queries": 0}, {"lead": 99.0}]
)
def test_options_out_of_range(setting):
    with pytest.raises(nearfar.ConfigError, match=next(iter(setting))):
        AuditOptions(**setting)
