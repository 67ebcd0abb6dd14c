"""The curves of a run that goes on."""

import json

import pytest

from nearfar.files import write_text
from nearfar.training.curves import cut_curves


def test_curves_are_cut_where_training_goes_on(tmp_path):
    lines = [{"step": 0, "group": "dev"}, {"step": 1}, {"level": "warning", "message": "x"}, {"step": 2}, {"step": 3}]
    path = tmp_path / "training.jsonl"
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))
    cut_curves(path, 2)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == lines[:4]
    cut_curves(path, 0)
    assert path.read_text(encoding="utf-8") == ""
    cut_curves(tmp_path / "missing.jsonl", 3)
    assert [each.name for each in tmp_path.iterdir()] == ["training.jsonl"]


def test_a_line_that_a_full_disk_cut_is_dropped(tmp_path):
    path = tmp_path / "training.jsonl"
    write_text(path, '{"step": 1}\n{"step": 2, "lo')
    cut_curves(path, 5)
    assert path.read_text(encoding="utf-8") == '{"step": 1}\n'


@pytest.mark.parametrize(
    "damage", [b"\0\0\0\0\n", b'{"step": 2, "lo\n', b"7\n", b'{"step": null}\n', b'{"a": "\xff}\n']
)
def test_a_line_that_lost_power_damaged_is_dropped(tmp_path, damage):
    path = tmp_path / "training.jsonl"
    path.write_bytes(b'{"step": 1}\n' + damage + b'{"step": 3}\n{"step": 9}\n')
    cut_curves(path, 5)
    assert path.read_text(encoding="utf-8") == '{"step": 1}\n{"step": 3}\n'
