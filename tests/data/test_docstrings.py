import pytest

from nearfar.data.docstrings import first_sentence, functions
from nearfar.errors import DataError

SOURCE = '''
def wanted(value):
    """Adds one to the given value. And more.

    Much more.
    """
    result = value + 1
    return result


def undocumented(value):
    a = value
    b = a
    return b


def short(value):
    """Gives the value back unchanged."""
    return value


def terse(value):
    """Too few words."""
    a = value
    b = a
    return b


class Thing:
    @property
    async def inside(self):
        """Finds the thing that is inside of it."""
        a = 1
        return a
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name in ("docstrings_made/tests", "docstrings_made/deep"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("__init__.py", "code.py", "test_code.py", "tests/more.py", "conftest.py"):
        (tmp_path / "docstrings_made" / name).write_text("" if "init" in name else SOURCE, encoding="utf-8")
    (tmp_path / "docstrings_made" / "broken.py").write_text("def (", encoding="utf-8")
    (tmp_path / "docstrings_made" / "latin.py").write_bytes(b"# \xe4\n" + SOURCE.encode())
    (tmp_path / "docstrings_made" / "deep" / "escape.py").write_text(SOURCE + "x = '\\d'\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "docstrings_made"


def test_documented_functions_without_their_docstrings(package):
    found = {it.id: it for it in functions(package, 100)}
    assert sorted(found) == [f"{package}/{file}:{line}" for file in ("code.py", "deep/escape.py") for line in (2, 31)]
    wanted = found[f"{package}/code.py:2"]
    assert wanted.sentence == "Adds one to the given value."
    assert wanted.code == "def wanted(value):\n    result = value + 1\n    return result"
    assert wanted.package == package


def test_the_first_ones_are_the_same_for_every_limit(package):
    everything = functions(package, 100)
    assert [functions(package, limit) for limit in range(1, 5)] == [everything[:limit] for limit in range(1, 5)]


@pytest.mark.parametrize("name", ["no_such_package_here", "typing_extensions"])
def test_packages_that_are_none(name):
    with pytest.raises(DataError, match=f"The package '{name}' is not installed here, or is a single file"):
        functions(name, 10)


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("One.  Two.", "One."),
        ("Over two\n   lines. More.\n\nAnd more.", "Over two lines."),
        ("No stop\n\nNext paragraph.", "No stop"),
        ("See a.b.c for it! Then.", "See a.b.c for it!"),
        ("  ", ""),
    ],
)
def test_first_sentence(docstring, sentence):
    assert first_sentence(docstring) == sentence
