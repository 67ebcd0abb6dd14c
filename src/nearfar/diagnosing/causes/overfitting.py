"""Training that went on after the model had stopped getting better."""

from collections.abc import Sequence

import numpy as np

from nearfar.diagnosing.cause import Cause, Sign
from nearfar.diagnosing.curves import typical
from nearfar.diagnosing.material import Material, Unmeasured

_FALL = 0.05
_LEARNT = 0.8


def look(material: Material) -> Sequence[Sign]:
    """How far the dev score fell from its best while the loss went on falling."""
    dev, loss, gain = material.dev, material.curve("loss"), material.gain
    if len(dev.values) < 3:
        raise Unmeasured("There are fewer than two dev searches after the start.")
    best = int(np.argmax(dev.values))
    fall = dev.values[best] - dev.values[-1]
    ratio = typical(loss, 0.7, 1.0) / max(typical(loss, 0.0, 0.3), 1e-12)
    excuse = "the model got better" if gain.low > 0 else "" if ratio < _LEARNT else "the loss hardly fell"
    return [
        Sign(
            name="fall of the dev score from its best",
            value=fall,
            usual=0.0,
            limit=_FALL,
            sentence=f"The dev score was best at step {dev.steps[best]} of {dev.steps[-1]} with {dev.values[best]:.3f} "
            f"and {dev.values[-1]:.3f} at the end, while the loss fell to {100 * ratio:.0f} % of what it was; the best "
            f"checkpoint gains {gain.mean:+.3f} in the end.",
            numbers={"best step": float(dev.steps[best]), "gain": gain.mean},
            excuse=excuse,
        )
    ]


CAUSE = Cause(
    name="overfitting",
    title="It learnt the training pairs by heart",
    measured="How far the dev score fell from its best to the end of training, while the loss fell.",
    limit="Five points are more than the dev searches of a healthy run differ by. The best checkpoint is kept, so it "
    "is named only where that one is not better than the base model either.",
    advice="Train on more or other pairs, for fewer training.epochs, with a lower training.learning_rate, or with "
    "an adapter (model.adapter.rank).",
    look=look,
    follows=("not-finite", "collapse", "learning-rate", "false-negatives"),
)
