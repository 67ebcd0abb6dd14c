"""Help and mistakes answer at once: nothing heavy is imported on the way to them."""

import subprocess
import sys

import pytest

from tests.test_imports import HEAVY

CODE = """
import sys
from nearfar.cli.main import _run
code = _run(sys.argv[1:])
print("imported", *sorted(name for name in {heavy} if name in sys.modules), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["train", "--help"], 0),
        (["--version"], 0),
        (["config"], 0),
        (["trian"], 2),
        (["evaluate", "bm25", "missing.jsonl"], 2),
        (["train", "missing.jsonl", "--model", "missing", "--out", "run"], 2),
        (["search", "missing", "words"], 2),
        (["explain", "--help"], 0),
        (["explain"], 2),
        (["explain", "InfoNCE", "--run", "missing"], 2),
    ],
)
def test_nothing_heavy_is_imported(arguments, code, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(heavy=(*HEAVY, "scipy", "ir_measures", "jinja2")), *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stderr.splitlines()[-1] == "imported"
    assert list(tmp_path.iterdir()) == []
