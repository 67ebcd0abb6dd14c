import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearfar.auditing.oddities import odd_contents, odd_lengths, odd_scripts, robust_z, script_of
from nearfar.auditing.words import Words

from .test_words import table

PLAIN = [f"a plain sentence about thing {number} and what it does" for number in range(30)]


def test_lengths():
    lengths = [" ".join(["word"] * (8 + number % 5)) + str(number) for number in range(30)]
    odd = list(odd_lengths(table([*lengths, "x", "word " * 900])))
    assert [(row, score) for row, score, *_ in odd] == [(30, 1.0), (31, 4500.0)]
    assert [gap > 0 for _, _, gap, *_ in odd] == [False, True]
    assert not list(odd_lengths(table(["one", "two", "six"])))
    assert not list(odd_lengths(table(["alone"])))


def test_robust_deviations():
    assert robust_z(np.array([1.0, 2.0, 3.0, 4.0, 100.0])).round(3).tolist() == [-1.349, -0.674, 0.0, 0.674, 65.426]
    assert robust_z(np.array([2.0, 2.0, 2.0, 2.0, 7.0])).round(3).tolist() == [0, 0, 0, 0, 3.989]
    assert robust_z(np.zeros(3)).tolist() == [0, 0, 0]
    assert len(robust_z(np.zeros(0))) == 0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(-1e6, 1e6))
def test_moving_all_values_moves_no_distance(values, shift):
    one = robust_z(np.array(values))
    assert one.shape == (len(values),)
    assert np.isfinite(one).all()
    assert robust_z(-np.array(values)).tolist() == (-one).tolist()
    assert abs(np.median(one)) < 1e-9 or shift


def test_scripts():
    odd = list(odd_scripts(table([*PLAIN, "Привет, как дела", "hello мир and more", "カタカナと漢字"])))
    assert [(row, note) for row, *_, note in odd] == [(30, "mostly Cyrillic"), (32, "mostly East Asian")]
    half = [text if place % 2 else "Какие дела сегодня вечером" for place, text in enumerate(PLAIN)]
    assert not list(odd_scripts(table(half)))


def test_the_script_of_a_letter():
    assert [script_of(each) for each in "aжñ漢かΩ1?"] == [
        "LATIN", "CYRILLIC", "LATIN", "EAST ASIAN", "EAST ASIAN", "GREEK", None, None,
    ]  # fmt: skip


def test_contents():
    texts = table(
        [*PLAIN, "<div><p class='a'></p></div>", "------ ??? ------ a", "no no no no no no", "हिन्दी में लिखा", "ab"]
    )
    odd = list(odd_contents(texts, Words.of(texts)))
    assert [(row, note) for row, *_, note in odd] == [
        (30, "mostly markup"),
        (31, "mostly signs"),
        (32, "mostly one word, repeated"),
    ]
