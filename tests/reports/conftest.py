"""Run folders and the page made from one."""

from pathlib import Path

import pytest

from nearfar.reports import write_report

from .fixture import write_run_folder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    return write_run_folder(tmp_path_factory.mktemp("run"), queries=300)


@pytest.fixture(scope="session")
def page(run_folder, tmp_path_factory) -> str:
    return write_report(run_folder, tmp_path_factory.mktemp("page") / "page.html").read_text(encoding="utf-8")
