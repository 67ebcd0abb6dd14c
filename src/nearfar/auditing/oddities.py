"""Texts that stand out by length, script or content. Often they are fine; broken ones are among them."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Float64, Int64

from nearfar.auditing.finding import Cited, Finding, Ledger
from nearfar.auditing.subject import Subject
from nearfar.auditing.words import Words
from nearfar.data.tables import Texts

FAR = 5.0
"""Robust standard deviations from the median, from which on a length is unusual."""

FOREIGN = 0.05
"""A script that more of the letters of a table are in is at home there."""

_MARKUP = re.compile(r"<[^<>]{1,200}>|&#?\w{1,10};")
_SAYS_LITTLE = 0.7
_REPEATED_FROM = 5
_EAST_ASIAN = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC", "KATAKANA-HIRAGANA"})


def find_oddities(subject: Subject, ledger: Ledger) -> None:
    """Unusual lengths, scripts and contents, each side against itself."""
    dataset = subject.dataset
    tables = {"document": (dataset.documents, subject.documents)}
    if not subject.labelled:
        tables = {"query": (dataset.queries, subject.queries), **tables}
    for side, (texts, words) in tables.items():
        splits = subject.split_of_query if side == "query" else [""] * len(texts)
        counts = Counter(splits)
        for kind, found in (
            ("odd_length", odd_lengths(texts)),
            ("odd_script", odd_scripts(texts)),
            ("odd_content", odd_contents(texts, words)),
        ):
            findings = (
                Finding(
                    kind=kind,
                    split=splits[row],
                    query=Cited(texts, row) if side == "query" else None,
                    document=Cited(texts, row) if side == "document" else None,
                    score=score,
                    gap=gap,
                    sure=sure,
                    note=note,
                )
                for row, score, gap, sure, note in found
            )
            ledger.add(findings, {(kind, split): counts[split] for split in counts})


Odd = tuple[int, float, float, float, str]
"""Row, score, gap, sureness, note."""


def odd_lengths(texts: Texts) -> Iterator[Odd]:
    """Texts whose length in characters is far from the median, on a logarithmic scale."""
    import pyarrow.compute as compute

    lengths = compute.utf8_length(texts.texts).to_numpy(zero_copy_only=False).astype(np.float64)
    distance = robust_z(np.log(lengths))
    typical = float(np.median(lengths)) if len(lengths) else 0.0
    for row in np.flatnonzero(np.abs(distance) >= FAR).tolist():
        far = float(distance[row])
        yield row, float(lengths[row]), far, 1 - FAR / (abs(far) + FAR), f"half of the texts have {typical:g} or fewer"


def robust_z(values: Float64[np.ndarray, " value"]) -> Float64[np.ndarray, " value"]:
    """The distance of each value from the median in standard deviations, which a few outliers do not move.

    The deviation is 1.4826 times the median absolute deviation; where that is 0, 1.2533 times the mean absolute one
    (Iglewicz and Hoaglin 1993); where that is 0 too, nothing is far.
    """
    if not len(values):
        return values
    from_median = values - np.median(values)
    spread = 1.4826 * float(np.median(np.abs(from_median))) or 1.2533 * float(np.abs(from_median).mean())
    result: Float64[np.ndarray, " value"] = from_median / spread if spread > 0 else np.zeros_like(values)
    return result


def odd_scripts(texts: Texts) -> Iterator[Odd]:
    """Texts most of whose letters are of scripts that are rare in the table."""
    by_text = [_scripts(str(text.as_py())) for text in texts.texts]
    total: Counter[str] = Counter()
    for counts in by_text:
        total.update(counts)
    letters = sum(total.values())
    rare = {script for script, count in total.items() if count < FOREIGN * letters}
    for row, counts in enumerate(by_text):
        foreign = {script: count for script, count in counts.items() if script in rare}
        share = sum(foreign.values()) / max(1, sum(counts.values()))
        if share > 0.5:
            main = min(foreign, key=lambda script: (-foreign[script], script))
            yield row, share, 0.0, share * (1 - total[main] / letters), f"mostly {main.title()}"


def _scripts(text: str) -> Counter[str]:
    """How many letters of each script a text has."""
    if text.isascii():
        return Counter({"LATIN": sum(map(str.isalpha, text))})
    found: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if (script := script_of(character)) is not None:
            found[script] += count
    return found


@lru_cache(maxsize=1 << 16)
def script_of(character: str) -> str | None:
    """The script of a letter, by the first word of its Unicode name; None for anything else.

    Kana, Hangul and Han count as one, since Japanese and Korean texts mix them.
    """
    if not character.isalpha():
        return None
    script = unicodedata.name(character, "UNNAMED").split()[0]
    if script in ("FULLWIDTH", "HALFWIDTH", "MATHEMATICAL"):
        script = "LATIN"
    return "EAST ASIAN" if script in _EAST_ASIAN else script


def odd_contents(texts: Texts, words: Words) -> Iterator[Odd]:
    """Texts that are mostly markup, spaces, signs, or one word again and again."""
    repeated = _repeated(words)
    for row, value in enumerate(texts.texts):
        text = str(value.as_py())
        visible = len("".join(text.split()))
        shares = {
            "markup": sum(map(len, _MARKUP.findall(text))) / len(text),
            "white space": 1 - visible / len(text),
            "signs": _signs(text, visible),
            "one word, repeated": float(repeated[row]),
        }
        worst = max(shares, key=lambda name: shares[name])
        if shares[worst] >= _SAYS_LITTLE:
            yield row, shares[worst], 0.0, shares[worst], f"mostly {worst}"


def _signs(text: str, visible: int) -> float:
    """The share of visible characters that are no letter, digit or mark; marks are counted only where it matters."""
    says = sum(map(str.isalnum, text))
    if visible - says >= _SAYS_LITTLE * visible and not text.isascii():
        says += sum(unicodedata.category(character).startswith("M") for character in text)
    return 1 - says / visible


def _repeated(words: Words) -> Float64[np.ndarray, " text"]:
    """The share of each text's commonest word; 0 for texts of a few words."""
    share = np.zeros(len(words))
    _, numbers = np.unique(words.keys, return_inverse=True)
    numbers = numbers.reshape(-1)
    width = int(numbers.max(initial=0)) + 1
    members, counts = np.unique(words.text_of * width + numbers, return_counts=True)
    most: Int64[np.ndarray, " text"] = np.zeros(len(words), dtype=np.int64)
    np.maximum.at(most, members // width, counts)
    long = words.counts >= _REPEATED_FROM
    share[long] = most[long] / words.counts[long]
    return share
