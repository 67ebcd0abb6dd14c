"""The objective of a training run, with room for what it remembers, and whether a run has what it needs."""

from collections.abc import Iterator

from nearfar.config.refresh import NEVER
from nearfar.config.run import RunConfig
from nearfar.data.tables import Dataset
from nearfar.encoders.protocol import Role, TorchEncoder
from nearfar.engine.budget import Budget
from nearfar.engine.embed import encode
from nearfar.engine.momentum import Momentum
from nearfar.engine.step import SUPPLIED, Step
from nearfar.engine.teachers import Teacher
from nearfar.errors import ConfigError
from nearfar.events import Silent
from nearfar.objectives.candidates.queue import Queue
from nearfar.objectives.criteria.noisy import NoisyLabels
from nearfar.objectives.criteria.opposite import Opposite
from nearfar.objectives.criteria.partners import Partners
from nearfar.objectives.form import parts
from nearfar.objectives.logits.against import AgainstGuide
from nearfar.objectives.objective import Objective
from nearfar.objectives.part import Part
from nearfar.objectives.registry import parse
from nearfar.objectives.weights.clusters import ClusterCounts
from nearfar.objectives.weights.given import GivenWeights

GUIDES = frozenset({"guide_anchors", "guide_candidates"})

_OF_THEIR_OWN: dict[type[Part], tuple[str, str]] = {
    GivenWeights: ("teacher", "weights of the pairs"),
    Partners: ("teacher", "cosines of the anchors"),
    NoisyLabels: ("teacher", "logits that labels are wrong"),
    AgainstGuide: ("guide_candidates", "vectors of texts that say no"),
    Opposite: ("guide_candidates", "vectors of texts that say no"),
}
"""Parts that take an input for something else than what another encoder says of the texts, and for what."""


def trainable_objective(text: str, config: RunConfig, mined: bool = False) -> Objective:
    """The objective that ``text`` names, if a training run with this configuration has all that it needs.

    Args:
        text: its text form.
        config: of the run.
        mined: whether the run has mined negatives, which have weights.

    Raises:
        ConfigError: the name or a setting is wrong, or an input is needed that the run does not have.
    """
    objective = parse(text)
    for part in _with_inputs(objective):
        name, meant = _OF_THEIR_OWN.get(type(part), ("", ""))
        if isinstance(part, GivenWeights) and mined:
            _check_alone(objective)
        elif name in part.needs:
            raise ConfigError(
                f"The objective {objective} needs {meant} as {name}, which a training run does not have. From Python, "
                "pass them to the objective yourself."
                + (" Mined negatives have weights: train on the folder of nearfar mine." if weighs(objective) else "")
            )
    has = {*SUPPLIED, "origin"}
    has |= {"teacher"} if config.teacher.model is not None or (mined and weighs(objective)) else set()
    has |= GUIDES if config.teacher.model is not None or config.training.momentum is not None else set()
    missing = sorted(objective.needs - has)
    if missing:
        ways = ["teacher.model=NAME for a frozen encoder (base is the model before training)"]
        if "teacher" not in missing:
            ways.insert(0, "training.momentum=0.999 for a moving average of the encoder")
        raise ConfigError(
            f"The objective {objective} needs {', '.join(missing)}, which a training run does not have by itself: what "
            f"another encoder says of the texts. Set {', or '.join(ways)}."
        )
    return objective


def _check_alone(objective: Objective) -> None:
    """Refuse a teacher's scores where the weights of pairs have their place.

    Raises:
        ConfigError: with the part that takes them.
    """
    for part in _with_inputs(objective):
        if "teacher" in part.needs and not isinstance(part, GivenWeights):
            raise ConfigError(
                f"The objective {objective} takes weights of the pairs and a teacher's scores, for {part}; a training "
                "run has one of the two. Leave out GivenWeights, or that."
            )


def weighs(objective: Objective) -> bool:
    """Whether it takes weights of pairs, which mined negatives have."""
    return _has(objective, GivenWeights)


def has_mined(config: RunConfig, dataset: Dataset) -> bool:
    """Whether a run has mined negatives, from its data or from mining while it trains."""
    return dataset.mined is not None or config.mining.refresh != NEVER


def check_companions(config: RunConfig, mined: bool = False) -> None:
    """Make sure that the objective uses the moving average and the teacher that are configured.

    Raises:
        ConfigError: one of them would be made and nobody would look at it.
    """
    objective = trainable_objective(config.objective, config, mined)
    momentum = config.training.momentum is not None
    guided = bool(objective.needs & GUIDES)
    if momentum and not guided:
        raise ConfigError(
            f"training.momentum is {config.training.momentum}, but the objective {objective} does not look at a moving "
            "average of the encoder. MoCo, ESimCSE and BYOL do. Choose one of them, or leave training.momentum out."
        )
    scored = "teacher" in objective.needs and not weighs(objective)
    looked_at = scored or (not momentum and (guided or _has(objective, ClusterCounts)))
    if config.teacher.model is not None and not looked_at:
        why = " (its guide is the moving average of training.momentum)" if guided else ""
        raise ConfigError(
            f"teacher.model is {config.teacher.model!r}, but the objective {objective} does not look at a teacher"
            f"{why}. GIST, ListKL and MarginMSE do. Choose one of them, or leave teacher.model out."
        )


def compares_with_earlier(objective: Objective) -> bool:
    """Whether it compares texts of earlier steps, so that relations must say who belongs to whom beyond the step."""
    return _has(objective, Queue)


def prepared_objective(
    config: RunConfig, encoder: TorchEncoder, dataset: Dataset, teacher: Teacher | None
) -> Objective:
    """The objective on the encoder's device, with its layers made and room for every query.

    Raises:
        ConfigError: when the objective compares the encoder with a teacher of another width.
    """
    width = encode(encoder, ["width"], Role.QUERY, Silent()).shape[1]
    objective = trainable_objective(config.objective, config, has_mined(config, dataset))
    if teacher is not None and config.training.momentum is None:
        _check_width(objective, teacher.width, width)
    return objective.prepare(width, len(dataset.queries)).to(encoder.device)


def _check_width(objective: Objective, teacher: int, encoder: int) -> None:
    """Make sure that a teacher's vectors are as wide as the encoder's, where the two are compared.

    Raises:
        ConfigError: when they are not.
    """
    for part in _with_inputs(objective):
        if part.shares_space and part.needs & GUIDES and teacher != encoder:
            raise ConfigError(
                f"The objective {objective} compares the encoder's vectors, of width {encoder}, with those of the "
                f"teacher, of width {teacher}. Take a teacher of the same space, such as teacher.model=base."
            )


def step_of(encoder: TorchEncoder, objective: Objective, config: RunConfig, teacher: Teacher | None) -> Step:
    """A step of training: the encoder with its objective, and with its moving average if there is to be one."""
    momentum = config.training.momentum
    return Step(
        encoder,
        objective,
        encoder.precision,
        Budget.parse(config.batches.at_once),
        config.batches.scores,
        None if momentum is None else Momentum(encoder, momentum),
        teacher,
    )


def _has(objective: Objective, kind: type[Part]) -> bool:
    return any(isinstance(part, kind) for _, part in parts(objective.form))


def _with_inputs(objective: Objective) -> Iterator[Part]:
    """The parts that need something beside vectors and relation."""
    return (part for _, part in parts(objective.form) if part.needs)
