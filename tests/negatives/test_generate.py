"""Texts by a language model: what is asked, what is read, and what is refused."""

import re

import pytest

from nearfar.errors import ConfigError
from nearfar.negatives.answers import Answers
from nearfar.negatives.asking import Asker
from nearfar.negatives.endpoint import Endpoint, Reply
from nearfar.negatives.generate import Writer, Writing, overlap, read_query, read_text
from nearfar.negatives.written import pairs_to_write_for
from tests.endpoint_server import EndpointServer, Say
from tests.negatives.materials import DOCUMENTS, QUERIES, TRAIN, material


@pytest.fixture
def writer(tmp_path):
    def write(server, options=Writing(), **templates):  # noqa: B008  # frozen
        endpoint = Endpoint(url=server.url, model="writer")
        asker = Asker(endpoint, Answers(tmp_path / "answers.jsonl"), attempts=2, pause=lambda seconds: None)
        return Writer(asker, options, **templates)

    return write


def test_a_negative_is_written_from_query_and_positive(writer):
    def answer(prompt, times):
        query, document = re.search(r"Query: (.*)\n\nText: (.*)\n", prompt).groups()
        assert f"about {len(document.split())} words" in prompt
        return f'"Nobody knows, {query}, he said at length."\n'

    with EndpointServer(answer) as server:
        written = writer(server, Writing(per_query=2)).negatives(material())
        assert written.query.tolist() == [0, 0, 1, 2]
        assert sorted(written.parent.tolist()) == [0, 1, 2, 3]
        assert written.texts == tuple(f"Nobody knows, {QUERIES[row]}, he said at length." for row in written.query)
        assert written.refused == {}
        writer(server, Writing(per_query=2)).negatives(material())
        assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("the LYNX is  one of 17 cats and reaches 80 kilometres an hour.", "same as a positive"),
        ("The lynx, says Miller, was not slower in 1990.", "same as a positive"),  # the query's other one
        ("how fast is a  lynx", "same as the query"),
        ("A lynx.", "too short"),
        ("A lynx " * 40, "too long"),
        ("Some say the lynx is one of 17 cats and reaches an old age.", "too much of a positive"),
        (Say(text="A lynx is an animal that lives in the", cut=True), "not written"),
        ("", "not written"),
    ],
)
def test_what_is_no_negative_is_refused_with_a_reason(writer, text, reason):
    train = [*TRAIN, (1, 0, 1)]

    def answer(prompt, times):
        return text if QUERIES[0] in prompt else "Something else of a length that is about right."

    with EndpointServer(answer) as server:
        it = material(DOCUMENTS, sorted(train), seed=next(seed for seed in range(99) if drawn_first(seed)))
        written = writer(server).negatives(it)
    assert written.refused == {reason: 1}
    assert written.query.tolist() == [1, 2]


def drawn_first(seed):
    return pairs_to_write_for(material(DOCUMENTS, sorted([*TRAIN, (1, 0, 1)]), seed), 1)[1][0] == 0


def test_queries_are_written_for_documents(writer):
    def answer(prompt, times):
        document = re.search(r"Text: (.*)\n", prompt)[1]
        return {DOCUMENTS[1]: DOCUMENTS[1].upper(), DOCUMENTS[2]: "two\nlines"}.get(document, f"about {document[:9]}?")

    with EndpointServer(answer) as server:
        queries = writer(server).queries(DOCUMENTS[:4])
    assert queries == ["about The lynx ?", None, None, "about parse_tre?"]


def test_the_fingerprint_of_a_writer_follows_what_it_writes(writer):
    with EndpointServer(lambda prompt, times: "x") as server:
        writers = [writer(server), writer(server, Writing(overlap=0.1)), writer(server, negative="{query} {document}")]
        writers.append(writer(server, query="{document}"))
        assert len({each.fingerprint for each in writers}) == 4
        assert writer(server).fingerprint == writers[0].fingerprint


@pytest.mark.parametrize("text", ["", "   ", '""', "half \ud800 a letter"])
def test_nothing_is_no_text(text):
    assert read_text(Reply(text=text)) is None


def test_a_query_has_one_line():
    assert read_query(Reply(text=" what now? \n")) == "what now?"
    assert read_query(Reply(text="one\ntwo")) is None
    assert read_query(Reply(text="word " * 65)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b c d", 1.0),
        ("A  B c x y", 1 / 3),
        ("a b x d", 0.0),
        ("b c", 1.0),
        ("c b", 0.0),
        ("", 0.0),
    ],
)
def test_the_share_of_ngrams_that_are_copied(text, expected):
    assert overlap(text, "a b c d", 3) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"per_query": 0}, "per_query must be a whole number from 1, got 0"),
        ({"overlap": 1.5}, "overlap must be between 0 and 1"),
        ({"ngram": 0}, "ngram"),
        ({"shortest": 2.0, "longest": 1.0}, "longest must be above shortest"),
    ],
)
def test_settings_of_writing_are_checked(values, message):
    with pytest.raises(ConfigError, match=message):
        Writing(**values)
