"""The findings of an audit in the terminal: a count for each kind, and the surest of the grave ones."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nearfar.api import AuditResult
from nearfar.auditing.finding import KINDS, NOTE, SERIOUS, SPLITS, Finding

_EXAMPLES = 3
_SHOWN_CHARACTERS = 160


def print_findings(result: AuditResult) -> None:
    """Counts of every kind that was looked for, what was left out, examples of what is more than a note."""
    console = Console(highlight=False)
    data = result.summary["data"]
    title = f"{data['name']}: {sum(data['queries'].values()):,} queries, {data['documents']:,} documents"
    counts = result.summary["counts"]
    splits = list(dict.fromkeys(row["split"] for row in sorted(counts, key=lambda row: SPLITS.index(row["split"]))))
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    table.add_column("found")
    table.add_column("")
    for split in splits:
        table.add_column(split or "documents", justify="right")
    for kind in dict.fromkeys(row["kind"] for row in counts):
        found = {row["split"]: row["found"] for row in counts if row["kind"] == kind}
        any_found = any(found.values())
        style = ("bold" if KINDS[kind].level == SERIOUS else "") if any_found else "dim"
        cells = (f"{found[split]:,}" if split in found else "" for split in splits)
        table.add_row(KINDS[kind].title, KINDS[kind].level if any_found else "", *cells, style=style)
    console.print(table)
    for sentence in (*data["notes"], *(f"Left out: {each}" for each in result.summary["left_out"])):
        console.print(sentence, style="dim")
    if result.summary["model"] == "bm25":
        console.print(
            "Judgements were doubted by BM25, which sees words only; --model takes a better judge.", style="dim"
        )
    for name in KINDS:
        listed = [finding for finding in result.findings if finding.kind == name]
        if listed and KINDS[name].level != NOTE:
            console.print()
            console.print(Text(KINDS[name].title, style="bold"))
            console.print(KINDS[name].advice, style="dim")
            for finding in listed[:_EXAMPLES]:
                _print(console, finding)


def _print(console: Console, finding: Finding) -> None:
    head = ", ".join(filter(None, (finding.split, f"score {finding.score:.3g}", finding.note)))
    lines = [Text(f"  {head}")]
    for role in ("query", "document", "other"):
        cited = getattr(finding, role)
        if cited is not None:
            text = " ".join(cited.text.split())
            shown = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
            lines.append(Text.assemble((f"    {role} {cited.id}: ", "dim"), shown))
    for line in lines:
        console.print(line)
