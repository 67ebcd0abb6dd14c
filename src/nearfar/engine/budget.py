"""How much of a step is in memory at once: as tokens, or as bytes of activations.

What does not fit is embedded twice: once for the vectors, and again in the backward pass, where its activations are
needed (gradient caching, arXiv 2101.06983). The result is that of a plain step, dropout included.
"""

import re
from dataclasses import dataclass

from nearfar.errors import ConfigError

_UNITS = {"MiB": 2**20, "GiB": 2**30, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class Budget:
    """What the activations of a step may take.

    Attributes:
        tokens: padded tokens; None for no such limit.
        bytes: of memory; None for no such limit.
    """

    tokens: int | None = None
    bytes: int | None = None

    @classmethod
    def parse(cls, text: int | str | None) -> "Budget":
        """A number is tokens; a text is a number and a unit, such as ``800 MiB``; None is no limit.

        Raises:
            ConfigError: when it is neither.
        """
        if text is None:
            return cls()
        if isinstance(text, str):
            found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(\w+)", text.strip())
            if found and found[2] in _UNITS and float(found[1]) > 0:
                return cls(bytes=int(float(found[1]) * _UNITS[found[2]]))
            text = int(text) if text.strip().isdigit() else text
        if isinstance(text, int) and not isinstance(text, bool) and text > 0:
            return cls(tokens=text)
        raise ConfigError(
            f"batches.at_once is {text!r}; it must be a number of tokens above 0, such as 16384, or memory with its "
            f"unit ({', '.join(_UNITS)}), such as 800 MiB."
        )

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return self.tokens is not None or self.bytes is not None


def check_length(text: str, tokens: int, budget: Budget) -> None:
    """Refuse a text that takes more than the budget all by itself.

    Raises:
        ConfigError: with the text and its length.
    """
    if budget.tokens is not None and tokens > budget.tokens:
        raise ConfigError(
            f"batches.at_once is {budget.tokens} tokens, but one text alone has {tokens}: {text[:80]!r}. Allow as many "
            "as the longest text has, or set model.max_length."
        )
