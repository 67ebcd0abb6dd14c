"""The table of answers: what is read back is what was written, whatever happened to the end of the file."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import ResourceError
from nearfar.negatives.answers import Answers, key_of

KEYS = [key_of(number) for number in range(4)]
WRITTEN = [
    (KEYS[0], 0.25, ""),
    (KEYS[1], "täxt\nof two lines", ""),
    (KEYS[2], None, "refused"),
    (KEYS[3], [1.0, 2.0], ""),
]


def held(answers):
    return {key: answers[key] for key in KEYS if key in answers}


def test_what_is_read_is_what_was_put(tmp_path):
    answers = Answers(tmp_path / "new" / "answers.jsonl")
    for answer in WRITTEN:
        answers.put([answer])
    assert held(Answers(answers.path)) == held(answers) == {key: value for key, value, _ in WRITTEN}
    assert len(Answers(answers.path)) == 4
    assert [json.loads(line).get("remark") for line in answers.path.read_text().splitlines()] == [
        None,
        None,
        "refused",
        None,
    ]


def test_a_key_is_of_the_whole_content():
    assert key_of("a", ["b", 1.5], {"x": 1, "y": None}) == key_of("a", ["b", 1.5], {"y": None, "x": 1})
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of(["a", "bc"]), key_of("a", "bc", None)}) == 4


def test_what_is_there_is_not_written_again(tmp_path):
    answers = Answers(tmp_path / "answers.jsonl")
    answers.put(WRITTEN)
    before = answers.path.read_bytes()
    answers.put([(KEYS[0], 0.75, "")])
    assert answers.path.read_bytes() == before
    assert answers[KEYS[0]] == 0.25


@given(data=st.data())
def test_a_file_that_ends_anywhere_loses_its_last_line_and_grows_again(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("answers") / "answers.jsonl"
    Answers(path).put(WRITTEN)
    whole = path.read_bytes()
    end = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:end])

    answers = Answers(path)
    lines = whole[:end].count(b"\n")
    assert held(answers) == {key: value for key, value, _ in WRITTEN[:lines]}
    answers.put(WRITTEN)
    assert path.read_bytes() == whole
    assert held(Answers(path)) == held(answers) == {key: value for key, value, _ in WRITTEN}


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\x00\x00",
        b"[1, 2]",
        b'{"key": "zz", "value": 1.0}',
        b'{"key": "00"}',
        b'{"key": "00", "value": {}}',
        b"\xff",
    ],
)
def test_a_damaged_line_is_as_if_never_written(tmp_path, line):
    path = tmp_path / "answers.jsonl"
    answers = Answers(path)
    answers.put(WRITTEN[:1])
    with path.open("ab") as file:
        file.write(line + b"\n")
    answers = Answers(path)
    assert len(answers) == 1
    answers.put(WRITTEN)
    assert held(Answers(path)) == {key: value for key, value, _ in WRITTEN}


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "taken").write_text("a file")
    answers = Answers(tmp_path / "taken" / "answers.jsonl")
    with pytest.raises(ResourceError, match=r"Cannot write .*taken"):
        answers.put(WRITTEN)
    assert KEYS[0] not in answers
    with pytest.raises(ResourceError, match="directory"):
        Answers(tmp_path)
