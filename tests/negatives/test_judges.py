"""Judges: what an answer is read as, what is shown, and who is asked about what."""

import math
import re

import numpy as np
import pytest

from nearfar.errors import ConfigError
from nearfar.negatives.answers import Answers
from nearfar.negatives.asking import Asker
from nearfar.negatives.endpoint import Endpoint, Reply
from nearfar.negatives.judges import Cascade, Judge, LanguageModelJudge, ListJudge, read_numbers, read_yes
from tests.endpoint_server import EndpointServer, Say

QUERIES = ["red", "red", "blue", "green"]
DOCUMENTS = ["a red car", "a {query} car", "a blue car", "a blue car"]


@pytest.fixture
def asker(tmp_path):
    def make(server, *, model="judge", **options):
        endpoint = Endpoint(url=server.url, model=model)
        return Asker(endpoint, Answers(tmp_path / "answers.jsonl"), pause=lambda seconds: None, **options)

    return make


@pytest.mark.parametrize(
    ("text", "chances", "expected"),
    [
        ("yes", {}, 1.0),
        ("No.", {}, 0.0),
        (" no\nThe text", {}, 0.0),
        ("Yes , it does", {}, 1.0),
        ('**"Yes"**, it does', {}, 1.0),
        ("yes", {"yes": 0.6, "no": 0.2, "maybe": 0.2}, 0.75),
        ("Yes", {"Yes": 0.5, " yes": 0.1, "No": 0.2, "no.": 0.2}, 0.6),
        ("no", {"yes": 0.3, "no": 0.1}, 0.75),  # the word was drawn, the probabilities count
        ("yes", {"yes": 0.9, "perhaps": 0.1}, 1.0),
        ("yes", {"maybe": 0.9}, 1.0),
    ],
)
def test_the_probability_of_yes(text, chances, expected):
    reply = Reply(text=text, first={token: math.log(chance) for token, chance in chances.items()})
    assert read_yes(reply) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "maybe", "yesterday", "nothing", "I think yes", "no idea", "Yes and no", "1"])
def test_neither_yes_nor_no_is_no_answer(text):
    assert read_yes(Reply(text=text, first={"yes": -0.1})) is None


@pytest.mark.parametrize("lie", [math.inf, math.nan, 800.0])
def test_what_is_no_probability_does_not_count(lie):
    assert read_yes(Reply(text="no", first={"yes": lie})) == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", [2.0]),
        ("3, 1", [1.0, 3.0]),
        ("[1], [2] and [3].", [1.0, 2.0, 3.0]),
        ("1 1", [1.0]),
        ("None.", []),
        ("", None),
        ("4", None),
        ("0", None),
        ("1 of 3", None),
        ("none of 1", None),
        ("-1", None),
    ],
)
def test_numbers_of_texts(text, expected):
    assert read_numbers(Reply(text=text), among=3) == expected
    assert read_numbers(Reply(text=text, cut=True), among=3) is None


def about(prompt):
    """Query and text of a question about one pair."""
    return re.search(r"Query: (.*)\n\nText: (.*)\n", prompt).groups()


def test_a_language_model_scores_pairs(asker):
    def answer(prompt, times):
        query, document = about(prompt)
        if query == "green":
            return "no idea"
        return Say(text="yes", chances={"yes": 0.8, "no": 0.2}) if query in document else "no"

    with EndpointServer(answer) as server:
        judge = LanguageModelJudge(asker(server, attempts=2))
        scores = judge.scores(QUERIES, DOCUMENTS)
        assert isinstance(judge, Judge)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, [0.8, 0.0, 0.8, math.nan], rtol=1e-6)
        assert ("red", "a {query} car") in map(about, server.prompts)
        assert len(server.asked) == 5
        assert all(request["logprobs"] for request in server.asked)
        LanguageModelJudge(asker(server)).scores(QUERIES[::-1], DOCUMENTS[::-1])
        assert len(server.asked) == 5
        LanguageModelJudge(asker(server), logprobs=False).scores(QUERIES[:1], DOCUMENTS[:1])
        assert "logprobs" not in server.asked[5]
        assert judge.scores([], []).shape == (0,)


