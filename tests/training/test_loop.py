"""What the loop is given: every epoch holds every pair once."""

import torch

from nearfar.batches.collate import PairCollator
from nearfar.config.read import override
from nearfar.config.run import RunConfig
from nearfar.engine.step import Step
from nearfar.objectives import InfoNCE
from nearfar.training.arguments import training_arguments
from nearfar.training.dev import DevSearch
from nearfar.training.loop import RetrievalTrainer
from tests.training.test_dev import dataset, encoder


class Collected:
    def __init__(self):
        self.events = []

    def emit(self, event):
        self.events.append(event)


def test_every_epoch_holds_every_pair_once_in_an_order_of_its_own(tmp_path):
    config = override(RunConfig(), ["batches.size=6", "training.seed=5"])
    made = dataset()
    made = made.with_qrels({**made.qrels, "train": made.qrels["dev"]})
    processor = torch.device("cpu")
    model = encoder()
    model.module.weight = torch.nn.Parameter(torch.ones(1))
    trainer = RetrievalTrainer(
        Step(model, InfoNCE()),
        PairCollator(made, "train", hard_negatives=0, seed=0),
        DevSearch(made, config.dev, seed=0),
        config,
        training_arguments(config, 8, tmp_path, 0.1, processor),
        Collected(),
    )
    loader = trainer.get_train_dataloader()

    def anchors(loader):
        return [trainer._prepare_inputs(keys).relation.anchor_ids.tolist() for keys in loader]

    epochs = [anchors(loader) for _ in range(3)]
    assert [[len(step) for step in epoch] for epoch in epochs] == [[5, 5, 5, 5]] * 3
    flat = [[anchor for step in epoch for anchor in step] for epoch in epochs]
    assert len({tuple(sorted(epoch)) for epoch in flat}) == 1
    assert len(set(flat[0])) == 20
    assert len({tuple(epoch) for epoch in flat}) == 3
    assert anchors(trainer.get_train_dataloader()) == epochs[0]
