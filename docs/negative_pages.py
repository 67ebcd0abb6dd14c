"""The generated page of the parts of a mining job."""

from collections.abc import Mapping

from objective_pages import GENERATED, row

from nearfar.config.component import Component
from nearfar.negatives.candidates import Reason
from nearfar.negatives.reasons import REASONS
from nearfar.negatives.registry import METHODS, Registered, described
from nearfar.retrieval.kinds import KINDS as INDEXES

KINDS = {
    "Sources": ("sources", "Where candidates come from. Several are asked one after the other."),
    "Scorers": ("scorers", "Scores of a query and a text, under a name by which filters and weights ask for them."),
    "Filters": ("filters", "What drops candidates that may be relevant, each with its reason."),
    "Relabelling": ("relabel", "What becomes of candidates that look relevant, other than being dropped."),
    "Selections": ("select", "Which of the kept candidates are handed out."),
    "Weights": ("weights", "What weighs the negatives in training."),
}
"""The setting of each kind, below ``mining``, and what the kind is for."""


def page() -> str:
    """The page."""
    blocks = [
        "# Parts of a mining job",
        GENERATED,
        "The settings of the section `mining` take the text forms of these: the name, and in brackets the settings "
        "that differ from their defaults. What they are for and how to choose them is in [the guide]"
        "(../guide/negatives.md).",
    ]
    for kind, known in described().items():
        setting, purpose = KINDS[kind]
        blocks += [f"## {kind}", f"Setting `mining.{setting}`. {purpose}", _table(known)]
    blocks += [
        "## Indexes",
        "What `Dense(index=...)` takes beside `Exact`. What an index finds is scored in float32 and ordered as exact "
        "search does it; the account says how much of it it finds. They need FAISS: `pip install 'nearfar[faiss]'`.",
        _indexes(),
    ]
    blocks += ["## Reasons", "What became of each candidate, in `candidates.parquet` and in the account.", _reasons()]
    blocks += ["## Published ways to mine", "As settings; what is not given is left at its default.", _methods()]
    return "\n\n".join(blocks) + "\n"


def _table(known: Mapping[str, Registered[Component]]) -> str:
    rows = [row("name", "what it does", "settings", "paper"), "|---|---|---|---|"]
    for name, each in known.items():
        settings = ", ".join(
            f"`{key}`" if default is ... else f"`{key}={_plain(default)}`" for key, default in each.settings.items()
        )
        own = getattr(each.make, "reason", None)  # a filter around another has that of the other
        reason = f" Reason `{own.name.lower()}`." if isinstance(own, Reason) else ""
        rows.append(row(f"`{name}`", each.summary + reason, settings, _paper(each)))
    return "\n".join(rows)


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value) or "''"


def _paper(each: Registered[Component]) -> str:
    return f"[{each.paper}](https://arxiv.org/abs/{each.arxiv})" if each.arxiv else each.paper


def _indexes() -> str:
    rows = [row("name", "what it does", "settings"), "|---|---|---|"]
    for name, kind in INDEXES.items():
        each = Registered(kind)
        settings = ", ".join(f"`{key}={_plain(default)}`" for key, default in each.settings.items())
        rows.append(row(f"`{name}`", each.summary, settings))
    return "\n".join(rows)


def _reasons() -> str:
    rows = [row("reason", "meaning"), "|---|---|"]
    named = ((f"`{reason.name.lower()}`" if reason != Reason.KEPT else "(empty)", REASONS[reason]) for reason in Reason)
    return "\n".join(rows + [row(*each) for each in named])


def _methods() -> str:
    rows = [row("method", "settings"), "|---|---|"]
    for name, (arxiv, settings) in METHODS.items():
        shown = ", ".join(f"`mining.{key}={value}`" for key, value in settings.items())
        rows.append(row(f"[{name}](https://arxiv.org/abs/{arxiv})", shown))
    return "\n".join(rows)
