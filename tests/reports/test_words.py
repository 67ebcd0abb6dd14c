import pytest

from nearfar.reports.contents import Comparison, Scores
from nearfar.reports.page import cut_table
from nearfar.reports.words import decimal, difference, duration, headline, p_value, signed, systems_in_order, widths


def comparison(low: float, high: float, measure: str = "Success@1", control: str = "base") -> Comparison:
    return Comparison(
        treatment="tuned", control=control, measure=measure, mean=(low + high) / 2, low=low, high=high, p=0.02
    )


def scores(tuned: float, base: float, *comparisons: Comparison, queries: int = 1200) -> Scores:
    return Scores(
        queries=queries,
        systems={"tuned": {"Success@1": tuned}, "base": {"Success@1": base}},
        comparisons=comparisons,
    )


def test_a_distinguishable_gain_is_claimed():
    said = headline(scores(0.612, 0.551, comparison(0.04, 0.08)))
    assert said.text == "Tuned finds the right document first for 61 of 100 queries, base for 55."
    assert said.verdict == "better"


def test_an_interval_with_zero_is_no_gain():
    said = headline(scores(0.56, 0.55, comparison(-0.01, 0.03)))
    assert said.text == "Tuned finds the right document first for 56 of 100 queries, base for 55: too close to call."
    assert said.verdict == "undecided"


def test_a_bound_at_zero_is_no_gain():
    assert headline(scores(0.56, 0.55, comparison(0.0, 0.03))).verdict == "undecided"


def test_a_loss_is_said():
    said = headline(scores(0.40, 0.51, comparison(-0.13, -0.09)))
    assert said.text.endswith("for 40 of 100 queries, base for 51: training made it worse.")


def test_a_small_but_certain_gain_is_counted_in_thousands():
    said = headline(scores(0.5540, 0.5510, comparison(0.001, 0.005), queries=50_000))
    assert "for 554 of 1,000 queries, base for 551." in said.text


def test_fewer_than_a_hundred_queries_are_counted_as_they_are():
    assert "for 12 of 40 queries, base for 10" in headline(scores(0.3, 0.25, queries=40)).text


def test_without_a_comparison_nothing_is_claimed():
    said = headline(scores(0.6, 0.5))
    assert said.verdict == "unknown"
    assert said.text.endswith("base for 50.")


def test_without_success_the_primary_measure_speaks():
    given = Scores(queries=10, systems={"tuned": {"RR@10": 0.5}, "base": {"RR@10": 0.25}})
    assert headline(given).text == "Tuned scores 0.500 RR@10, base 0.250."


def test_without_tuned_scores_it_says_so():
    assert headline(Scores(queries=10, systems={})).text == "The tuned model was not evaluated."


def test_the_lede_gives_the_primary_measure_and_bm25():
    given = Scores(
        queries=1200,
        documents=18432,
        systems={name: {"nDCG@10": value} for name, value in (("bm25", 0.70), ("base", 0.5), ("tuned", 0.6))},
        comparisons=(comparison(0.08, 0.12, "nDCG@10"), comparison(-0.12, -0.08, "nDCG@10", "bm25")),
    )
    assert headline(given).lede == (
        "Over 1,200 test queries and 18,432 documents, nDCG@10 rises from 0.500 to 0.600: "
        "+0.100 (95 % interval +0.080 to +0.120, p = 0.020).",
        "BM25, which compares words and learns nothing, reaches 0.700 and is ahead of the tuned model.",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0594, "+0.059"), (-0.0121, "−0.012"), (-0.0001, "0.000"), (0.0, "0.000"), (float("nan"), "–")],  # noqa: RUF001
)
def test_signed(value, text):
    assert signed(value) == text


def test_numbers():
    assert decimal(0.51249) == "0.512"
    assert decimal(None) == "–"  # noqa: RUF001
    assert p_value(0.00099) == "p < 0.001"
    assert p_value(0.021) == "p = 0.021"
    assert p_value(None) == ""
    assert difference(comparison(0.01, 0.03), 0.9) == "+0.020 (90 % interval +0.010 to +0.030, p = 0.020)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.24, "3.2 s"), (38.2, "38 s"), (59.7, "1 min 00 s"), (412.6, "6 min 53 s"), (7500, "2 h 05 min")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_systems_with_cut_vectors_stand_apart():
    names = ("bm25", "base", "tuned", "base@16", "tuned@16", "tuned@8", "me@home")
    given = Scores(queries=10, systems={name: {"RR@10": 0.5} for name in names})
    assert systems_in_order(given) == ("bm25", "base", "tuned", "me@home")
    assert widths(given) == (16, 8)
    rows = cut_table(given)
    assert [width for width, *_ in rows] == [16, 8]
    assert rows[1][1:] == ([decimal(None), "0.500"], [None, None])
