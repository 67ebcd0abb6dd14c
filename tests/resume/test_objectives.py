"""Whatever an objective remembers or trains goes through a checkpoint: after it, every step is the same to the bit."""

import io

import pytest
import torch

from nearfar.objectives import parse
from tests.conformance.inputs import DIM, ENTRIES, USUAL, companions, variants, vectors

REMEMBERING = [name for name, entry in ENTRIES.items() if entry.remembers]


def step(objective, optimiser, number):
    """One step of training. Gives the loss and the gradients of the vectors."""
    sides = vectors(USUAL.shape, number)
    loss = objective(*sides, USUAL, **companions(objective, USUAL, number))
    if optimiser is not None:
        optimiser.zero_grad()
    loss.backward()
    if optimiser is not None:
        optimiser.step()
    return [loss.detach(), *(side.grad for side in sides)]


def optimiser_of(objective):
    trained = list(objective.parameters())
    return torch.optim.Adam(trained, lr=0.05) if trained else None


def stored(objective, optimiser):
    """A checkpoint as bytes, so that nothing is shared with what goes on."""
    file = io.BytesIO()
    torch.save([objective.state_dict(), None if optimiser is None else optimiser.state_dict()], file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("name", REMEMBERING)
def test_step_save_load_step_is_step_step(name):
    for objective in variants(ENTRIES[name]):
        if not objective.remembers:
            continue
        objective.prepare(DIM)
        optimiser = optimiser_of(objective)
        for number in range(2):
            step(objective, optimiser, number)
        again = parse(str(objective))
        states = stored(objective, optimiser)
        again.load_state_dict(states[0])
        if (same := optimiser_of(again)) is not None:
            same.load_state_dict(states[1])
        for number in range(2, 5):
            for one, other in zip(step(objective, optimiser, number), step(again, same, number), strict=True):
                assert (one is None and other is None) or torch.equal(one, other), objective
        after, before = again.state_dict(), objective.state_dict()
        assert after.keys() == before.keys()
        assert all(torch.equal(after[key], before[key]) for key in before), objective


@pytest.mark.parametrize("name", REMEMBERING)
def test_what_is_remembered_matters_or_is_random_or_trained(name):
    """A checkpoint without the memory would not go on the same way, once there is something to remember."""
    objective = ENTRIES[name]().prepare(DIM)
    fresh = {key: value.clone() for key, value in objective.state_dict().items()}
    optimiser = optimiser_of(objective)
    for number in range(2):
        step(objective, optimiser, number)
    after = objective.state_dict()
    assert any(after[key].shape != fresh[key].shape or not torch.equal(after[key], fresh[key]) for key in fresh)
