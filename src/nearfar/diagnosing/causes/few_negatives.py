"""Steps that are solved from the start, so that nothing is learnt from them."""

from collections.abc import Sequence

from nearfar.diagnosing.cause import Cause, Sign
from nearfar.diagnosing.curves import typical
from nearfar.diagnosing.material import Material

_SOLVED = 0.97
_FOUND = 0.8


def look(material: Material) -> Sequence[Sign]:
    """The share of rows whose positive comes first in the step, early on; beside the dev score and the gain."""
    accuracy = typical(material.curve("accuracy"), 0.0, 0.3)
    negatives = typical(material.curve("negatives"), 0.0, 1.0)
    best, gain = max(material.dev.values), material.gain
    excuse = "the search is good nevertheless" if best >= _FOUND else "the model got better" if gain.low > 0 else ""
    return [
        Sign(
            name="rows that are in order early in training",
            value=accuracy,
            usual=0.8,
            limit=_SOLVED,
            sentence=f"In the first third of training {100 * accuracy:.0f} % of the rows had their positive first "
            f"among {negatives:.0f} negatives, at a best dev score of {best:.2f}.",
            numbers={"accuracy": accuracy, "negatives": negatives, "best dev score": best, "gain": gain.mean},
            excuse=excuse,
        )
    ]


CAUSE = Cause(
    name="few-negatives",
    title="Too few negatives, or too easy ones",
    measured="The share of rows that have their positive first in the step, over the first third of training.",
    limit="From 97 % on there is little left to learn in a step. It is named only where the search is not solved as "
    "well (dev below 0.8) and the gain over the base model cannot be told from 0.",
    advice="Give a step harder work: nearfar mine finds hard negatives; a larger batches.size has more of the easy "
    "ones, and batches.at_once keeps it in memory.",
    look=look,
    follows=("not-finite", "leak"),
)
