import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from nearfar.auditing.words import Words
from nearfar.data.identity import text_keys
from nearfar.data.tables import Texts


def table(texts):
    return Texts(
        ids=pa.array([f"t{row}" for row in range(len(texts))], pa.large_string()),
        texts=pa.array(texts, pa.large_string()),
        keys=text_keys(texts),
    )


def read(*texts):
    return Words.of(table(list(texts)))


def test_case_and_signs_make_no_other_word():
    words = read("A cat, a DOG!", "dog", "...")
    assert words.counts.tolist() == [4, 1, 0]
    assert words.keys[0] == words.keys[2]
    assert words.keys[3] == words.keys[4]
    assert words.text_of.tolist() == [0, 0, 0, 0, 1]


def test_the_number_of_a_word_does_not_depend_on_the_others():
    assert read("x y", "cat").keys[2] == read("cat").keys[0]


def test_sequences_stay_within_a_text():
    words = read("a b c", "b c", "c")
    numbers, places = words.sequences(2)
    assert places.tolist() == [0, 1, 3]
    assert numbers[1] == numbers[2] != numbers[0]
    assert len(words.sequences(4)[0]) == 0


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), min_size=1, max_size=6), st.data())
def test_taking_and_joining(texts, data):
    words = Words.joined([read(" ".join(text)) for text in texts])
    chosen = data.draw(st.lists(st.integers(0, len(texts) - 1)))
    taken = words.take(np.array(chosen, dtype=np.int64))
    assert taken.counts.tolist() == [len(texts[row]) for row in chosen]
    expected = [read(" ".join(texts[row])).keys for row in chosen]
    assert taken.keys.tolist() == [key for keys in expected for key in keys.tolist()]
