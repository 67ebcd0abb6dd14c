"""The geometry of an evaluation as one value, and the alarms that follow from it."""

from dataclasses import dataclass, field

from nearfar.evaluation.geometry import Cloud, Hubs

SAMPLE = 2000
"""Vectors of a side that pairwise numbers are taken of."""
FEWEST = 100
"""Vectors below which no alarm is raised: so few say little about a space."""

ANISOTROPY = 0.9
UNIFORMITY = -0.2
EFFECTIVE_RANK = 4.0
SHARE_OF_WIDTH = 0.02
ALIKE = 0.5


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """A sign that a space has collapsed: what was found, where the limit is, and a sentence."""

    name: str
    side: str
    value: float
    limit: float
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The shape of the space of one system; a number that cannot be had is None.

    Attributes:
        queries, documents: how each side spreads.
        alignment: the mean squared distance of relevant pairs.
        tolerance: of labelled data, the mean cosine of documents of one label.
        gap: the distance between the means of queries and documents.
        separator: how often a linear separator tells a query from a document; 0.5 is chance.
        length_bias: the rank correlation of a document's length with its mean similarity to queries.
        hubs: how unevenly documents come up.
        alarms: signs of collapse.
    """

    queries: Cloud | None = None
    documents: Cloud | None = None
    alignment: float | None = None
    tolerance: float | None = None
    gap: float | None = None
    separator: float | None = None
    length_bias: float | None = None
    hubs: Hubs | None = None
    alarms: tuple[Alarm, ...] = field(default=())


def least_rank(width: int) -> float:
    """The effective rank of so many dimensions below which a space has collapsed."""
    return max(min(EFFECTIVE_RANK, width / 2), SHARE_OF_WIDTH * width)


def alarms(side: str, cloud: Cloud) -> list[Alarm]:
    """Signs that the vectors of a side have collapsed, to a point or to a few directions.

    The limits are far outside what models have that search well: a mean cosine above ``ANISOTROPY``, a uniformity above
    ``UNIFORMITY``, an effective rank below ``EFFECTIVE_RANK`` or below ``SHARE_OF_WIDTH`` of the width, more than
    ``ALIKE`` of the vectors equal to another one though the texts differ. Below ``FEWEST`` vectors there is none.

    Args:
        side: ``queries`` or ``documents``, for the sentence.
        cloud: how its vectors spread.
    """
    if cloud.vectors < FEWEST:
        return []
    rank = least_rank(cloud.width)
    found = [
        ("anisotropy", cloud.anisotropy, ANISOTROPY, f"Two random {side} have a cosine of {cloud.anisotropy:.2f} on "
         f"average, above {ANISOTROPY:g}: nearly all vectors point the same way."),
        ("uniformity", cloud.uniformity, UNIFORMITY, f"The uniformity of {side} is {cloud.uniformity:.2f}, above "
         f"{UNIFORMITY:g} (0 is a single point): the space is hardly used."),
        ("alike", cloud.alike, ALIKE, f"{100 * cloud.alike:.0f} % of the {side} have the vector of another text, more "
         f"than {100 * ALIKE:g} %: the model does not tell them apart."),
    ]  # fmt: skip
    raised = [
        Alarm(name=name, side=side, value=value, limit=limit, sentence=sentence)
        for name, value, limit, sentence in found
        if value > limit
    ]
    if cloud.effective_rank < rank:
        sentence = (
            f"The {side} vary in {cloud.effective_rank:.1f} of {cloud.width} directions, fewer than {rank:.3g}: "
            "most dimensions say nothing."
        )
        raised.append(
            Alarm(name="effective_rank", side=side, value=cloud.effective_rank, limit=rank, sentence=sentence)
        )
    return raised
