"""The documentation is complete, up to date, and its links lead somewhere."""

import importlib.util
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

import nearfar
from nearfar.cli.main import app
from nearfar.config.run import RunConfig
from nearfar.objectives import catalogue
from nearfar.objectives.form import parts

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ENTRIES = {entry.name: entry for entry in catalogue()}
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*DOCS.rglob("*.md"), *ROOT.glob("*.md")))


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reference(name: str) -> str:
    return (DOCS / "reference" / name).read_text(encoding="utf-8")


def setting_keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, field in section.model_fields.items():
        if inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
            keys += setting_keys(field.annotation, f"{prefix}{name}.")
        else:
            keys.append(f"{prefix}{name}")
    return keys


def test_pages_are_up_to_date():
    """All but the curves, which ``make test`` has computed anew for the same check without ``--texts``."""
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check", "--texts"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""


def test_check_names_a_page_that_differs(generate, tmp_path, monkeypatch, capsys):
    page = tmp_path / "docs" / "guide.md"
    page.parent.mkdir()
    (tmp_path / "a.py").write_text("new = 1\n")
    page.write_text("<!-- snippet: a.py -->\n```python\nold = 1\n```\nText.\n")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(generate, "PAGES", {})
    monkeypatch.setattr(generate, "up_to_date", lambda recompute: ({}, set()))
    assert generate.main(["--check"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "docs/guide.md\n"
    assert "run python docs/generate.py" in captured.err
    assert generate.main([]) == 0
    assert page.read_text() == "<!-- snippet: a.py -->\n```python\nnew = 1\n```\nText.\n"
    assert generate.main(["--check"]) == 0


@pytest.fixture
def two(generate, tmp_path, monkeypatch):
    """The documentation of two objectives alone, in a folder of its own."""
    chosen = tuple(ENTRIES[name] for name in ("InfoNCE", "MarginMSE"))
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "DOCS", tmp_path / "docs")
    monkeypatch.setattr(generate, "PAGES", {})
    for module in (generate.plots, generate.objective_pages):
        monkeypatch.setattr(module, "catalogue", lambda: chosen)
    assert generate.main([]) == 0
    return tmp_path / "docs" / "reference"


@pytest.mark.slow
def test_curves_are_kept_within_a_tolerance_and_drawn_again_beyond(generate, two, capsys):
    file, plot = two / "objectives" / "curves.json", two / "objectives" / "plots" / "InfoNCE.svg"
    assert generate.main(["--check"]) == 0
    text, drawing = file.read_text(), plot.read_text()
    capsys.readouterr()

    kept = json.loads(text)
    kept["objectives"]["InfoNCE"]["negative"][-1] *= 1.005  # another machine
    near = generate.plots.written(generate.plots.read(write(file, kept)))
    file.write_text(near)
    plot.write_text("drawn elsewhere")
    assert generate.main(["--check"]) == 0
    assert generate.main([]) == 0
    assert (file.read_text(), plot.read_text()) == (near, "drawn elsewhere")

    kept["objectives"]["InfoNCE"]["negative"][-1] *= 1.05
    write(file, kept)
    assert generate.main(["--check", "--texts"]) == 1  # another way of writing
    assert generate.main(["--check"]) == 1
    shown = capsys.readouterr()
    assert "docs/reference/objectives/curves.json\ndocs/reference/objectives/plots/InfoNCE.svg\n" in shown.out
    assert "run python docs/generate.py" in shown.err
    assert generate.main([]) == 0
    assert (file.read_text(), plot.read_text()) == (text, drawing)


def write(file, content):
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_what_is_left_of_an_objective_that_is_gone_is_removed(generate, two, capsys):
    left = [two / "objectives" / "Gone.md", two / "objectives" / "plots" / "Gone.svg"]
    for path in left:
        path.write_text("")
    capsys.readouterr()
    assert generate.main(["--check", "--texts"]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [f"docs/reference/{each.relative_to(two)}" for each in left]
    assert generate.main(["--texts"]) == 0
    assert not any(path.exists() for path in left)
    assert generate.main(["--check", "--texts"]) == 0


def test_code_without_a_file_is_refused(generate):
    with pytest.raises(SystemExit, match=r"guide\.md: a block of python is not from a file"):
        generate.with_snippets("Text.\n\n```python\nprint(1)\n```\n", "guide.md")
    with pytest.raises(SystemExit, match=r"there is no snippet docs/snippets/gone\.py"):
        generate.with_snippets("<!-- snippet: docs/snippets/gone.py -->\n```python\n```\n", "guide.md")
    assert generate.with_snippets("```text\na b\n```\n", "guide.md") == "```text\na b\n```\n"


def test_every_snippet_is_on_a_page():
    pages = "".join(path.read_text(encoding="utf-8") for path in (*DOCS.rglob("*.md"), ROOT / "README.md"))
    snippets = [path.relative_to(ROOT).as_posix() for path in (DOCS / "snippets").glob("*.*")]
    assert [name for name in snippets if f"<!-- snippet: {name} -->" not in pages] == []


def test_every_command_and_option_is_described():
    page = reference("commands.md")
    for command in app.registered_commands:
        assert f"## nearfar {command.name}\n" in page
        assert inspect.getdoc(command.callback) in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > len(app.registered_commands)
    assert [line for line in rows if line.endswith("|  |")] == [], "give these a help text"


@pytest.mark.parametrize("key", setting_keys(RunConfig))
def test_every_setting_is_described(key):
    rows = [line for line in reference("settings.md").splitlines() if line.startswith(f"| `{key}` |")]
    assert len(rows) == 1
    meaning = rows[0].split(" | ")[-1].removesuffix(" |").strip()
    assert len(meaning) > 5, f"{key} needs a description"


@pytest.mark.parametrize("name", ENTRIES)
def test_every_objective_is_described(name):
    assert f"[{name}](objectives/{name}.md)" in reference("objectives.md")
    page = reference(f"objectives/{name}.md")
    entry = ENTRIES[name]
    for part in (f"# {name}\n", entry.summary, f"`{entry()}`", f"```math\n{entry.equation}\n```", f"plots/{name}.svg"):
        assert part in page
    for setting in entry.defaults:
        row = next(line for line in page.splitlines() if line.startswith(f"| `{setting}` |"))
        assert len(row.split(" | ")[-1]) > 5, f"{name}: {setting} needs a description"
    plot = DOCS / "reference" / "objectives" / "plots" / f"{name}.svg"
    assert 1000 < plot.stat().st_size < 15_000
    assert "http://" not in plot.read_text(encoding="utf-8").replace("http://www.w3.org/", "")


@pytest.mark.parametrize("name", sorted({type(part).__name__ for e in ENTRIES.values() for _, part in parts(e.form)}))
def test_every_part_of_the_catalogue_is_described(name):
    rows = [line for line in reference("parts.md").splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    assert len(rows[0].split(" | ")[1]) > 10


@pytest.mark.parametrize("name", [name for name in nearfar.__all__ if not name.startswith("__")])
def test_every_public_name_has_a_docstring(name):
    assert len(inspect.getdoc(getattr(nearfar, name)) or "") > 20


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_resolve(name):
    page = ROOT / name
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


ONE_OBJECTIVE = "docs/reference/objectives/"
"""Pages that the table of the objectives lists."""


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in PAGES
        if name.startswith("docs/") and name != "docs/README.md" and not name.startswith(ONE_OBJECTIVE)
    ],
)
def test_the_index_lists_every_page(name):
    assert f"]({name.removeprefix('docs/')})" in (DOCS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_prose_is_plain(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "\N{EM DASH}" not in text, "no em dashes"
    assert "/work/" not in text
    assert "/tmp/" not in text
