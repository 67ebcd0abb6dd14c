"""``python -m nearfar``: the command line."""

from nearfar.cli.main import run

run()
