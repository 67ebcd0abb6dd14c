"""What importing costs, and what it needs: checked in fresh processes."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import nearfar

ROOT = Path(__file__).parents[1]

LIGHT = (
    "nearfar",
    "nearfar.cli.main",
    "nearfar.data",
    "nearfar.config",
    "nearfar.config.run",
    "nearfar.encoders.locate",
    "nearfar.api",
)
HEAVY = ("torch", "transformers", "datasets", "sentence_transformers", "sklearn", "plotly")

WITHOUT = """
import sys
from importlib.machinery import PathFinder

blocked = frozenset({blocked!r})

class CorePackages(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, *context, **more):
        found = super().find_distributions(*context, **more)
        return (each for each in found if each.name.lower().replace("-", "_") not in blocked)

sys.meta_path[sys.meta_path.index(PathFinder)] = CorePackages
"""
"""As if the blocked packages were not installed."""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def optional_packages() -> frozenset[str]:
    """The modules that only the extras of pyproject.toml bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements):
        return {re.split(r"[^\w.-]", each, maxsplit=1)[0].lower().replace("_", "-") for each in requirements}

    extra = set().union(*map(names, project["optional-dependencies"].values())) - names(project["dependencies"])
    return frozenset(
        module
        for module, distributions in packages_distributions().items()
        if {each.lower().replace("_", "-") for each in distributions} & extra
    )


@pytest.mark.parametrize("module", LIGHT)
def test_start_is_light(module):
    loaded = run(f"import sys, {module}; print(*sys.modules)").split()
    assert module in loaded
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.slow
def test_public_names_resolve_with_core_packages_alone():
    blocked = optional_packages()
    assert {"datasets", "beartype", "pytest", "hypothesis"} <= blocked
    assert not {"torch", "jaxtyping", "sentence_transformers"} & blocked
    code = WITHOUT.format(blocked=sorted(blocked)) + (
        "import nearfar, nearfar.cli.main\n"
        "values = [getattr(nearfar, name) for name in nearfar.__all__]\n"
        "print(len(values), *sorted(blocked & set(sys.modules)))\n"
    )
    assert run(code).split() == [str(len(nearfar.__all__))]


def test_a_blocked_package_is_really_missing():
    code = WITHOUT.format(blocked=["hypothesis"]) + (
        "import importlib.metadata, importlib.util\n"
        "print(importlib.util.find_spec('hypothesis'), importlib.util.find_spec('yaml') is not None)\n"
        "names = [each.name for each in importlib.metadata.distributions()]\n"
        "print('hypothesis' in names, 'numpy' in names)\n"
    )
    assert run(code).split() == ["None", "True", "False", "True"]


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        nearfar.trian  # noqa: B018


def test_public_names_are_listed():
    assert set(nearfar.__all__) <= set(dir(nearfar))
    assert len(set(nearfar.__all__)) == len(nearfar.__all__)
