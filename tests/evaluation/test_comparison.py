import json
from dataclasses import replace

import pytest

from nearfar.comparing.assemble import assemble
from nearfar.errors import DataError
from nearfar.evaluation.comparison import Comparison
from tests.comparing.evidence import evidence, varied


def test_what_is_written_is_read(tmp_path):
    made = assemble(evidence(varied({"a": 0.0, "b": 0.1}), baseline="a"), lambda name: None, "go on")
    assert made.main is made.overall
    assert made.tables[0].versus
    assert made.flips[0].worst
    made.write(tmp_path)
    assert Comparison.read(tmp_path) == made
    assert replace(made, overall=None).main is made.tables[0]
    assert replace(made, overall=None, tables=()).main is None


def test_files_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"comparison.json cannot be read"):
        Comparison.read(tmp_path)
    made = assemble(evidence(varied({"a": 0.0}, data_sets=("one",))), lambda name: None)
    made.write(tmp_path)
    path = tmp_path / "comparison.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"version": 99}), encoding="utf-8")
    with pytest.raises(DataError, match="has the form 99, this nearfar reads 1"):
        Comparison.read(tmp_path)
    path.write_text(json.dumps(content | {"cells": "many"}), encoding="utf-8")
    with pytest.raises(DataError, match=r"comparison.json, at cells: "):
        Comparison.read(tmp_path)
