"""The pairs that a run trains on."""

from nearfar.batches.collate import PairCollator
from nearfar.config.run import RunConfig
from nearfar.data.tables import TRAIN, Dataset


def training_pairs(dataset: Dataset, config: RunConfig, weighed: bool = False, beyond: bool = False) -> PairCollator:
    """The training pairs.

    Args:
        dataset: the tables.
        config: of the run.
        weighed: batches have the weights of mined negatives.
        beyond: relations say who belongs to whom beyond a step.
    """
    return PairCollator(
        dataset,
        TRAIN,
        config.batches.hard_negatives,
        config.training.seed,
        negatives=config.batches.negatives,
        weighed=weighed,
        beyond=beyond,
    )
