"""Tiles are seen as the whole is, and come out the same whether or not somebody looks on."""

import pytest
import torch

from nearfar.engine.ranks import Ranks
from nearfar.engine.telemetry import Observation
from nearfar.engine.tile import evaluate
from tests.conformance.inputs import DIM, ENTRIES, USUAL, companions, vectors


@pytest.mark.parametrize("name", ENTRIES)
def test_tiles_are_seen_as_the_whole_is(name):
    results = []
    for scores, watched in ((10**6, True), (12, True), (12, False)):
        objective = ENTRIES[name]().prepare(DIM, 8)
        observation = Observation(objective) if watched else None
        inputs = vectors(USUAL.shape, dtype=torch.float64)
        objective.double()
        beside = companions(objective, USUAL, dtype=torch.float64)
        outcome = evaluate(objective, *inputs, USUAL, scores, Ranks(), observation, **beside)
        if observation is not None:
            observation.see(outcome)
        outcome.loss.backward()
        slopes = [each.grad for each in (*inputs, *objective.parameters())]
        state = {key: value.clone() for key, value in objective.state_dict().items()}
        results.append((observation.values() if observation else None, outcome.losses.detach(), slopes, state))
    (whole, *_), (tiled, *seen), (_, *unseen) = results
    torch.testing.assert_close(seen, unseen, rtol=0, atol=0)
    if name == "CWCL":  # its first term needs all rows, so that the first comparison in tiles is its second term
        whole.pop("effective_negatives"), tiled.pop("effective_negatives")
    assert tiled == pytest.approx(whole, rel=1e-6, abs=1e-9)