def test_fingerprints_follow_what_decides_the_scores(asker):
    with EndpointServer(lambda prompt, times: "yes") as server, EndpointServer(lambda prompt, times: "yes") as other:
        judges = [
            LanguageModelJudge(asker(server)),
            LanguageModelJudge(asker(server, model="other")),
            LanguageModelJudge(asker(server), logprobs=False),
            LanguageModelJudge(asker(server), template="{query}: {document}?"),
            ListJudge(asker(server)),
            ListJudge(asker(server), together=3),
            ListJudge(asker(server), seed=1),
        ]
        cascades = [Cascade(judges[0], judges[1]), Cascade(judges[1], judges[0]), Cascade(judges[0], judges[1], 0.3)]
        assert len({judge.fingerprint for judge in judges + cascades}) == 10
        assert LanguageModelJudge(asker(other)).fingerprint == judges[0].fingerprint


def numbered(prompt):
    """Query and texts of a question about several, in their order."""
    query = re.search(r"Query: (.*)\n", prompt)[1]
    found = re.findall(r"^\[(\d+)\] (.*)$", prompt, re.MULTILINE)
    assert [int(number) for number, _ in found] == list(range(1, len(found) + 1))
    return query, [text for _, text in found]


def test_a_list_judge_asks_about_several_documents(asker):
    documents = [f"text {number}" for number in range(7)]

    def answer(prompt, times):
        query, texts = numbered(prompt)
        if query == "nobody":
            return "999"
        return ", ".join(str(place) for place, text in enumerate(texts, 1) if text in ("text 2", "text 5")) or "none"

    with EndpointServer(answer) as server:
        judge = ListJudge(asker(server, attempts=1), together=3)
        assert isinstance(judge, Judge)
        scores = judge.scores(["who"] * 8 + ["nobody"], [*documents, "text 5", "text 2"])
        np.testing.assert_array_equal(scores, [0, 0, 1, 0, 0, 1, 0, 1, math.nan])
        shown = [texts for query, texts in map(numbered, server.prompts) if query == "who"]
        assert sorted(map(len, shown)) == [2, 2, 3]
        assert sorted(text for texts in shown for text in texts) == documents

        count = len(server.asked)
        np.testing.assert_array_equal(judge.scores(["who"] * 7, documents[::-1]), [0, 1, 0, 0, 1, 0, 0])
        assert len(server.asked) == count  # the order shown does not follow from the order given


def test_the_order_shown_follows_from_the_seed_and_differs_between_queries(asker):
    documents = [f"text {number}" for number in range(8)]

    def shown(seed):
        with EndpointServer(lambda prompt, times: "none") as server:
            judge = ListJudge(asker(server), seed=seed)
            for query in ("who", "what"):
                judge.scores([query] * 8, documents)
        return {query: texts for query, texts in map(numbered, server.prompts)}

    first, second = shown(1), shown(2)
    assert first["who"] != first["what"]
    assert first["who"] != second["who"]
    assert sorted(first["who"]) == documents


def test_a_list_needs_a_document(asker):
    with EndpointServer(lambda prompt, times: "none") as server, pytest.raises(ConfigError, match="together=0"):
        ListJudge(asker(server), together=0)


class Table:
    """A judge by a table, which remembers what it was asked."""

    fingerprint = "table"

    def __init__(self, values):
        self.values, self.asked = values, []

    def scores(self, queries, documents, sink=None):
        self.asked += zip(queries, documents, strict=True)
        return np.array([self.values[document] for document in documents], dtype=np.float32)


def test_a_cascade_asks_the_second_judge_only_about_what_the_first_flags():
    first = Table({"a": 0.9, "b": 0.4, "c": 0.5, "d": math.nan, "e": 0.7})
    second = Table({"a": 0.2, "c": 0.8, "e": math.nan})
    scores = Cascade(first, second).scores(list("qqqrr"), list("abcde"))
    np.testing.assert_allclose(scores, np.float32([0.2, 0.4, 0.8, math.nan, math.nan]))
    assert second.asked == [("q", "a"), ("q", "c"), ("r", "e")]
    assert first.asked == list(zip("qqqrr", "abcde", strict=True))
    none = Table({})
    assert Cascade(Table({"a": 0.1}), none).scores(["q"], ["a"]) == np.float32(0.1)
    assert none.asked == []
