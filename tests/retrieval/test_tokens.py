import sys
from types import SimpleNamespace

import pytest

from nearfar.errors import ConfigError
from nearfar.retrieval.tokens import Tokeniser, snowball, without_plural


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("The cats AND the dogs", ["cat", "dog"]),
        ("C2, or not C2!", ["c2", "c", "2", "c2", "c", "2"]),
        ("parse_httpResponse2", ["parse_httpresponse2", "parse", "http", "response", "2"]),
        ("HTMLParser", ["htmlparser", "html", "parser"]),
        ("__init__", ["__init__"]),
        ("don't", ["don", "t"]),
        ("Größe der Straße", ["größe", "der", "straße"]),
        ("größe_max", ["größe_max", "größe", "max"]),
        ("ﬁle ① \uff21\uff11", ["file", "1", "a1", "1"]),
        ("東京都", ["東京", "京都"]),
        ("私はPython3が好き", ["私は", "python3", "が好", "好き"]),
        ("木", ["木"]),
        ("हिन्दी है। दो", ["हिन्दी", "है", "दो"]),
        ("ภาษาไทย", ["ภา", "าษ", "ษา", "าไ", "ไท", "ทย"]),
        ("Привет, мир", ["привет", "мир"]),
    ],
)
def test_terms_of_a_text(text, terms):
    assert Tokeniser(identifiers=True)(text) == terms


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("queries", "query"),
        ("files", "file"),
        ("classes", "classe"),
        ("class", "class"),
        ("status", "status"),
        ("analysis", "analysis"),
        ("gas", "gas"),
        ("zombies", "zomby"),
        ("zeies", "zeie"),
    ],
)
def test_plurals(word, stem):
    assert without_plural(word) == stem


def test_every_step_can_be_left_out():
    plain = Tokeniser(identifiers=False, stop_words=(), stem=None)
    assert plain("The parse_files") == ["the", "parse_files"]
    assert Tokeniser(stop_words=["x"])("the x") == ["the"]
    assert Tokeniser(stem=str.upper)("cats") == ["CATS"]


def test_snowball_needs_its_package_and_knows_its_languages(monkeypatch):
    monkeypatch.setitem(sys.modules, "Stemmer", None)
    with pytest.raises(ConfigError, match="pip install PyStemmer"):
        snowball()

    def stemmer(language: str) -> SimpleNamespace:
        return {"english": SimpleNamespace(stemWord=lambda word: word[:3])}[language]

    monkeypatch.setitem(sys.modules, "Stemmer", SimpleNamespace(Stemmer=stemmer, algorithms=lambda: ["english"]))
    assert Tokeniser(stem=snowball())("running") == ["run"]
    with pytest.raises(ConfigError, match=r"for 'englisch'. Known: english. Did you mean 'english'"):
        snowball("englisch")
