"""Mining jobs that are killed at any moment end with the same bytes, and do no finished stage again."""

import os
import re
import signal
import sys

import pytest

from nearfar import api
from tests import runs
from tests.cli.test_mine import OUTPUT
from tests.resume.processes import start

SETTINGS = ("mining.sources=[Dense(depth=20), Edits]", "mining.filters=Percent(ratio=2.0)")


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
    rows = ({"query": query, "positive": f"{document} in 1990"} for query, document in runs.sentences(300))
    runs.write_lines(folder / "pairs.jsonl", rows)
    return folder / "pairs.jsonl", runs.static(runs.write_tokenizer(folder / "tokenizer.json"))


def finished(names):
    """The stages among the files that came about: whole arrays, and what a source proposed."""
    return {name for name in names if re.fullmatch(r"vectors/.*/whole\.[0-9a-f]+\.npy|sources/\d+", name)}


@pytest.fixture(scope="module")
def whole(inputs, tmp_path_factory):
    """A job that nobody disturbed: its folder, and its files in their order."""
    out = tmp_path_factory.mktemp("whole") / "out"
    told = mined(inputs[0], out, inputs[1], 0)
    assert {*OUTPUT, "mining.json", "report.html"} <= set(told)
    assert len(finished(told)) == 6  # vectors of queries, documents and edits, hits, and two sources
    return out, told


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_a_job_that_was_killed_does_no_finished_stage_again_and_ends_with_the_same_bytes(
    inputs, whole, tmp_path, share
):
    data, model = inputs
    undisturbed, told = whole
    out = tmp_path / "out"
    before = mined(data, out, model, max(2, round(share * len(told))))
    assert runs.record(out)["state"] != "finished"
    after = mined(data, out, model, 0)
    assert not finished(before) & finished(after)
    assert finished(before) | finished(after) == finished(told)
    for name in OUTPUT:
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes(), name
    assert runs.record(out)["state"] == "finished"
    assert (out / "report.html").is_file()
