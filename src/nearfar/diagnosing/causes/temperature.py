"""A temperature that makes all negatives alike, or that leaves one of them."""

from collections.abc import Sequence

from nearfar.diagnosing.cause import Cause, Sign
from nearfar.diagnosing.curves import typical
from nearfar.diagnosing.material import Material, Unmeasured

_FLAT = 0.8
"""Of the negatives. Where their similarities are spread like a bell curve of width s, the effective share is
exp(-(s / temperature)^2): at 0.8 a negative two s above the mean weighs 2.6 times the mean one, at 0.1 twenty times."""
_SINGLE = 1.05
_FEWEST = 8
"""Negatives below which the number that is effective says little."""


def look(material: Material) -> Sequence[Sign]:
    """As how many equal negatives those of a row act, over the second half of training."""
    temperature = typical(material.curve("temperature"), 0.5, 1.0)
    effective = typical(material.curve("effective_negatives"), 0.5, 1.0)
    negatives = typical(material.curve("negatives"), 0.5, 1.0)
    if negatives < _FEWEST:
        raise Unmeasured(f"A row has {negatives:.0f} negatives, too few to say how they share the gradient.")
    numbers = {"temperature": temperature, "negatives": negatives, "effective negatives": effective}
    sentence = (
        f"At a temperature of {temperature:.3g} the {negatives:.0f} negatives of a row act like {effective:.1f} equal "
        "ones."
    )
    found = [
        Sign(
            name="share of the negatives that is effective",
            value=effective / negatives,
            usual=0.2,
            limit=_FLAT,
            sentence=sentence,
            numbers=numbers,
        )
    ]
    if max(material.dev.values[1:], default=0.0) <= material.dev.values[0]:  # as low a one is used with success, too
        found.append(
            Sign(
                name="effective negatives, of a run that never beat its base model on dev",
                value=effective,
                usual=3.0,
                limit=_SINGLE,
                sentence=sentence,
                numbers=numbers,
            )
        )
    return found


CAUSE = Cause(
    name="temperature",
    title="The temperature does not fit",
    measured="As how many equal ones the negatives of a row act, (sum w)^2 / sum w^2 over their gradients w.",
    limit="Where four fifths of the negatives are effective, the hardest hardly count more than the rest, and the loss "
    "has a floor that it cannot leave. Runs at 0.02 to 0.1 have a tenth to a half. One single effective negative is "
    "named only where the dev score never rose.",
    advice="Set the temperature of the objective: 0.05 is a good start for cosines, 0.02 to 0.1 the usual range, such "
    "as --set 'objective=InfoNCE(temperature=0.05)'. Lower counts hard negatives more, and false ones too.",
    look=look,
    follows=("not-finite", "collapse"),
)
