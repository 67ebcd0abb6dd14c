"""Every snippet of the documentation runs as it stands, in a folder that holds its data and nothing of the project.

Shell snippets run in a shell, where a command ``nearfar`` starts at once, but that of the first run, which is the one
that is installed. Python ones run in this process, where warnings are errors and annotations are checked.
"""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SNIPPETS = Path(__file__).parents[2] / "docs" / "snippets"
TRAINING = "first-run.sh"

NEEDS = {
    "search.sh": (TRAINING,),
    "use-model.py": (TRAINING,),
    "resume.sh": (TRAINING,),
    "report.sh": (TRAINING,),
    "per-query.py": (TRAINING,),
    "evaluate.sh": (TRAINING,),
    "explain.sh": (TRAINING,),
    "diagnose.sh": (TRAINING, "settings.sh"),
    "nested.py": ("nested.sh",),
    "mine.sh": (TRAINING,),
    "mine-parts.sh": (TRAINING,),
    "mine-train.sh": (TRAINING, "mine.sh"),
    "mine-export.sh": (TRAINING, "mine.sh"),
}
"""What a reader has run before, on the same page or on the first one."""

PRINTED = {
    "first-run.sh": ("tuned - base", "nDCG@10", "runs/first/report.html"),
    "search.sh": ("base", "tuned", "Sand the bike"),
    "tasks.py": ("Spearman ", "Pearson "),
    "mteb.py": ("mteb:Repairs cosine_spearman ", "nearfar/mine "),
    "readme.py": ("'treatment': 'tuned'", "runs/help/model runs/help/report.html"),
    "first-run.py": ("interval +", "runs/second/report.html"),
    "use-model.py": ("tensor([[",),
    "resume.sh": ("tuned - base",),
    "settings.sh": ("runs/longer/model",),
    "evaluate.sh": ("bm25", "24 queries", "written to runs/measured"),
    "report.sh": ("first.html",),
    "columns.sh": ("2 queries", "1.0000"),
    "layouts.py": ("pairs.csv: read as pairs", "topics.jsonl: read as multilabel", "beir: read as beir"),
    "identity.py": ("who repairs bicycles?",),
    "splits.py": ("train 144 queries", "dev 48 queries", "test 48 queries"),
    "make-test-set.py": ("corpus.jsonl",),
    "records.py": ("advice 2 queries 3 documents",),
    "prompts.sh": (),
    "per-query.py": ("queries won",),
    "significance.py": ("Covers the choice of test queries", "queries lost more than"),
    "objective.py": ("InfoNCE(temperature=0.05, directions=symmetric) tensor(",),
    "compose.py": ("tensor(", "['memory.logits_0.log_scale']"),
    "own-part.py": ("masks=[NotTooNear(limit=0.8)]", "at 0.75 and 0.0 at 0.85"),
    "explain.sh": ("weights.html",),
    "diagnose.sh": ("No cause was found", "Against first", "training.epochs", "written to runs/diagnosed"),
    "list-objectives.sh": ("pairwise", "CoSENT"),
    "teacher.sh": ("tuned - base", "runs/guided/model"),
    "momentum.sh": ("tuned - base", "runs/queued/model"),
    "module.py": ("nDCG@10",),
    "encoder.py": ("FirstWords",),
    "adapters.sh": ("tuned - base", "runs/adapted/model"),
    "nested.sh": ("tuned@16", "runs/nested/model"),
    "nested.py": ("(1, 16)",),
    "together.sh": ("tuned - base", "runs/together/model"),
    "large-steps.sh": ("tuned - base", "runs/large/model"),
    "tiles.py": (" = ",),
    "accumulate.sh": ("tuned - base", "runs/calm/model"),
    "mine.sh": ("queries have negatives, 4 each", "percent", "runs/mined/negatives.parquet"),
    "mine-parts.sh": ("Random", "margin", "runs/parts/report.html"),
    "mine-train.sh": ("tuned - base", "runs/harder/model"),
    "mine-export.sh": ("written to tuples.jsonl",),
    "mine-refresh.sh": ("tuned - base", "runs/refreshed/model"),
    "mine.py": (" drops 10%: ", "queries have negatives"),
    "compare.sh": ("group", "both ways", "Covers the choice of test queries and training again (3 seeds"),
    "compare.py": ("random minus words: ", "may be luck"),
    "audit.sh": ("240 queries", "written to runs/audited", "Leaks and contamination between splits"),
}
"""What the output of each snippet holds."""

