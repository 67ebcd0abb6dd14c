import pytest

from nearfar.comparing.cells import CellCost, Cells, cell_of
from nearfar.config.comparison import Arm
from nearfar.config.run import RunConfig
from nearfar.errors import ResourceError
from tests.comparing.evidence import measured


def arm(system="a/b: c", kind="recipe"):
    return Arm(system=system, data_set="set", kind=kind, model="m", path="p", split=None, options=RunConfig())


def test_what_is_written_is_read(tmp_path):
    cell = cell_of(arm(), 3, "data", "model")
    assert cell.folder_name == f"a_b_c--set--seed3--{cell.fingerprint}"
    assert cell.title == "a/b: c on set, seed 3"
    cells = Cells(tmp_path)
    assert cells.record(cell) is None
    cells.fail(cell, "no luck", {"seconds": 1.0})
    assert Cells(tmp_path).record(cell)["reason"] == "no luck"
    there = measured([0.5, 0.25], cost=CellCost(train_seconds=2.0, tokens=7.0), first=("d1", ""))
    cells.finish(cell, there, {"seconds": 3.0}, lambda folder: (folder / "weights").write_text("1"))
    fresh = Cells(tmp_path)
    read = fresh.measured(cell)
    assert read.of("nDCG@10") == {"q0": 0.5, "q1": 0.25}
    assert (read.cost, read.first) == (there.cost, there.first)
    record = fresh.record(cell)
    assert (record["state"], record["seconds"], record["settings"]["training"]["seed"]) == ("finished", 3.0, 3)
    assert (tmp_path / cell.folder_name / "model" / "weights").is_file()
    assert len(fresh) == 1
    # Under another name it is the same cell, found by its fingerprint.
    assert fresh.record(cell_of(arm("other"), 3, "data", "model"))["system"] == "a/b: c"
    assert fresh.record(cell_of(arm(), 4, "data", "model")) is None


def test_a_damaged_cell_says_what_to_do(tmp_path):
    cell = cell_of(arm(), 0, "data", "model")
    cells = Cells(tmp_path)
    cells.finish(cell, measured([0.5, 0.25], first=("d1", "d2")), {"seconds": 1.0}, None)
    (tmp_path / cell.folder_name / "per_query.parquet").write_text("half")
    with pytest.raises(ResourceError, match=r"is damaged.*Remove this folder, and --resume does it again"):
        cells.measured(cell)
    (tmp_path / cell.folder_name / "cell.json").write_text("{")
    with pytest.raises(ResourceError, match="is damaged"):
        cells.record(cell)
