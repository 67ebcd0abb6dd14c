"""Vectors that have become alike: in one place, or in a few directions."""

from collections.abc import Iterator, Sequence

from nearfar.diagnosing.cause import Cause, Sign
from nearfar.diagnosing.curves import typical
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.evaluation.evaluate import BASE, TUNED
from nearfar.evaluation.geometry import Cloud
from nearfar.evaluation.space import ANISOTROPY, FEWEST, UNIFORMITY, least_rank

_RISE = 0.4
"""Of the mean cosine over that of the base model. Training apart lowers it; on healthy runs it rose by 0.05 at most."""
_RANK_LEFT = 0.25
"""Of the effective rank of the base model. Healthy runs kept 0.6 and more."""
_STEP = 0.9
"""Cosine of nine in ten pairs of a step at the end of training."""


def look(material: Material) -> Sequence[Sign]:
    """The spread of both sides of the tuned model beside the base model's, and the similarities of the last steps."""
    geometry = material.files.geometry or {}
    found = list(_last_steps(material))
    if TUNED in geometry:
        before = geometry.get(BASE)
        for side in ("queries", "documents"):
            cloud: Cloud | None = getattr(geometry[TUNED], side)
            if cloud is not None and cloud.vectors >= FEWEST:
                found += _side(side, cloud, getattr(before, side, None))
    if not found:
        raise Unmeasured(
            "evaluation/geometry.json is not there, or the data has too few texts, and the steps say nothing of it."
        )
    return found


def _side(side: str, cloud: Cloud, before: Cloud | None) -> Iterator[Sign]:
    was = "" if before is None else f", {before.anisotropy:.2f} before training"
    yield Sign(
        name=f"mean cosine of {side}",
        value=cloud.anisotropy,
        usual=0.2,
        limit=ANISOTROPY,
        sentence=f"Two random {side} have a cosine of {cloud.anisotropy:.2f} on average{was}.",
    )
    was = "" if before is None else f", {before.uniformity:.2f} before"
    yield Sign(
        name=f"uniformity of {side}",
        value=cloud.uniformity,
        usual=-3.0,
        limit=UNIFORMITY,
        sentence=f"The uniformity of {side} is {cloud.uniformity:.2f}{was}; 0 is a single point.",
    )
    least = least_rank(cloud.width)
    was = "" if before is None else f", {before.effective_rank:.1f} before training"
    sentence = f"The {side} vary in {cloud.effective_rank:.1f} of {cloud.width} directions{was}."
    yield Sign(
        name=f"effective rank of {side}",
        value=cloud.effective_rank,
        usual=max(cloud.width / 2, 2 * least),
        limit=least,
        sentence=sentence,
    )
    if before is None or before.effective_rank <= 0:
        return
    yield Sign(
        name=f"effective rank of {side} that is left",
        value=cloud.effective_rank / before.effective_rank,
        usual=1.0,
        limit=_RANK_LEFT,
        sentence=sentence,
    )
    yield Sign(
        name=f"rise of the mean cosine of {side}",
        value=cloud.anisotropy - before.anisotropy,
        usual=0.0,
        limit=_RISE,
        sentence=f"Two random {side} have a cosine of {cloud.anisotropy:.2f} on average, "
        f"{before.anisotropy:.2f} before training.",
    )


def _last_steps(material: Material) -> Iterator[Sign]:
    """What the model was at the end, which the best checkpoint need not show. Only cosines have a scale to judge by."""
    try:
        low = typical(material.curve("similarity/negative/q05"), 0.9, 1.0)
        middle, *others = (typical(material.curve(f"similarity/positive/q{at}"), 0.9, 1.0) for at in ("50", "95"))
    except Unmeasured:
        return
    if max(low, middle, *others) > 1.001:  # dot products
        return
    yield Sign(
        name="similarity of negatives in the last steps",
        value=low,
        usual=0.0,
        limit=_STEP,
        sentence=f"In the last steps 95 % of the negatives had a similarity above {low:.2f}, and half of the positives "
        f"one above {middle:.2f}.",
    )


CAUSE = Cause(
    name="collapse",
    title="The vectors have become alike",
    measured="Mean cosine, uniformity and effective rank of queries and documents, beside those of the base model, and "
    "the similarities of negatives in the last steps.",
    limit="Absolute limits are those of the alarms of nearfar evaluate, far outside what models have that search well. "
    "Against the base model: training with negatives lowers the mean cosine, so a rise of 0.4 or a loss of three "
    "quarters of the effective rank is not its doing.",
    advice="Use an objective with negatives, such as InfoNCE, in the place of one that only pulls together; lower "
    "training.learning_rate; or put a term against collapse beside it, such as Uniformity or VICReg in a Sum.",
    look=look,
    follows=("not-finite",),
)
