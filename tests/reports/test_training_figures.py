"""The curves of training: what is drawn, from which numbers, and what is left out."""

import pytest

from nearfar.reports.contents import Curve
from nearfar.reports.training_figures import dev_figure, inside_figures, loss_figure

STEPS = (10, 20, 30)


def drawn(best_step=None, **values):
    """The figures of some numbers at three steps; ``__`` stands for a slash."""
    train = {name.replace("__", "/"): Curve(steps=STEPS, values=tuple(each)) for name, each in values.items()}
    return {figure.name: figure for figure in inside_figures(train, best_step)}


def test_dev_marks_base_and_the_kept_step():
    figure = dev_figure("nDCG@10", Curve(steps=(0, 10, 20), values=(0.5, 0.7, 0.6)), 10)
    assert [shape["x0"] for shape in figure.layout["shapes"] if shape["xref"] == "x"] == [10]
    assert [shape["y0"] for shape in figure.layout["shapes"] if shape["yref"] == "y"] == [0.5]
    assert [label["text"] for label in figure.layout["annotations"]] == ["kept: step 10", "base 0.500"]


def test_no_loss_no_figure():
    assert loss_figure(Curve(steps=(), values=()), 3) is None


def test_nothing_logged_nothing_drawn():
    assert inside_figures({}, 3) == []
    assert drawn(loss=(3.0, 2.0, 1.0), learning_rate=(0.1, 0.2, 0.3)) == {}


def test_accuracy_is_in_percent_and_its_median_runs():
    figure = drawn(accuracy=(0.5, 0.9, 0.7))["accuracy"]
    logged, median = figure.data
    assert logged["y"] == [50.0, 90.0, 70.0]
    assert median["y"] == [70.0, 70.0, 80.0]
    assert "from 70.0 at step 10 to 80.0 at step 30" in figure.description


def quantiles(kind, middle):
    return {
        f"similarity__{kind}__q{at:02d}": (middle + shift,) * 3
        for at, shift in zip((5, 25, 50, 75, 95), (-0.2, -0.1, 0, 0.1, 0.2), strict=True)
    }


def test_positives_and_negatives_have_two_bands_and_a_median_each():
    figure = drawn(**quantiles("positive", 0.6), **quantiles("negative", 0.1))["bands"]
    assert [trace["name"] for trace in figure.data if trace["showlegend"]] == ["negatives", "positives"]
    assert [trace["y"][0] for trace in figure.data] == pytest.approx(
        [-0.1, 0.3, 0.0, 0.2, 0.1, 0.4, 0.8, 0.5, 0.7, 0.6]
    )
    assert ["fill" in trace for trace in figure.data] == [False, True, False, True, False] * 2
    assert figure.description.startswith("The median of negatives goes from 0.100 to 0.100.")
    assert len(drawn(**quantiles("negative", 0.1))["bands"].data) == 5


def test_shares_of_the_gradient_are_stacked_up_to_a_hundred():
    figure = drawn(
        best_step=20,
        gradient__positive__in_batch=(0.4, 0.4, 0.4),
        gradient__positive__hard=(0.1, 0.1, 0.1),
        gradient__negative__in_batch=(0.3, 0.3, 0.3),
        gradient__negative__hard=(0.2, 0.2, 0.2),
        gradient__negative__queue=(0.0, 0.0, 0.0),
    )["gradient"]
    assert {trace["name"]: trace["y"] for trace in figure.data} == {
        "positives": [50.0] * 3,
        "negatives of the batch": [30.0] * 3,
        "hard negatives": [20.0] * 3,
    }
    assert figure.description.endswith("positives 50 %, negatives of the batch 30 %, hard negatives 20 %.")
    assert [shape["x0"] for shape in figure.layout["shapes"]] == [20]


def test_an_origin_that_comes_later_starts_from_nothing():
    train = {
        "gradient/positive/in_batch": Curve(steps=STEPS, values=(0.5, 0.5, 0.5)),
        "gradient/negative/in_batch": Curve(steps=STEPS, values=(0.5, 0.1, 0.1)),
        "gradient/negative/queue": Curve(steps=STEPS[1:], values=(0.4, 0.4)),
    }
    (figure,) = inside_figures(train, None)
    assert [trace["x"] for trace in figure.data] == [list(STEPS)] * 3
    assert figure.data[2]["name"] == "queue"
    assert sum(trace["y"][0] for trace in figure.data) == pytest.approx(100)


def test_negatives_that_count_stand_below_those_that_there_are():
    figure = drawn(effective_negatives=(10.0, 8.0, 4.0), negatives=(100.0, 100.0, 100.0))["effective"]
    assert [shape["y0"] for shape in figure.layout["shapes"]] == [100]
    assert [label["text"] for label in figure.layout["annotations"]] == ["100 there are"]
    assert figure.layout["annotations"][0]["y"] == 2  # labels of a logarithmic axis stand at the logarithm
    assert figure.layout["yaxis"]["range"][1] > 2
    assert drawn(effective_negatives=(10.0, 8.0, 4.0))["effective"].layout["shapes"] == []


def test_a_temperature_is_drawn_when_it_moves():
    assert drawn(temperature=(0.05, 0.05, 0.05)) == {}
    assert "temperature" in drawn(temperature=(0.05, 0.06, 0.05))


def test_the_age_of_negatives_is_drawn_as_it_is():
    train = {"negatives_age": Curve(steps=(30, 40, 50, 60), values=(0.0, 10.0, 2.0, 12.0))}
    (figure,) = inside_figures(train, 40)
    assert figure.name == "age"
    assert [(trace["x"], trace["y"]) for trace in figure.data] == [([30, 40, 50, 60], [0.0, 10.0, 2.0, 12.0])]
    assert figure.description.endswith("the first mined ones are seen at step 30, the oldest are 12 steps old.")
    assert [shape["x0"] for shape in figure.layout["shapes"]] == [40]
    assert inside_figures({"negatives_age": Curve(steps=(), values=())}, None) == []
