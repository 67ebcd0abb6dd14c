"""The settings of an audit."""

from dataclasses import dataclass

from nearfar.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """What counts as near, and how far rankings are looked at.

    Attributes:
        similarity: from which Jaccard similarity of words and pairs of words on two texts are nearly equal.
        share: a judged negative is suspected from this share of the score of the query's own relevant document on.
        lead: an unjudged document is suspected where it is the first and scores so much more, as a share of it.
        depth: a relevant document below so many places counts as not found.
        queries: of each split at most so many queries are ranked, chosen by a hash of their texts.

    Raises:
        ConfigError: a value is out of range.
    """

    similarity: float = 0.7
    share: float = 1.0
    lead: float = 0.25
    depth: int = 100
    queries: int = 10_000

    def __post_init__(self) -> None:
        for name, low, high in (("similarity", 0.1, 1.0), ("share", 0.0, 2.0), ("lead", 0.0, 10.0)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} must be between {low:g} and {high:g}, got {getattr(self, name):g}.")
        for name in ("depth", "queries"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}.")


DEFAULTS = AuditOptions()
"""What an audit does unless something else is asked for."""
