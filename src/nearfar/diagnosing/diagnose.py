"""Looking for every cause in a run, and putting what was found in order."""

from collections.abc import Sequence
from dataclasses import replace

from nearfar.diagnosing.cause import NAMED, NOT_FOUND, NOT_MEASURED, Cause, Verdict
from nearfar.diagnosing.material import Material, Unmeasured
from nearfar.diagnosing.registry import CAUSES
from nearfar.errors import NearfarError
from nearfar.events import track


def verdicts(material: Material, causes: Sequence[Cause] = CAUSES) -> tuple[Verdict, ...]:
    """Look for every cause.

    A named cause that another named one brings about stands behind it, however strong its signs. Nothing here raises
    for a run that is unfinished, or whose data or model is gone: what cannot be measured says why.
    """
    found = [_look(cause, material) for cause in track(causes, "Diagnosing", material.sink, len(causes))]
    named = {verdict.cause.name for verdict in found if verdict.state == NAMED}
    found = [
        replace(verdict, behind=next((name for name in verdict.cause.follows if name in named), ""))
        if verdict.state == NAMED
        else verdict
        for verdict in found
    ]
    order = (NAMED, NOT_FOUND, NOT_MEASURED)
    return tuple(
        sorted(found, key=lambda it: (order.index(it.state), bool(it.behind), -it.strength if it.state == NAMED else 0))
    )


def _look(cause: Cause, material: Material) -> Verdict:
    try:
        signs = tuple(sorted(cause.look(material), key=lambda sign: (not sign.speaks, -sign.strength)))
    except (Unmeasured, NearfarError) as reason:
        return Verdict(cause=cause, state=NOT_MEASURED, why=str(reason))
    return Verdict(cause=cause, state=NAMED if signs[0].speaks else NOT_FOUND, signs=signs)
