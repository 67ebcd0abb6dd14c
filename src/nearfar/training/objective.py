"""The objective of a training run, with room for what it remembers."""

from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import Role, TorchEncoder
from nearfar.engine.embed import encode
from nearfar.engine.step import SUPPLIED
from nearfar.errors import ConfigError
from nearfar.events import Silent
from nearfar.objectives.objective import Objective
from nearfar.objectives.registry import parse


def trainable_objective(text: str) -> Objective:
    """The objective that ``text`` names, if a training run has all that it needs.

    Raises:
        ConfigError: the name or a setting is wrong, or an input is needed that a run does not have.
    """
    objective = parse(text)
    missing = sorted(objective.needs - {*SUPPLIED, "origin"})
    if missing:
        raise ConfigError(
            f"The objective {objective} needs {', '.join(missing)}, which a training run does not have: it supplies "
            f"{', '.join(SUPPLIED)} and the origin of each candidate. From Python, pass it to the objective yourself."
        )
    return objective


def prepared_objective(text: str, encoder: TorchEncoder, dataset: Dataset) -> Objective:
    """The objective on the encoder's device, with its layers made and room for every query."""
    width = encode(encoder, ["width"], Role.QUERY, Silent()).shape[1]
    return trainable_objective(text).prepare(width, len(dataset.queries)).to(encoder.device)
