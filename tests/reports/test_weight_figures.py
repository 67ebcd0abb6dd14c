import json

import numpy as np
import pytest
import torch

from nearfar.objectives.explain import GRID, Curve, PairWeights
from nearfar.reports.weight_figures import (
    COLOURS,
    curves_figure,
    hardness_figure,
    hardness_shares,
    largest,
    look,
    origin_shares,
    origins_figure,
    pairs_figure,
    silent,
)
from nearfar.types import Origin


def curve(name="One", scale=1.0, first=0.0):
    line = tuple(scale * (1 + at) for at in GRID)
    return Curve(name=name, similarity=GRID, positive=(None, *line[1:]), negative=(first, *line[1:]), kind="score")


def pairs(count=200, seed=0):
    generator = np.random.default_rng(seed)
    similarity = generator.uniform(-0.2, 0.9, count)
    positive = np.arange(count) % 10 == 0
    origin = np.where(np.arange(count) % 4 == 1, int(Origin.HARD), int(Origin.IN_BATCH))
    return PairWeights(
        similarity=torch.from_numpy(similarity),
        weight=torch.from_numpy(np.where(positive, 1 - similarity, np.exp(5 * similarity))),
        positive=torch.from_numpy(positive),
        origin=torch.from_numpy(origin),
        kind="score",
    )


def test_curves_are_drawn_as_they_are_and_relative():
    two = [curve(), curve("Two", 50.0)]
    plain, relative = (curves_figure(two, "positive", each) for each in (False, True))
    assert plain.name == "positive-absolute"
    assert relative.name == "positive-relative"
    assert plain.data[1]["y"][0] is None
    assert plain.data[1]["y"][-1] == 100
    assert [max(value for value in trace["y"] if value is not None) for trace in relative.data] == [100, 100]
    assert plain.data[0]["line"]["width"] > plain.data[1]["line"]["width"]
    assert "Two: 25.035 at −0.5" in plain.description  # noqa: RUF001
    assert "NaN" not in json.dumps([plain.data, relative.data])


def test_a_curve_without_weight_stays_at_nothing():
    flat = Curve(name="Flat", similarity=GRID, positive=(0.0,) * 41, negative=(1e-17,) * 41, kind="path")
    assert silent(flat.positive)
    assert silent(flat.negative)
    assert not silent(curve().negative)
    assert largest(flat) < 1e-9
    for side in ("positive", "negative"):
        assert set(curves_figure([flat], side, True).data[0]["y"]) == {0.0}


def test_looks_differ():
    looks = [look(place) for place in range(3 * COLOURS)]
    assert len(set(looks)) == len(looks)


def test_shares_by_hardness_and_origin():
    found, (similarity, weight, positive) = (
        pairs(),
        (getattr(pairs(), name) for name in ("similarity", "weight", "positive")),
    )
    shares = hardness_shares(found)
    assert len(shares) == 10
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares)
    hardest = weight[~positive][similarity[~positive].argsort()][-18:].sum() / weight[~positive].sum()
    assert shares[-1] == pytest.approx(float(hardest))
    by_origin = origin_shares(found)
    assert list(by_origin) == ["positives", "negatives of the batch", "hard negatives"]
    assert sum(by_origin.values()) == pytest.approx(1)
    assert by_origin["positives"] == pytest.approx(float(weight[positive].sum() / weight.sum()))


def test_bins_hold_means():
    found = pairs()
    figure = pairs_figure("0", 0, found)
    means, shares = figure.data[0], figure.data[1]
    assert means["name"] == "positives"
    counted = [value for value in means["y"] if value is not None]
    assert 0 < len(counted) <= 20
    for at, value in zip(means["x"], means["y"], strict=True):
        if value is not None:
            assert value == pytest.approx(1 - at, abs=0.03)
    assert sum(shares["y"]) == pytest.approx(100, abs=0.1)
    assert "20 positives" in figure.description
    assert "180 negatives" in figure.description


def test_a_batch_without_pairs_is_drawn_empty():
    nothing = torch.zeros(0)
    empty = PairWeights(
        similarity=nothing, weight=nothing, positive=nothing.bool(), origin=nothing.long(), kind="score"
    )
    for figure in (pairs_figure, hardness_figure, origins_figure):
        assert "nan" not in json.dumps([figure("0", 0, empty).data, figure("0", 0, empty).description]).lower()
