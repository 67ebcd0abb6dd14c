"""Moving average and queue on one process and on two: the same losses, weights, averages and queues."""

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from nearfar.engine.momentum import Momentum
from nearfar.engine.ranks import Ranks
from nearfar.engine.step import Step, prepare_step
from nearfar.objectives import parse
from tests.engine.test_momentum import batch, encoder
from tests.gloo import run_ranks


def steps(objective, count):
    """Some steps of training; gives the losses, and every weight and buffer afterwards."""
    made = encoder()
    step = Step(made, parse(objective).prepare(5), momentum=Momentum(made, 0.8)).train()
    joined = distributed.is_initialized()
    wrapped = DistributedDataParallel(step, broadcast_buffers=False) if joined else step
    ranks, apart = Ranks.current(), step.apart
    trained = [weight for weight in step.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=0.05)
    losses = []
    for number in range(count):
        optimiser.zero_grad()
        loss = wrapped(prepare_step(made, batch(number), 64, ranks=ranks, apart=apart))
        loss.backward()
        optimiser.step()
        step.follow()
        losses.append(loss.item())
    return losses, {name: value.clone() for name, value in step.state_dict().items()}


@pytest.mark.parametrize("objective", ["MoCo(size=7)", "ESimCSE(size=5)", "BYOL(hidden=4)", "XBM(size=7)"])
def test_two_ranks_are_one(objective):
    losses, state = steps(objective, 5)
    assert len(set(losses)) == 5
    for others, same in run_ranks(2, steps, objective, 5):
        assert others == pytest.approx(losses, rel=1e-5)
        assert same.keys() == state.keys()
        for name, value in state.items():
            if "calls" in name and name.startswith(("encoder", "momentum")):
                continue  # forward passes, of which each rank has its own
            torch.testing.assert_close(same[name], value, rtol=1e-4, atol=1e-5)
