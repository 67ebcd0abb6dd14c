"""The sentences about a mining job, for its page and for the terminal."""

from collections.abc import Iterator

from nearfar.negatives.reasons import GROUPS, KEPT, KNOWN, SPARE, SUSPECTED, TWICE, UNFIT, UNKNOWN
from nearfar.reports.mining_contents import KNOWN_POSITIVES, Account, Spread
from nearfar.reports.words import count

_SAID = {
    KNOWN: "are known to be relevant",
    TWICE: "were proposed by an earlier source already",
    UNKNOWN: "have no score to go by",
    SUSPECTED: "were dropped because they may be relevant",
    UNFIT: "belong to queries or texts that are unfit for training",
    SPARE: "were not needed, or are outside the window",
}
"""What is said of each group but the kept."""


def share(part: int | float, whole: int | float) -> str:
    """``12 %``, ``0.9 %`` or ``< 0.1 %``: two digits, unbreakable; a dash for a share of nothing."""
    if not whole:
        return "\N{EN DASH}"
    hundredths = 100 * part / whole
    if 0 < hundredths < 0.1:
        number = "< 0.1"
    elif hundredths < 9.95:
        number = f"{hundredths:.1f}".removesuffix(".0")
    else:
        number = "> 99" if 99.5 <= hundredths < 100 else f"{hundredths:.0f}"
    return f"{number} %".replace(" ", "\N{NO-BREAK SPACE}")


def several(number: int, one: str, more: str = "") -> str:
    """``1 query`` or ``3 queries``."""
    return f"{count(number)} {one if number == 1 else more or one + 's'}"


def headline(account: Account) -> str:
    """How many queries have negatives, and how many each."""
    have, queries = account.queries_with_negatives, account.queries
    if not have:
        return f"None of {several(queries, 'query', 'queries')} has a negative."
    each = f"{account.kept / have:.1f} each on average" if account.kept % have else f"{account.kept // have} each"
    who = f"All {count(queries)}" if have == queries else f"{count(have)} of {count(queries)}"
    return f"{who} queries have negatives, {each}."


def funnel(account: Account) -> str:
    """What became of the candidates, the groups that have any in the order of the work."""
    total = account.total
    parts = [
        f"{share(total.group(group), account.candidates)} {_SAID[group]}"
        for group in GROUPS
        if group != KEPT and total.group(group)
    ]
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
    came = f"Of {several(account.candidates, 'candidate')} "
    kept = f"{several(account.kept, 'negative')} ({share(account.kept, account.candidates)}) "
    return f"{came}{listed}. {kept}{'is' if account.kept == 1 else 'are'} left." if parts else f"{came}all were kept."


def made(account: Account) -> Iterator[str]:
    """What else came out: relabelled candidates, and texts that sources wrote."""
    if account.relabelled:
        one = account.relabelled == 1
        yield (
            f"{several(account.relabelled, 'candidate')} {'is a positive' if one else 'are positives'} of "
            f"{'its query' if one else 'their queries'} from now on."
        )
    if account.made:
        yield f"Sources wrote {several(account.made, 'text')}."


def unanswered(account: Account) -> Iterator[str]:
    """For each score how many candidates and positives that were asked about have none."""
    for name, missing in account.unanswered.items():
        one = missing.candidates + missing.positives == 1
        who = [several(missing.candidates, "candidate")] if missing.candidates else []
        who += [several(missing.positives, "positive")] if missing.positives else []
        yield f"{' and '.join(who)} {'has' if one else 'have'} no answer for the score {name}."


def refused(account: Account) -> Iterator[str]:
    """For each source that writes, which texts were not taken and why."""
    for source, reasons in account.refused.items():
        listed = ", ".join(f"{count(number)} {reason}" for reason, number in reasons.items())
        yield f"{source} left out {several(sum(reasons.values()), 'text')}: {listed}."


def settled(account: Account) -> Iterator[str]:
    """For each filter that was set by what it drops, what it was then."""
    for part, found in account.settled.items():
        yield f"{part} was {found} here."


def looked(account: Account) -> Iterator[str]:
    """How deep each query was looked at, where that was only as deep as needed."""
    if account.depths:
        each = ", ".join(
            f"{several(number, 'query', 'queries')} to the {count(depth)} nearest"
            for depth, number in account.depths.items()
        )
        yield f"Looked at {each}: nothing deeper could have been handed out (mining.look=all looks at it too)."
    if account.hopeless:
        yield (
            f"For {several(account.hopeless, 'query', 'queries')} of these, filters drop everything that the source "
            "may reach; the rest of that was counted, not listed."
        )


def lists(account: Account) -> str:
    """Which queries have fewer negatives than were asked for, or none."""
    none = f"{several(account.without, 'query', 'queries')} {'has' if account.without == 1 else 'have'} none"
    if account.asked is None:
        return f"{none}." if account.without else "Every query has at least one."
    if not account.without and not account.short:
        return f"Every list has the {account.asked} that were asked for."
    short = f"{several(account.short or 0, 'list')} {'has' if account.short == 1 else 'have'} fewer than the "
    short += f"{account.asked} that were asked for"
    return ", ".join([*([short] if account.short else []), *([none] if account.without else [])]) + "."


def estimate(account: Account) -> str:
    """The share of the negatives that are relevant after all, with its interval; empty when it is not known."""
    check = account.check
    if check is None or check.share is None:
        return ""
    low, high = check.interval
    return (
        f"About {share(check.share, 1)} of the negatives are relevant after all (95 % interval {share(low, 1)} to "
        f"{share(high, 1)}), says {check.by}."
    )


def judged(account: Account) -> str:
    """What follows the estimate: how many were judged; empty when nobody judged."""
    check = account.check
    if check is None:
        return ""
    if not check.judged:
        return f"{check.by} answered for none of the {several(check.sample, 'negative')} that were drawn for it."
    silent = check.sample - check.judged
    drawn = several(check.judged, "negative")
    said = f"It gave a score of {check.limit:g} or more to {count(check.relevant)} of {drawn} that were drawn"
    return said + (f", and no answer for {several(silent, 'other')}." if silent else ".")


def recall(account: Account) -> list[str]:
    """For each source with an approximate index, how much it finds."""
    return [
        f"{source} finds {share(found.recall, 1)} of what exact search finds"
        + (f" (95 % interval {share(found.interval[0], 1)} to {share(found.interval[1], 1)})" if found.interval else "")
        + f", measured on {several(found.queries, 'query', 'queries')}."
        for source, found in (account.recall or {}).items()
    ]


def spread(values: Spread) -> str:
    """How the kept lie beside the known positives; empty where one of them is missing. Exact to a bin."""
    kept, known = values.counts.get(KEPT), values.counts.get(KNOWN_POSITIVES)
    if not kept or not known:
        return ""
    middle = _middle(known)
    above = sum(kept[middle + 1 :])
    do = f"{share(above, sum(kept))} of the negatives that were kept do" if above else "no negative that was kept does"
    return f"Half of the known positives score above about {values.edges[middle + 1]:.2g}; {do}."


def _middle(counts: tuple[int, ...]) -> int:
    """The bin in which the middle one is."""
    passed, half = 0, sum(counts) / 2
    for place, number in enumerate(counts):
        passed += number
        if passed >= half:
            return place
    return len(counts) - 1
