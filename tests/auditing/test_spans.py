from hypothesis import given
from hypothesis import strategies as st

from nearfar.auditing.spans import longest_shared

from .test_words import read

letters = st.lists(st.sampled_from("ab"), max_size=10).map(" ".join)


def longest(text, others):
    """The slow way: every run of words of the text, in every other text."""
    listed = text.split()
    runs = {tuple(listed[start:end]) for start in range(len(listed)) for end in range(start + 1, len(listed) + 1)}
    held = {
        tuple(other[start:end])
        for other in (each.split() for each in others)
        for start in range(len(other))
        for end in range(start + 1, len(other) + 1)
    }
    return max((len(run) for run in runs & held), default=0)


@given(st.lists(letters, min_size=1, max_size=4), st.lists(letters, min_size=1, max_size=4), st.integers(1, 4))
def test_the_longest_run_is_that_of_trying_all(texts, others, seed):
    length, source = longest_shared(read(*texts), read(*others), seed)
    expected = [longest(text, others) for text in texts]
    assert length.tolist() == [run if run >= seed else 0 for run in expected]
    for text, run, origin in zip(texts, length.tolist(), source.tolist(), strict=True):
        assert (longest(text, [others[origin]]) == run) if run else origin == -1


def test_a_copy_is_found_and_a_paraphrase_is_not():
    text = "how can one wash a woollen jumper without making it shrink"
    training = read(
        "other words", f"someone asked: {text}, and got an answer", "washing wool so that it keeps its size"
    )
    assert [found.tolist() for found in longest_shared(read(text), training)] == [[11], [1]]
    assert longest_shared(read("wash woollen jumpers so that they do not get any smaller"), training)[0].tolist() == [0]
