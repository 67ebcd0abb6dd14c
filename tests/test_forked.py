"""Processes of the fork server start with everything imported, and its command is the real one."""

import multiprocessing
import os
import subprocess
import sys

from nearfar import __version__
from tests import forked


def imported(pipe):
    pipe.send(["nearfar.training.job" in sys.modules, "sentence_transformers" in sys.modules, forked.checked()])


def test_what_is_imported():
    context = multiprocessing.get_context("forkserver")
    here, there = context.Pipe()
    process = context.Process(target=imported, args=(there,), daemon=True)
    process.start()
    assert here.recv() == [True, True, forked.checked()]
    process.join()


def shell(script, commands, folder, **environment):
    environment = {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", **environment}
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


def test_output_and_folder_of_the_command(commands, tmp_path):
    assert shell("nearfar --version; nearfar config > here.yaml", commands, tmp_path) == (0, f"{__version__}\n", "")
    assert "epochs" in (tmp_path / "here.yaml").read_text(encoding="utf-8")


def test_exit_code_and_error_of_the_command(commands, tmp_path):
    code, output, errors = shell("nearfar search nowhere words", commands, tmp_path)
    assert (code, output) == (2, "")
    assert errors.startswith("nearfar: nowhere is not the folder of a run")
    assert "Traceback" not in errors


def test_arguments_and_environment_of_the_command(commands, tmp_path):
    found = [shell("nearfar train --help", commands, tmp_path, COLUMNS=columns) for columns in ("60", "120")]
    assert {code for code, _, _ in found} == {0}
    assert [max(map(len, shown.splitlines())) <= 60 for _, shown, _ in found] == [True, False]
