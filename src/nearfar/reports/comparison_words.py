"""The sentences of the page of a comparison. None claims more than the corrected tests of the comparison carry."""

from collections.abc import Iterator, Sequence

from nearfar.evaluation.comparison import ALL, Comparison, Standing, Table, Versus
from nearfar.reports import words


def headline(comparison: Comparison) -> str:
    """What was found, in one sentence."""
    table = comparison.main
    if table is None or not table.versus:
        return "There is nothing to compare yet."
    if comparison.baseline is not None:
        return _against(comparison.baseline, table)
    return _among(table)


def _against(baseline: str, table: Table) -> str:
    """The headline where all are compared with one."""
    rivals = [one for one in table.standings if one.system != baseline]
    better, worse = ([one.system for one in rivals if one.verdict == kind] for kind in ("better", "worse"))
    if len(rivals) == 1:
        name = rivals[0].system
        if better or worse:
            return f"{name} is {'better' if better else 'worse'} than {baseline}."
        return f"{name} and {baseline} could not be told apart."
    if better:
        few = len(better) <= 3
        said = listed(better) if few else f"{len(better)} of {len(rivals)} systems"
        return f"{said} {'is' if len(better) == 1 else 'are'} better than {baseline}."
    if len(worse) == len(rivals):
        return f"All {len(rivals)} systems are worse than {baseline}."
    if worse:
        return f"None of {len(rivals)} systems was found better than {baseline}; {len(worse)} {_are(worse)} worse."
    return f"No difference from {baseline} was found in {len(rivals)} systems."


def _among(table: Table) -> str:
    """The headline where every pair is compared."""
    best, others = table.standings[0].system, len(table.standings) - 1
    alike = sum(one.leader for one in table.standings) - 1
    if not any(one.verdict != "open" for one in table.versus):
        if others == 1:
            return f"{best} and {table.standings[1].system} could not be told apart."
        return f"No difference between the {others + 1} systems was found."
    if not alike:
        return f"{best} is better than {f'the other {others}' if others > 1 else table.standings[1].system}."
    return f"{best} leads, but {alike} of the {others} others could not be told apart from it."


def lede(comparison: Comparison) -> Iterator[str]:
    """What the headline stands on."""
    table = comparison.main
    if table is None:
        yield _unfinished(comparison) or "No system has a result."
        return
    yield f"{comparison.measure} {where(table)}{_seeds(table)}."
    found = _largest(comparison, table)
    if found is not None:
        start = "" if len(table.versus) == 1 else "The largest difference that was found: "
        corrected = " after correction" if table.family > 1 else ""
        yield (
            f"{start}{found.treatment} minus {found.control} is {words.signed(found.difference)} "
            f"({interval(found, comparison.confidence)}, {words.p_value(found.adjusted)}{corrected})."
        )
    seen = seeable(table)
    if seen:
        yield seen
    left = _unfinished(comparison)
    if left:
        yield left


def where(table: Table) -> str:
    """``over 3 data sets with 1,200 test queries`` or ``on cosqa with 500 test queries``."""
    place = f"over {len(table.data_sets)} data sets" if table.name == ALL else f"on {table.name}"
    return f"{place} with {words.count(table.queries)} queries"


def _seeds(table: Table) -> str:
    counts = sorted({len(seeds) for seeds in table.seeds.values() if seeds})
    if not counts:
        return ""
    said = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f", each recipe trained with {said} {'seed' if counts == [1] else 'seeds'}"


def _largest(comparison: Comparison, table: Table) -> Versus | None:
    """The comparison that was found and is largest; the one there is where there is only one."""
    if len(table.versus) == 1:
        return table.versus[0]
    found = [one for one in table.versus if one.verdict != "open"]
    better = [one for one in found if one.verdict == "better"] if comparison.baseline is not None else found
    return max(better or found, key=lambda one: abs(one.difference), default=None)


def seeable(table: Table) -> str:
    """The smallest difference that the comparisons could have seen."""
    known = sorted(one.detectable for one in table.versus if one.detectable is not None)
    if not known:
        return ""
    low, high = words.decimal(known[0]), words.decimal(known[-1])
    size = low if low == high else f"{low} to {high}, depending on the pair,"
    chance = "80\N{NO-BREAK SPACE}%"
    return f"A true difference of {size} would have been found with a chance of {chance}; smaller ones can hide."


def _unfinished(comparison: Comparison) -> str:
    if not comparison.gaps:
        return ""
    done, failed = comparison.cells - len(comparison.gaps), sum(gap.state == "failed" for gap in comparison.gaps)
    ending = f", {failed} failed" if failed else ""
    cells = f"{words.count(done)} of {words.count(comparison.cells)} cells"
    return f"Only {cells} are finished{ending}: what is missing stands below."


def interval(one: Versus | Standing, confidence: float) -> str:
    """``95 % interval +0.010 to +0.020``."""
    shape = words.signed if isinstance(one, Versus) else words.decimal
    return f"{words.percent(confidence)} interval {shape(one.low)} to {shape(one.high)}"


def reading(comparison: Comparison, table: Table) -> str:
    """How to read the table of the result."""
    if comparison.baseline is not None:
        return (
            f"Better and worse are against {comparison.baseline}, by p-values corrected for {table.family} "
            f"{'comparison' if table.family == 1 else 'comparisons'} (Holm). Not told apart does not mean equal: it "
            "means that this comparison could not decide."
        )
    return (
        "Systems that share a letter were not told apart, by p-values corrected for "
        f"{table.family} {'comparison' if table.family == 1 else 'comparisons'} (Holm). That does not mean equal: it "
        "means that this comparison could not decide."
    )


def against(comparison: Comparison, table: Table) -> str:
    """Whom differences are from: the baseline, else the best of the table."""
    return comparison.baseline if comparison.baseline is not None else table.standings[0].system


def versus(table: Table, system: str, control: str) -> Versus | None:
    """The comparison of two systems, read as ``system`` minus ``control``; None where it was not made."""
    for one in table.versus:
        if (one.treatment, one.control) == (system, control):
            return one
        if (one.treatment, one.control) == (control, system):
            return turned(one)
    return None


def turned(one: Versus) -> Versus:
    """The same comparison, read the other way."""
    opposite = {"better": "worse", "worse": "better", "open": "open"}
    return Versus(
        treatment=one.control,
        control=one.treatment,
        difference=-one.difference,
        low=-one.high,
        high=-one.low,
        p=one.p,
        adjusted=one.adjusted,
        verdict=opposite[one.verdict],  # type: ignore[arg-type]
        detectable=one.detectable,
        shares=one.shares,
    )


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
