"""What can be known to be wrong about the settings and the data of a run before anything is done."""

from nearfar.config.run import RunConfig
from nearfar.data.tables import Dataset
from nearfar.engine.budget import Budget
from nearfar.evaluation.evaluate import Task
from nearfar.training.arguments import further
from nearfar.training.dev import DevSearch
from nearfar.training.objective import check_companions, has_mined
from nearfar.training.pairs import training_pairs
from nearfar.training.refresh import check_refresh
from nearfar.training.sharded import check_sharding
from nearfar.training.steps import check_shares
from nearfar.training.teacher import check_teacher
from nearfar.training.trackers import check_trackers


def check_inputs(dataset: Dataset, config: RunConfig) -> None:
    """Raise now, before anything is written, what a wrong setting or data without relevant pairs would raise later.

    Raises:
        ConfigError: the objective or a measure is not known, or the package of a tracker is missing.
        DataError: no relevant pair to train on, or no query to measure.
    """
    check_companions(config, has_mined(config, dataset))
    check_teacher(config)
    check_trackers(config)
    Budget.parse(config.batches.at_once)
    further(config)
    check_sharding(config)
    Task.of(dataset, None, config.evaluation)
    pairs = training_pairs(dataset, config)
    check_shares(config, len(pairs))
    check_refresh(config, len(pairs))
    DevSearch(dataset, config.dev, config.training.seed)