WRITTEN = {
    "first-run.sh": ("runs/first/report.html", "<html"),
    "settings.sh": ("runs/longer/config.yaml", "epochs: 6"),
    "evaluate.sh": ("runs/measured/scores.json", '"runs/first"'),
    "report.sh": ("first.html", "<html"),
    "explain.sh": ("weights.html", "In the batches of first"),
    "diagnose.sh": ("runs/diagnosed/diagnosis.json", '"cause": "collapse"'),
    "compare.sh": ("runs/trial/report.html", "<html"),
    "audit.sh": ("runs/audited/audit.json", '"kind": "near_duplicate"'),
    "mine.sh": ("runs/mined/report.html", "What became of the candidates"),
    "mine-export.sh": ("tuples.jsonl", '"negative_2"'),
    "prompts.sh": ("prompted.yaml", "query: 'question: '"),
    "make-test-set.py": ("household/qrels/test.tsv", "query-id\tcorpus-id\tscore"),
}
"""A file that a snippet writes, and a part of what is in it."""

SLOW = frozenset(
    {
        TRAINING,
        "settings.sh",
        "list-objectives.sh",
        "teacher.sh",
        "momentum.sh",
        "adapters.sh",
        "nested.sh",
        "nested.py",
        "together.sh",
        "large-steps.sh",
        "accumulate.sh",
        "mine-refresh.sh",
        "mine.py",
        "audit.sh",
        "compare.sh",
        *(name for name, needed in NEEDS.items() if TRAINING in needed),
    }
)
"""Snippets that start a process which trains or loads a model, or that need one to have run."""


def each_snippet():
    names = sorted(path.name for path in SNIPPETS.glob("*.*"))
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in names]


def run_shell(snippet: Path, folder: Path, *before: Path) -> str:
    environment = {
        **os.environ,
        "PATH": os.pathsep.join(map(str, (*before, Path(sys.executable).parent, os.environ["PATH"]))),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "120",
    }
    done = subprocess.run(
        ["bash", "-e", "-u", str(snippet)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{snippet.name}: {done.stderr or done.stdout}"
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def run_python(snippet: Path, folder: Path, monkeypatch, capsys) -> str:
    monkeypatch.chdir(folder)
    capsys.readouterr()
    runpy.run_path(str(snippet), run_name="__main__")
    return capsys.readouterr().out


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A folder with the data in which the first run has been made, and what that printed."""
    folder = tmp_path_factory.mktemp("first") / "work"
    shutil.copytree(SNIPPETS / "data", folder)
    return folder, run_shell(SNIPPETS / TRAINING, folder)


@pytest.mark.parametrize("name", each_snippet())
def test_snippet_runs(name, request, commands, tmp_path, monkeypatch, capsys):
    def run(name):
        if name.endswith(".sh"):
            return run_shell(SNIPPETS / name, folder, commands)
        return run_python(SNIPPETS / name, folder, monkeypatch, capsys)

    if name == TRAINING:
        folder, output = request.getfixturevalue("trained")
    else:
        folder, needed = tmp_path / "work", NEEDS.get(name, ())
        shutil.copytree(request.getfixturevalue("trained")[0] if TRAINING in needed else SNIPPETS / "data", folder)
        for before in needed:
            if before != TRAINING:
                run(before)
        output = run(name)
    assert name in PRINTED, f"say in PRINTED what {name} prints"
    for part in PRINTED[name]:
        assert part in output
    if name in WRITTEN:
        file, part = WRITTEN[name]
        assert part in (folder / file).read_text(encoding="utf-8")


def test_the_data_is_what_its_script_makes(tmp_path):
    shutil.copy(SNIPPETS / "data" / "make.py", tmp_path)
    runpy.run_path(str(tmp_path / "make.py"), run_name="__main__")
    made = [path for path in tmp_path.iterdir() if path.name != "make.py"]
    assert sorted(path.name for path in made) == ["pairs.jsonl", "tokenizer.json"]
    for path in made:
        assert path.read_bytes() == (SNIPPETS / "data" / path.name).read_bytes()
