"""``nearfar mine`` on data of every layout, on very little of it, with judges, and interrupted."""

import json
import signal
import time

import pyarrow.parquet as parquet
import pytest

from nearfar import api
from nearfar.data.load import load
from nearfar.errors import ConfigError, DataError, ResourceError
from tests import runs
from tests.encoders.models import TINY
from tests.endpoint_server import EndpointServer, Say

ALL = ("data.test=0", "data.dev=0", "mining.filters=[]")
"""No query is kept for evaluation, and nothing is filtered."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return runs.static(runs.write_tokenizer(tmp_path_factory.mktemp("words") / "tokenizer.json"))


@pytest.fixture
def mine(model, tmp_path):
    def run(rows, *settings, name="out", **options):
        data = runs.write_lines(tmp_path / "data.jsonl", rows)
        return api.mine(data, model=model, out=tmp_path / name, settings=settings, workers=1, **options)

    return run


def pairs(count):
    return [{"query": query, "positive": document} for query, document in runs.sentences(count)]


def negatives(result):
    return parquet.read_table(result.negatives).to_pylist()


def test_labelled_data(mine):
    rows = [{"text": text, "label": label} for label in (0, 1) for text, _ in list(runs.sentences(40))[label::2]]
    result = mine(rows, *ALL[:2], "mining.filters=[]", "mining.select=Top(count=2)")
    dataset = load(result.folder)
    label = dict(zip(dataset.documents.ids.to_pylist(), dataset.nodes.tolist(), strict=True))
    assert result.account["kept"] == 2 * result.account["queries"] > 0
    assert all(label[row["query_id"]] != label[row["document_id"]] for row in negatives(result))


def test_judged_negatives_stay_beside_the_mined_ones(mine):
    rows = pairs(40)
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        row["negative"] = other["positive"]
    result = mine(rows, *ALL)
    assert result.account["kept"] == 4 * result.account["queries"]
    assert load(result.folder).qrels["train"].grade.min() == 0


def test_one_query(mine):
    rows = [{"query": "how to borak", "positive": f"haven {word}"} for word in runs.SAY]
    with pytest.raises(DataError, match="The corpus holds too little beside the positives"):
        mine(rows, *ALL)
    result = mine([*rows, {"query": "where", "positive": "from jeven"}], *ALL, "mining.queries=1", name="one")
    assert (result.account["queries"], result.account["list_sizes"]) in ((1, {"1": 1}), (1, {"4": 1}))


@pytest.mark.parametrize("documents", [1, 2, 3])
def test_a_tiny_corpus(mine, documents, capsys):
    rows = pairs(documents)
    if documents == 1:
        with pytest.raises(DataError, match="No query keeps a negative"):
            mine(rows, *ALL)
        return
    for lists in ("query", "pair"):
        result = mine(rows, *ALL, f"mining.lists={lists}", "mining.sources=[Dense, BM25, Random, Clusters]", name=lists)
        assert result.account["list_sizes"] == {str(documents - 1): documents}
        assert f"the corpus has only {documents} documents" in capsys.readouterr().err


def test_a_positive_that_is_the_whole_corpus_leaves_nothing(mine):
    with pytest.raises(DataError, match="too little beside the positives"):
        mine([{"query": query, "positive": "haven"} for query in ("borak", "calim")], *ALL)


def test_lists_for_each_of_several_positives(mine):
    rows = pairs(30)
    rows += [{"query": row["query"], "positive": f"{row['positive']} again"} for row in rows[:10]]
    given = ("mining.lists=pair", "mining.filters=Percent(ratio=3.0, positive=pair)", "mining.select=Top(count=2)")
    result = mine(rows, *ALL[:2], *given)
    assert sum(result.account["list_sizes"].values()) == 40
    assert {row["positive_id"] for row in negatives(result)} <= set(load(result.folder).documents.ids.to_pylist())


def test_as_many_queries_as_are_wanted(mine):
    assert mine(pairs(30), *ALL, "mining.queries=7").account["queries"] == 7


def test_what_is_not_there_is_refused_before_anything_is_encoded(mine, tmp_path):
    for setting, message in (
        ("mining.sources=Dense(model=nowhere)", "nowhere"),
        ("mining.sources=Hybrid(sources=[BM25, Dense(model='no/folder/at/all')])", "no/folder/at/all"),
        ("mining.sources=RunFile(path='no.run')", "no run file no.run"),
        ("mining.sources=HNSW", r"no source. Write it as Dense\(index='HNSW\(links=32\)'\)"),
        ("mining.sources=Dense(index=Exat)", "Did you mean 'Exact'"),
        ("mining.sources=Dense(index='Exat')", "Without an index, the search is Exact"),
    ):
        with pytest.raises((ConfigError, DataError, ResourceError), match=message):
            mine(pairs(10), *ALL, setting)
    assert not (tmp_path / "out").exists()


def test_an_approximate_index_says_what_it_finds(mine):
    result = mine(
        pairs(60), *ALL, "mining.sources=Hybrid(sources=[Dense(depth=5, index=IVF(lists=4, probes=4)), BM25])"
    )
    (name, found), *others = result.account["recall"].items()
    assert not others
    assert name.startswith("Dense(depth=5, index='IVF(")
    assert found["queries"] == 60
    assert found["interval"][0] <= found["recall"] <= found["interval"][1] <= 1
    assert "of what exact search finds" in result.report.read_text(encoding="utf-8")


def test_a_cross_encoder_from_a_folder(mine, tmp_path):
    from nearfar.negatives.cross_encoder import open_cross_encoder

    open_cross_encoder(TINY, device="cpu").save_pretrained(str(tmp_path / "cross"))
    settings = (
        f"mining.scorers={{cross_encoder: \"CrossEncoder(model='{tmp_path / 'cross'}')\"}}",
        "mining.filters=BelowCrossEncoder(below=0.5)",
        "mining.sources=Dense(depth=6)",
    )
    result = mine(pairs(20), *ALL[:2], *settings)
    assert all(row["cross_encoder"] < 0.5 for row in negatives(result) if row["label"] == "negative")


JUDGED = (
    "data.minimum_queries=1",
    "mining.scorers={judge: LanguageModel(model=small)}",
    "mining.sources=Dense(depth=5)",
    "mining.filters=Absolute(at_most=0.5, by=judge)",
    "mining.relabel=ToPositive(at_least=0.9, by=judge)",
)


def answer(prompt, times):
    """Yes to what holds one word, nothing that can be read to what holds another, else no."""
    if "hatir" in prompt:
        return "perhaps"
    return Say(text="yes", chances={"yes": 0.95, "no": 0.05}) if "jeven" in prompt else Say(text="no")


def test_a_language_model_that_pauses_and_goes_on(mine, model, tmp_path, capsys):
    with EndpointServer(answer) as server:
        with pytest.raises(ResourceError, match="--resume"):
            mine(pairs(40), *JUDGED, judge_url=server.url, judge_requests=30)
        assert len(server.asked) == 30
        command = ("mine", tmp_path / "data.jsonl", "--model", model, "--out", tmp_path / "out", "--workers", "1")
        command += ("--resume", "--judge-url", server.url, *(word for each in JUDGED for word in ("--set", each)))
        message = runs.refused(capsys, *command, "--judge-requests", "20")
        assert "--resume" in message
        assert "kept in" in message
        assert len(server.asked) == 50
        assert runs.nearfar(*command) == 0
        whole = mine(pairs(40), *JUDGED, judge_url=server.url, name="whole")
    for name in ("candidates.parquet", "negatives.parquet", "account.json"):
        assert (tmp_path / "out" / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert whole.account["relabelled"] > 0
    dataset = load(whole.folder)
    assert len(dataset.positives("train")) == whole.account["queries"] + whole.account["relabelled"]
    trained = api.train(whole.folder, model=model, out=tmp_path / "trained", settings=[*runs.FAST, "training.epochs=1"])
    assert trained.scores["systems"]["tuned"]


def test_ctrl_c_says_how_to_go_on(model, commands, tmp_path):
    data = runs.write_lines(tmp_path / "data.jsonl", pairs(20))
    with EndpointServer(lambda prompt, times: Say(text="no", delay=0.3)) as server:
        arguments = (
            "mine",
            data,
            "--model",
            model,
            "--out",
            tmp_path / "out",
            "--workers",
            "1",
            "--judge-url",
            server.url,
        )
        arguments += tuple(word for each in JUDGED for word in ("--set", each))
        process = runs.process(*arguments, start=[commands / "nearfar"])
        server.wait_for(4)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert said.splitlines()[-1] == (
        "nearfar: Stopped. A run of train, mine or compare goes on when the same command is given with --resume."
    )
    assert "Traceback" not in said
    assert (tmp_path / "out" / "sources" / "0").is_dir()


def test_the_page_can_be_written_anew(mine, tmp_path, capsys):
    result = mine(pairs(20), *ALL)
    page = result.report.read_bytes()
    result.report.unlink()
    assert runs.nearfar("report", result.folder) == 0
    assert capsys.readouterr().out.strip() == str(result.report)
    assert result.report.read_bytes() == page
    assert runs.nearfar("report", result.folder, "--out", tmp_path / "page.html") == 0
    assert (tmp_path / "page.html").read_bytes() == page
    (result.folder / "account.json").unlink()
    assert "--resume" in runs.refused(capsys, "report", result.folder)
    assert json.loads((result.folder / "run.json").read_text())["job"] == "mine"
