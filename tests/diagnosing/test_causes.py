"""Causes that follow from the curves and scores of a run, on curves made by hand."""

import pytest

from nearfar.config.run import RunConfig
from nearfar.diagnosing.causes import few_negatives, overfitting, rate, temperature
from nearfar.diagnosing.curves import typical
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.reports.contents import Comparison, Curve, Run, Scores, Training
from nearfar.training.folder import RunFolder

STEPS = 40


def curve(*values):
    return Curve(steps=tuple(range(len(values))), values=tuple(map(float, values)))


def falling(start, end):
    return [start + (end - start) * step / (STEPS - 1) for step in range(STEPS)]


def material(folder, *, dev=(0.5, 0.6, 0.7), gain=(0.1, 0.05), **train):
    """A run with these curves; ``gain`` is the mean difference to the base model and the low end of its interval."""
    curves = {name.replace("__", "/"): curve(*values) for name, values in train.items()}
    training = Training(loss=curves.get("loss", curve()), dev={"nDCG@10": curve(*dev)}, train=curves)
    compared = Comparison(
        treatment="tuned", control="base", measure="nDCG@10", mean=gain[0], low=gain[1], high=2 * gain[0]
    )
    scores = Scores(queries=9, systems={}, comparisons=(compared,))
    files = Run(**{**dict.fromkeys(Run.__dataclass_fields__), "training": training, "scores": scores})
    return Material(RunFolder(folder), files, RunConfig(), "no data")


def speaking(cause, run):
    return [sign.name for sign in cause.look(run) if sign.speaks]


def test_parts_of_a_curve():
    assert typical(curve(1, 2, 3, 10), 0.5, 1.0) == 6.5
    assert typical(curve(4), 0.9, 1.0) == 4
    assert typical(curve(*range(100)), 0.0, 0.1) == 4.5


@pytest.mark.parametrize(
    ("effective", "dev", "expected"),
    [
        (60.0, (0.5, 0.6), ["share of the negatives that is effective"]),
        (20.0, (0.5, 0.6), []),
        (1.0, (0.5, 0.6), []),
        (1.0, (0.5, 0.4), ["effective negatives, of a run that never beat its base model on dev"]),
    ],
)
def test_temperature(tmp_path, effective, dev, expected):
    constant = {"negatives": [63.0] * STEPS, "temperature": [0.05] * STEPS}
    run = material(tmp_path, dev=dev, effective_negatives=[effective] * STEPS, **constant)
    assert speaking(temperature, run) == expected


def test_temperature_is_not_judged_by_three_negatives(tmp_path):
    run = material(tmp_path, effective_negatives=[2.9] * 9, negatives=[3] * 9, temperature=[1] * 9)
    with pytest.raises(Unmeasured, match="3 negatives, too few"):
        temperature.look(run)


@pytest.mark.parametrize(
    ("dev", "gain", "named"),
    [((0.3, 0.31), (0.0, -0.01), True), ((0.3, 0.9), (0.0, -0.01), False), ((0.3, 0.4), (0.1, 0.05), False)],
)
def test_steps_that_are_solved_from_the_start(tmp_path, dev, gain, named):
    run = material(tmp_path, dev=dev, gain=gain, accuracy=[0.99] * STEPS, negatives=[7.0] * STEPS)
    assert bool(speaking(few_negatives, run)) == named


@pytest.mark.parametrize(
    ("loss", "dev", "named"),
    [
        (falling(1, 2), (0.5, 0.3), True),
        (falling(1, 2), (0.5, 0.6), False),
        (falling(2, 1), (0.5, 0.3), False),
    ],
)
def test_a_rate_that_throws_the_model_about(tmp_path, loss, dev, named):
    assert bool(speaking(rate, material(tmp_path, dev=dev, loss=loss))) == named


def test_a_loss_that_is_not_finite_says_nothing_of_the_rate(tmp_path):
    with pytest.raises(Unmeasured, match="not finite"):
        rate.look(material(tmp_path, loss=[float("nan")] * STEPS))


@pytest.mark.parametrize(
    ("dev", "gain", "named"),
    [
        ((0.5, 0.55, 0.4), (-0.01, -0.02), True),
        ((0.5, 0.55, 0.4), (0.03, 0.01), False),
        ((0.5, 0.52, 0.51), (-0.01, -0.02), False),
    ],
)
def test_a_dev_score_that_falls_while_the_loss_does(tmp_path, dev, gain, named):
    assert bool(speaking(overfitting, material(tmp_path, dev=dev, gain=gain, loss=falling(2, 0.1)))) == named
