"""Training that is looked at gives what training gives that is not, to the last bit."""

import pytest
import torch
from torch import nn

from nearfar.batches.collate import PairCollator
from nearfar.config.read import override
from nearfar.config.run import RunConfig
from nearfar.encoders.module import ModuleEncoder
from nearfar.engine.step import Step
from nearfar.events import Metrics
from nearfar.objectives import parse
from nearfar.training.arguments import training_arguments
from nearfar.training.dev import DevSearch
from nearfar.training.folder import RunFolder
from nearfar.training.loop import RetrievalTrainer
from nearfar.training.watch import Watch
from tests.training.test_dev import dataset
from tests.training.test_loop import Collected

OBJECTIVES = (
    "InfoNCE(temperature=0.05, directions=symmetric)",
    "ISogCLR()",
    "SigLIP()",
    "XBM(size=24)",
    "HardMix()",
    "VICReg()",
)


class Vectors(nn.Module):
    """A vector for each text, with dropout."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = nn.Embedding.from_pretrained(torch.randn(90, 6, generator=generator), freeze=False)
        self.dropout = nn.Dropout(0.2)

    def forward(self, features):
        return self.dropout(self.table(features["number"]))


def tokenise(texts, role):
    return {"number": torch.tensor([int(text.split()[1]) + (20 if text[0] == "d" else 0) for text in texts])}


def trained(objective, folder):
    """Weights and state, generator states, and what was logged, of six steps in which each is logged."""
    config = override(RunConfig(), ["batches.size=10", "training.seed=5", "dev.evaluations=1"])
    made = dataset()
    made = made.with_qrels({**made.qrels, "train": made.qrels["dev"]})
    encoder, sink = ModuleEncoder(Vectors(), tokenise), Collected()
    step = Step(encoder, parse(objective).prepare(6, 20))
    run = RunFolder(folder)
    run.checkpoints.mkdir(parents=True)
    run.curves.touch()
    arguments = training_arguments(config, 6, run.checkpoints, 0.05, torch.device("cpu"))
    trainer = RetrievalTrainer(
        step, PairCollator(made, "train", 0, 0), DevSearch(made, config.dev, seed=0), config, arguments, sink
    )
    trainer.run(None)
    state = {name: value.clone() for name, value in step.state_dict().items()}
    logged = [event for event in sink.events if isinstance(event, Metrics) and event.group == "train"]
    return state, torch.get_rng_state(), logged


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_looking_changes_nothing(objective, tmp_path, monkeypatch):
    *seen, logged = trained(objective, tmp_path / "seen")
    monkeypatch.setattr(Watch, "on_step_begin", lambda self, *arguments, **more: None)
    *unseen, plain = trained(objective, tmp_path / "unseen")
    torch.testing.assert_close(seen, unseen, rtol=0, atol=0)
    assert [event.step for event in logged] == [1, 2, 3, 4, 5, 6]
    for event, other in zip(logged, plain, strict=True):
        assert {name: event.values[name] for name in other.values} == other.values
        assert {"accuracy", "anchors", "similarity/negative/q95"} <= event.values.keys() - other.values.keys()
    assert any("gradient/negative/in_batch" in event.values for event in logged) == (objective != "VICReg()")


def test_only_steps_that_are_logged_are_looked_at(tmp_path, monkeypatch):
    observed = []
    plain = Step.forward

    def forward(self, step):
        observed.append(self.observed)
        return plain(self, step)

    monkeypatch.setattr(Step, "forward", forward)
    usual = Watch.on_step_begin

    def rarely(self, args, state, control, **more):
        state.logging_steps = args.logging_steps = 3
        usual(self, args, state, control, **more)

    monkeypatch.setattr(Watch, "on_step_begin", rarely)
    _, _, logged = trained(OBJECTIVES[0], tmp_path)
    assert observed == [False, False, True] * 2
    assert [event.step for event in logged] == [3, 6]
    assert all("accuracy" in event.values for event in logged)
