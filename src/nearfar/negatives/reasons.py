"""What each reason means, in one sentence that the page, the terminal and the documentation share."""

from collections.abc import Mapping
from types import MappingProxyType

from nearfar.negatives.candidates import Reason

REASONS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.KEPT: "A negative of its query.",
        Reason.POSITIVE: "It is judged relevant to the query.",
        Reason.DUPLICATE: "It has the text of a judged positive, under another id or in other spelling.",
        Reason.SELF: "It is the text of the query itself.",
        Reason.REPEATED: "An earlier source proposed it for the same query.",
        Reason.UNSCORED: "It has no score that a filter could go by, or its positive has none.",
        Reason.ABSOLUTE: "Its score is beyond a fixed limit.",
        Reason.MARGIN: "It does not score lower than the positive by the margin.",
        Reason.PERCENT: "It scores above the set share of the positive's score.",
        Reason.CROSS_ENCODER: "A cross-encoder finds it relevant.",
        Reason.JUDGE: "A judge finds it about as relevant as the positive.",
        Reason.GUIDE: "Another model finds it nearer to the query than the positive.",
        Reason.NOISE: "It is, or is near to, a positive of a query that asks nearly the same.",
        Reason.CONSISTENCY: "No positive of its query is among the first places, so the judgement is in doubt.",
        Reason.CONTAMINATED: "It holds words of a query that is kept for evaluation.",
        Reason.RELABELLED: "It scores so high that it counts as a positive from now on.",
        Reason.QUERY: "Its query was left out, since one of its candidates looks relevant.",
        Reason.WINDOW: "Its rank is outside the window.",
        Reason.BUDGET: "It could be a negative too, but no more were asked for.",
    }
)
"""One sentence for each reason, ``KEPT`` among them."""

KNOWN, TWICE, UNKNOWN, SUSPECTED, UNFIT, SPARE, KEPT = (
    "known to be relevant",
    "proposed before",
    "without a score",
    "may be relevant",
    "unfit for training",
    "not chosen",
    "kept",
)

GROUPS: Mapping[str, tuple[Reason, ...]] = MappingProxyType(
    {
        KNOWN: (Reason.POSITIVE, Reason.DUPLICATE, Reason.SELF),
        TWICE: (Reason.REPEATED,),
        UNKNOWN: (Reason.UNSCORED,),
        SUSPECTED: (
            Reason.ABSOLUTE,
            Reason.MARGIN,
            Reason.PERCENT,
            Reason.CROSS_ENCODER,
            Reason.JUDGE,
            Reason.GUIDE,
            Reason.NOISE,
            Reason.RELABELLED,
        ),
        UNFIT: (Reason.CONSISTENCY, Reason.CONTAMINATED, Reason.QUERY),
        SPARE: (Reason.WINDOW, Reason.BUDGET),
        KEPT: (Reason.KEPT,),
    }
)
"""Every reason in one of a few groups, for what is to be seen at a glance."""

GROUP_OF: Mapping[Reason, str] = MappingProxyType(
    {reason: group for group, reasons in GROUPS.items() for reason in reasons}
)


def code(reason: Reason) -> str:
    """How a reason is written in files, such as ``cross_encoder``; ``kept`` for what has none."""
    return reason.name.lower()


def title(reason: Reason) -> str:
    """How a reason is written for people, such as ``cross encoder``."""
    return code(reason).replace("_", " ")
