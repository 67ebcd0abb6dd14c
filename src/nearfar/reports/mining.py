"""The page of a mining job: what was proposed, what became of it and why, with the texts to judge that by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nearfar.files import write_text
from nearfar.negatives.candidates import SOURCE, Reason
from nearfar.negatives.reasons import GROUP_OF, GROUPS, REASONS, code, title
from nearfar.reports import mining_figures, mining_words, words
from nearfar.reports.canvas import Figure
from nearfar.reports.frame import REPORT, render_page
from nearfar.reports.mining_contents import Account, Example, MiningRun, read_mining

_SHOWN_CHARACTERS = 600


@dataclass(frozen=True, kw_only=True)
class ReasonRow:
    """A reason in the table: how many candidates have it. ``colour`` is one of the style sheet."""

    reason: str
    title: str
    colour: str
    found: int
    share: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class ExampleGroup:
    """The examples of a reason."""

    title: str
    colour: str
    meaning: str
    shown: tuple[Example, ...]


def write_mining_report(folder: Path, out: Path | None = None) -> Path:
    """Write the page of the mining job in a folder and give its path; an older one is replaced.

    Args:
        folder: of the job; only its files are read.
        out: the file to write; ``report.html`` in the folder when None.

    Raises:
        DataError: the folder holds no account of a mining job, or a file in it is broken.
        ResourceError: the page cannot be written.
    """
    page = render(read_mining(folder), folder.name)
    target = folder / REPORT if out is None else out
    write_text(target, page)
    return target


def render(run: MiningRun, name: str) -> str:
    """The page as text. The same job gives the same text.

    Args:
        run: the files of the job.
        name: of its folder.
    """
    account = run.account
    drawn = draw(account)
    return render_page(
        "mining.html.jinja",
        command="mine",
        title=name,
        figures=drawn,
        headline=mining_words.headline(account),
        lede=[mining_words.funnel(account), *mining_words.made(account), mining_words.estimate(account)],
        remarks=[
            *mining_words.settled(account),
            *mining_words.looked(account),
            *mining_words.unanswered(account),
            *mining_words.refused(account),
        ],
        reasons=list(reason_rows(account)),
        groups=[(group, _style(reasons[0])) for group, reasons in GROUPS.items() if account.total.group(group)],
        lists=mining_words.lists(account),
        recall=mining_words.recall(account),
        scores=[
            (mining_words.spread(spread), f"score-{place}")
            for place, spread in enumerate(account.scores.values())
            if f"score-{place}" in drawn
        ],
        estimate=list(filter(None, (mining_words.estimate(account), mining_words.judged(account)))),
        examples=list(example_groups(run.examples)),
        facts=list(facts(run.record)),
        config=run.config,
    )


def draw(account: Account) -> dict[str, Figure]:
    """Every figure for which there are numbers, by name. Scores that are not on one scale are not drawn together."""
    scores = (
        mining_figures.score_figure(place, name, spread)
        for place, (name, spread) in enumerate(account.scores.items())
        if name != SOURCE or len(account.funnel) == 1
    )
    drawn = (
        mining_figures.funnel_figure(account),
        mining_figures.sources_figure(account.funnel),
        mining_figures.lists_figure(account),
        *scores,
    )
    return {one.name: one for one in drawn if one is not None}


def reason_rows(account: Account) -> Iterator[ReasonRow]:
    """The reasons that candidates have, in the order of the work, and the kept at the end."""
    total = account.total
    for reason in (*(reason for reason in Reason if reason), Reason.KEPT):
        if total.count(reason) or reason == Reason.KEPT:
            yield ReasonRow(
                reason=code(reason),
                title=title(reason),
                colour=_style(reason),
                found=total.count(reason),
                share=mining_words.share(total.count(reason), account.candidates),
                meaning=REASONS[reason],
            )


def example_groups(examples: tuple[Example, ...]) -> Iterator[ExampleGroup]:
    """Examples by reason, those of the kept first."""
    for reason in Reason:
        name = "" if reason == Reason.KEPT else code(reason)
        shown = tuple(_cut(example) for example in examples if example.reason == name)
        if shown:
            yield ExampleGroup(title=title(reason), colour=_style(reason), meaning=REASONS[reason], shown=shown)


def facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the record of the job says in a word or a number each: what was mined for, where, and for how long."""
    for name, value in record.items():
        if isinstance(value, str) and name not in ("state", "job"):
            yield name.replace("_", " "), value
    seconds, environment = (record.get(name) or {} for name in ("seconds", "environment"))
    if "total" in seconds:
        yield "time", words.duration(seconds["total"])
    for name, value in environment.items():
        yield name.replace("_", " "), str(value)


def _style(reason: Reason) -> str:
    """The colour of a reason as CSS has it."""
    name, _, opacity = mining_figures.COLOURS[GROUP_OF[reason]].removeprefix("@").partition("/")
    return (
        f"var(--{name})" if not opacity else f"color-mix(in srgb, var(--{name}) {100 * float(opacity):g}%, transparent)"
    )


def _cut(example: Example) -> Example:
    """The example with texts that fit a page."""
    return replace(
        example,
        query=_beginning(example.query),
        candidate=_beginning(example.candidate),
        positive=_beginning(example.positive),
    )


def _beginning(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "\N{HORIZONTAL ELLIPSIS}"
