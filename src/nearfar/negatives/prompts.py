"""The words in which a language model is asked, and templates of a user's own."""

import re
from collections.abc import Sequence
from pathlib import Path

from nearfar.errors import ConfigError
from nearfar.files import reason_of

RELEVANT = """\
Does the text answer the query, fully or in a part that matters? A text on the same topic that does not answer it is a \
no.

Query: {query}

Text: {document}

Answer with one word, yes or no."""

RELEVANT_REMARK = "Your whole answer must be one word: yes or no."

RELEVANT_AMONG = """\
Which of the numbered texts answer the query, fully or in a part that matters? Texts on the same topic that do not \
answer it do not count.

Query: {query}

{documents}

Answer with the numbers of the texts that answer it, separated by commas, or with the word none."""

RELEVANT_AMONG_REMARK = "Your whole answer must be numbers of texts separated by commas, or the word none."

QUERY = """\
Write a query that somebody would type into a search engine and that the text below answers. Do not copy its wording.

Text: {document}

Answer with the query alone."""

NEGATIVE = """\
Below are a query and a text that answers it. Write another text of about {words} words in the style of that text. It \
shares the topic and the terms of the query, so that a search engine might return it, but it does not answer the \
query, and what it says is not in the text below.

Query: {query}

Text: {document}

Answer with the new text alone."""

WRITING_REMARK = "Answer with what was asked for and nothing else. Keep it short."

_FIELD = re.compile(r"\{(\w+)\}")


def fill(template: str, **values: object) -> str:
    """Put values in the places that are named in braces. Other braces, and those in the values, mean themselves."""
    return _FIELD.sub(lambda found: str(values.get(found[1], found[0])), template)


def read_template(path: Path, fields: Sequence[str]) -> str:
    """A user's own template.

    Raises:
        ConfigError: when it cannot be read, or does not name one of the fields.
    """
    try:
        template = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the template {path}: {reason_of(error)}.") from error
    missing = [name for name in fields if f"{{{name}}}" not in template]
    if missing:
        places = ", ".join(f"{{{name}}}" for name in missing)
        raise ConfigError(
            f"The template {path} has no place for {places}. Write the braces and the word where it goes."
        )
    return template
