"""Mining jobs that are killed at any moment end with the same bytes, and do no finished stage again."""

import os
import signal
import sys

import pytest

from nearfar import api
from tests import runs
from tests.cli.test_mine import OUTPUT
from tests.resume.processes import start

SETTINGS = ("mining.sources=[Dense(depth=20), BM25(depth=10), Edits]", "mining.filters=Percent(ratio=2.0)")


def _mine(pipe, data, out, model, last):
    """Mine; tell of each file that gets its name, and end as one that is killed before the last of so many gets it."""
    told = []

    def audit(event, given):
        if event == "os.rename" and str(out) in os.fsdecode(given[1]):
            name = os.path.relpath(os.fsdecode(given[1]), out)
            told.append(name)
            if len(told) == last:
                pipe.send(told[:-1])
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    api.mine(data, model=model, out=out, settings=SETTINGS, workers=1, resume=out.exists())
    pipe.send(told)


def mined(*arguments):
    """The files that came about, in their order."""
    process, pipe = start(_mine, *arguments)
    told = pipe.recv()
    process.join()
    return told


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    runs.write_pairs(folder / "pairs.jsonl")
    return folder / "pairs.jsonl", runs.static(runs.write_tokenizer(folder / "tokenizer.json"))


@pytest.mark.slow
def test_killed_before_any_file_it_ends_with_the_same_bytes(inputs, tmp_path):
    data, model = inputs
    whole = mined(data, tmp_path / "whole", model, 0)
    assert {*OUTPUT, "mining.json", "report.html", "sources/0", "sources/2"} <= set(whole)
    stages = [name for name in dict.fromkeys(whole) if name.startswith(("sources", "vectors"))]
    out = tmp_path / "out"
    for place, name in enumerate(dict.fromkeys(whole)):
        told = mined(data, out, model, 2)  # one file further each time, or the record and one file
        assert set(told) <= set(whole), (place, name)
    again = mined(data, out, model, 0)
    assert not set(again) & set(stages)
    for name in OUTPUT:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize("moment", [3, 6, 9, 12, 15])
def test_what_was_finished_is_not_done_again(inputs, tmp_path, moment):
    data, model = inputs
    out = tmp_path / "out"
    before = mined(data, out, model, moment)
    after = mined(data, out, model, 0)
    done = {name for name in before if name.startswith(("sources", "vectors"))}
    assert done
    assert not done & set(after)
