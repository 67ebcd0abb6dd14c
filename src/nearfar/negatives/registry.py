"""All parts of a mining job by name: where their text forms are read, and what the reference says of them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache, wraps
from typing import Any, Generic, TypeVar

from nearfar.config.component import Component, parse_component
from nearfar.errors import ConfigError
from nearfar.negatives.filters.consistency import Consistency
from nearfar.negatives.filters.contamination import Contaminated
from nearfar.negatives.filters.noise import Noise
from nearfar.negatives.filters.removing import Removing
from nearfar.negatives.filters.scores import Absolute, AtLeast, BelowCrossEncoder, Guide, Judge, Margin, Percent
from nearfar.negatives.parts import Filter, Relabel, Scorer, Selection, Source, Weight
from nearfar.negatives.relabel import DropQuery, ToPositive
from nearfar.negatives.selection import ByEpoch, MarginBins, Padded, SimANS, Softmax, Stride, Top, Uniform
from nearfar.negatives.weights import Doubt, Propensity
from nearfar.negatives.windows import Window
from nearfar.retrieval.kinds import EXACT, KINDS, IndexKind

Kind = TypeVar("Kind", bound=Component, covariant=True)


@dataclass(frozen=True)
class Registered(Generic[Kind]):
    """A part of a mining job.

    Attributes:
        make: its class.
        paper: what it is from: a title or a name, or empty for what needs no reference.
        arxiv: number of the paper, or None.
    """

    make: type[Kind]
    paper: str = ""
    arxiv: str | None = None

    @property
    def summary(self) -> str:
        """The first sentence of its documentation."""
        return " ".join((inspect.getdoc(self.make) or "").partition("\n\n")[0].split())

    @property
    def example(self) -> str:
        """Its text form with default settings, or an example where one must be given."""
        return getattr(self.make, "example", None) or str(self.make())

    @property
    def settings(self) -> dict[str, object]:
        """Its settings with their defaults; ``...`` for one that must be given."""
        listed = fields(self.make)  # type: ignore[arg-type]  # every part is a dataclass
        return {each.name: ... if each.default is MISSING else each.default for each in listed}


FILTERS: dict[str, Registered[Filter]] = {
    "Percent": Registered(Percent, "NV-Retriever", "2407.15831"),
    "Margin": Registered(Margin, "NV-Retriever", "2407.15831"),
    "Absolute": Registered(Absolute, "NV-Retriever", "2407.15831"),
    "AtLeast": Registered(AtLeast),
    "Removing": Registered(Removing),
    "Window": Registered(Window),
    "Guide": Registered(Guide, "GISTEmbed", "2402.16829"),
    "BelowCrossEncoder": Registered(BelowCrossEncoder, "RocketQA", "2010.08191"),
    "Judge": Registered(Judge, "UniME-V2", "2510.13515"),
    "Noise": Registered(Noise, "Noise in relation classification", "2311.12298"),
    "Consistency": Registered(Consistency, "KaLM-Embedding-V2", "2506.20923"),
    "Contaminated": Registered(Contaminated, "ConTAM", "2411.03923"),
}
WEIGHTS: dict[str, Registered[Weight]] = {
    "Doubt": Registered(Doubt),
    "Propensity": Registered(Propensity, "Coupled estimation (CET)", "2209.05072"),
}
RELABELS: dict[str, Registered[Relabel]] = {
    "ToPositive": Registered(ToPositive, "RLHN", "2505.16967"),
    "DropQuery": Registered(DropQuery, "RLHN", "2505.16967"),
}
SELECTIONS: dict[str, Registered[Selection]] = {
    "Top": Registered(Top),
    "Uniform": Registered(Uniform, "NV-Retriever", "2407.15831"),
    "Stride": Registered(Stride, "UniME-V2", "2510.13515"),
    "MarginBins": Registered(MarginBins, "TAS-Balanced", "2104.06967"),
    "Softmax": Registered(Softmax),
    "SimANS": Registered(SimANS, "SimANS", "2210.11773"),
    "ByEpoch": Registered(ByEpoch),
    "Padded": Registered(Padded),
}


@cache
def sources() -> dict[str, Registered[Source]]:
    """All sources. They are imported when they are asked for, since they search, read files and ask servers."""
    from nearfar.negatives.edits import Edits
    from nearfar.negatives.sources.drawn import Clusters, Random
    from nearfar.negatives.sources.retrieved import BM25, Dense, Hybrid, RunFile
    from nearfar.negatives.sources.written import Generated

    return {
        "Dense": Registered(Dense, "ANCE", "2007.00808"),
        "BM25": Registered(BM25, "DPR", "2004.04906"),
        "Hybrid": Registered(Hybrid, "LG-ANNA", "2506.07438"),
        "Random": Registered(Random),
        "Clusters": Registered(Clusters, "LEMON", "2203.04703"),
        "RunFile": Registered(RunFile),
        "Generated": Registered(Generated, "Don't Retrieve, Generate", "2504.21015"),
        "Edits": Registered(Edits),
    }


@cache
def scorers() -> dict[str, Registered[Scorer]]:
    """All scorers. They are imported when they are asked for, since they open models and ask servers."""
    from nearfar.negatives.judging import Cascade, CrossEncoder, LanguageModel
    from nearfar.negatives.scorers import Model

    return {
        "Model": Registered(Model),
        "CrossEncoder": Registered(CrossEncoder, "RocketQA", "2010.08191"),
        "LanguageModel": Registered(LanguageModel, "UniME-V2", "2510.13515"),
        "Cascade": Registered(Cascade, "RLHN", "2505.16967"),
    }


METHODS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "BM25 negatives": ("2004.04906", {"sources": "BM25(depth=200)", "select": "Top(count=1)"}),
    "ANCE, STAR": ("2007.00808", {"sources": "Dense(depth=200)", "select": "Uniform(count=1)"}),
    "NV-Retriever": (
        "2407.15831",
        {"sources": "Dense(depth=100)", "filters": "Percent(ratio=0.95)", "select": "Uniform(count=4, last=10)"},
    ),
    "LG-ANNA": (
        "2506.07438",
        {
            "sources": "Hybrid(sources=[Dense(depth=100), BM25(depth=100)])",
            "filters": "Percent(ratio=0.95, by=cross_encoder)",
            "select": "Top(count=7)",
        },
    ),
    "RocketQA": (
        "2010.08191",
        {
            "sources": "Dense(depth=50)",
            "filters": "BelowCrossEncoder(below=0.1)",
            "relabel": "ToPositive(at_least=0.9)",
            "select": "Top(count=4)",
        },
    ),
    "UniME-V2": (
        "2510.13515",
        {"sources": "Dense(depth=50)", "filters": "Judge(margin=0.01)", "select": "Stride(count=10, by=judge)"},
    ),
    "KaLM-Embedding-V2": (
        "2506.20923",
        {
            "sources": "Dense(depth=100)",
            "filters": "Consistency(top=50)",
            "window": "Window(first=50, last=100, ranks=raw)",
            "select": "Top(count=7)",
        },
    ),
    "SimANS": ("2210.11773", {"sources": "Dense(depth=200)", "select": "SimANS(count=4)"}),
    "RLHN": (
        "2505.16967",
        {"sources": "Dense(depth=100)", "relabel": "ToPositive(at_least=0.5, by=judge)", "select": "Top(count=7)"},
    ),
}
"""Published ways to mine as settings of the section ``mining``: name, number of the paper, settings."""


def parse_source(text: str) -> Source:
    """Build the source that a text names. Raises ConfigError with the nearest name.

    The name of a search, as in ``Dense(index=HNSW(links=16))``, may stand there without quotes.
    """
    known: dict[str, Callable[..., Source | str]] = {name: each.make for name, each in sources().items()}
    known |= {EXACT: lambda: EXACT} | {name: _text_of(kind) for name, kind in KINDS.items()}
    found = parse_component(text, known, "source")
    if not isinstance(found, Source):
        raise ConfigError(f"{text!r} is how Dense searches, and no source. Write it as Dense(index={found!r}).")
    return found


def parse_scorer(text: str) -> Scorer:
    """Build the scorer that a text names. Raises ConfigError with the nearest name."""
    return _parse(text, scorers(), "scorer")


def parse_filter(text: str) -> Filter:
    """Build the filter that a text names. Raises ConfigError with the nearest name."""
    return _parse(text, FILTERS, "filter")


def parse_weight(text: str) -> Weight:
    """Build the weight that a text names. Raises ConfigError with the nearest name."""
    return _parse(text, WEIGHTS, "weight")


def parse_relabel(text: str) -> Relabel:
    """Build the rule of relabelling that a text names. Raises ConfigError with the nearest name."""
    return _parse(text, RELABELS, "relabelling")


def parse_selection(text: str) -> Selection:
    """Build the selection that a text names. Raises ConfigError with the nearest name."""
    return _parse(text, SELECTIONS, "selection")


def described() -> dict[str, Mapping[str, Registered[Component]]]:
    """Every part by kind and name, for the reference."""
    return {
        "Sources": sources(),
        "Scorers": scorers(),
        "Filters": FILTERS,
        "Relabelling": RELABELS,
        "Selections": SELECTIONS,
        "Weights": WEIGHTS,
    }


def _text_of(kind: Callable[..., IndexKind]) -> Callable[..., str]:
    """What makes the text form of an index."""

    @wraps(kind)
    def text(**settings: Any) -> str:
        return str(kind(**settings))

    return text


def _parse(text: str, known: Mapping[str, Registered[Kind]], kind: str) -> Kind:
    return parse_component(text, {name: each.make for name, each in known.items()}, kind)
