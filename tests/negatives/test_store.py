import json
import time
from dataclasses import replace
from threading import Thread

import numpy as np
import pytest
import torch
from filelock import FileLock

from nearfar.encoders.load import load
from nearfar.encoders.protocol import Role
from nearfar.errors import ConfigError, DataError, ShapeError
from nearfar.evaluation.retrieve import Corpus
from nearfar.events import Silent
from nearfar.negatives import store as store_module
from nearfar.negatives.engines import Inline, Processes
from nearfar.negatives.store import KeptVectors
from nearfar.negatives.vectors import ModelName, identity
from nearfar.retrieval.dense import search
from tests.data.memory import make
from tests.encoders.models import STATIC, TINY, opened
from tests.negatives import kept
from tests.negatives.heard import Heard
from tests.negatives.kept import Counting, content
from tests.resume.processes import start


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    kept.small_pieces(monkeypatch.setattr)


@pytest.fixture(scope="module")
def data():
    return kept.data()


def a_store(data, folder, model=None, engine=None, **options):
    rows = np.arange(len(data.queries), dtype=np.int32)
    model = model or ModelName(name=STATIC, device="cpu")
    return KeptVectors(data, rows, model, folder, engine or Inline(), **options)


def test_vectors_are_those_of_the_texts_of_a_piece(data, tmp_path):
    model = ModelName(name=TINY, device="cpu", prompts=(("query", "question: "),), precision="float32")
    found = a_store(data, tmp_path, model).vectors("")
    encoder = load(TINY, device="cpu", prompts={"query": "question: "})
    texts = data.documents.take(range(len(data.documents)))
    for first in range(0, len(texts), store_module.TEXTS):
        part = texts[first : first + store_module.TEXTS]
        assert np.array_equal(found.documents[first : first + len(part)], encoder.encode_documents(part))
    assert np.array_equal(found.queries, encoder.encode_queries(data.queries.take(range(len(data.queries)))))
    assert found.similarity == "cosine"
    assert isinstance(found.documents, np.memmap)
    assert not found.documents.flags.writeable


def test_search_is_that_of_the_whole_corpus(tmp_path, monkeypatch):
    texts = [f"{word} {word} number {place % 4}" for place in range(12) for word in ("red", "green", "blue")]
    every = make(["red 1", "green 2", "dark blue"], [f"{text} {place}" for place, text in enumerate(texts)], {})
    data = replace(every, searched=np.arange(len(texts)) % 7 != 3)
    corpus = Corpus.of(data)
    for pieces in ((1000, 1000), (2, 5)):
        monkeypatch.setattr(store_module, "DOCUMENTS", pieces[1])
        monkeypatch.setattr(store_module, "PAIRS", pieces[0] * pieces[1])
        store = a_store(data, tmp_path / str(pieces[0]))
        vectors = store.vectors("")
        for depth in (1, 8, 99):
            expected = search(
                vectors.queries,
                vectors.documents[corpus.rows],
                min(depth, len(corpus.rows)),
                tie_order=corpus.tie_order,
            )
            found = store.search("", depth, "Exact")
            assert np.array_equal(found.documents, corpus.rows[expected.documents])
            assert np.array_equal(found.scores, expected.scores)


def test_what_is_counted_above_a_limit_is_added_up_over_pieces_and_kept(data, tmp_path):
    store = a_store(data, tmp_path)
    full = store.search("", 100, "Exact").scores
    limit, some = full[:, 40].copy(), np.array([1, 4, 19])
    found = store.search("", 5, "Exact", above=limit)
    assert (found.above <= 40).all()
    assert (found.above > 20).all()
    assert np.array_equal(found.scores, full[:, :5])
    again = a_store(data, tmp_path).search("", 5, "Exact", above=limit)
    assert np.array_equal(again.above, found.above)
    part = store.search("", 5, "Exact", among=some, above=limit[some])
    assert (part.above <= 40).all()
    assert np.array_equal(part.documents, found.documents[some])
    higher = store.search("", 5, "Exact", above=np.full(len(limit), np.inf, dtype=np.float32))
    assert not higher.above.any()
    assert store.search("", 5, "Exact").above is None


@pytest.mark.slow
def test_several_processes_write_the_same_bytes(data, tmp_path):
    model = ModelName(name=TINY, device="cpu", precision="bfloat16")
    died = tmp_path / "died"
    died.mkdir()
    with Processes(2) as two:
        for name, engine in {"one": Inline(), "two": kept.Killing(two, died)}.items():
            found = a_store(data, tmp_path / name, model, engine).search("", 5, "Exact")
            assert found.documents.shape == (len(data.queries), 5)
    assert len(list(died.iterdir())) == 1
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert len(content(tmp_path / "one")) == 6  # documents, queries, hits; each with its key


def test_nothing_is_computed_twice(data, tmp_path):
    engine = Counting()
    store = a_store(data, tmp_path, engine=engine)
    first = [store.vectors(""), store.search("", 5, "Exact"), store.vectors(""), store.search("", 5, "Exact")]
    count = engine.done
    assert count == {"Encode": 7 + 2, "Search": 4}
    store.search("", 4, "Exact")
    assert engine.done == {"Encode": 9, "Search": 8}
    again = Counting()
    second = a_store(data, tmp_path, engine=again)
    assert np.array_equal(second.vectors("").documents, first[0].documents)
    assert np.array_equal(second.search("", 5, "Exact").scores, first[1].scores)
    assert again.done == {}


def test_other_models_have_their_own_vectors(data, tmp_path):
    store = a_store(data, tmp_path, others=ModelName(name="", device="cpu", similarity="dot"))
    other = STATIC.replace("16", "8")
    assert store.vectors(other).documents.shape[1] == 8
    assert store.vectors("").documents.shape[1] == 16
    assert (store.vectors(other).similarity, store.vectors("").similarity) == ("dot", "cosine")
    assert len({store.fingerprint(""), store.fingerprint(other)}) == 2


@pytest.fixture(scope="module")
def before(data, tmp_path_factory):
    """Where vectors are kept, the fingerprint of the model, and how it was opened."""
    folder, cache = tmp_path_factory.mktemp("model"), tmp_path_factory.mktemp("kept")
    opened(TINY).save(folder)
    model = ModelName(name=str(folder), device="cpu", precision="float32")
    with pytest.MonkeyPatch.context() as patch:
        kept.small_pieces(patch.setattr)
        store = a_store(data, cache, model)
        store.vectors("")
    return cache, store.fingerprint(), model


class TestChanges:
    """What is other than it was gets vectors of its own."""

    def again(self, data, cache, model, **options):
        engine = Counting()
        store = a_store(data, cache, model, engine, **options)
        store.vectors("")
        return engine.done.get("Encode", 0), store.fingerprint()

    def test_nothing(self, data, before):
        cache, fingerprint, model = before
        assert self.again(data, cache, model) == (0, fingerprint)

    @pytest.mark.parametrize(
        "change",
        [
            {"prompts": (("document", "a "),)},
            {"max_length": 5},
            {"precision": "bfloat16"},
            {"similarity": "dot"},
        ],
        ids=str,
    )
    def test_options(self, data, before, change):
        cache, fingerprint, model = before
        count, other = self.again(data, cache, replace(model, **change))
        assert count == 9
        assert other != fingerprint

    def test_threads(self, data, before):
        cache, fingerprint, model = before
        count, other = self.again(data, cache, model, threads=2)
        assert (count, other != fingerprint) == (9, True)

    def test_one_text(self, before):
        cache, fingerprint, model = before
        changed = kept.data(last="another text")
        assert self.again(changed, cache, model) == (7, fingerprint)  # the queries are what they were

    def test_one_weight(self, data, before):
        cache, fingerprint, model = before
        encoder = model.open()
        with torch.no_grad():
            next(encoder.parameters()).view(-1)[0] += 1e-3
        count, other = self.again(data, cache, encoder)
        assert (count, other != fingerprint) == (9, True)
        assert self.again(data, cache, encoder) == (0, other)

    def test_pooling(self, data, before):
        cache, fingerprint, model = before
        encoder = model.open()
        encoder.model[1].pooling_mode = "max"
        count, other = self.again(data, cache, encoder)
        assert (count, other != fingerprint) == (9, True)

    def test_training_in_memory(self, data, before):
        _, _, model = before
        cache, encoder = before[0], model.open()
        engine = Counting()
        store = a_store(data, cache, encoder, engine)
        first = store.vectors("").documents
        assert engine.done == {}  # it is what is in the folder
        with torch.no_grad():
            next(encoder.parameters()).view(-1)[:] *= 2
        assert not np.array_equal(store.vectors("").documents, first)
        assert engine.done == {"Encode": 9}


def test_a_model_that_changes_under_a_worker(data, tmp_path):
    encoder = ModelName(name=STATIC, device="cpu", seed=1)
    expected = identity(encoder.open())
    task = store_module.Encode(model=replace(encoder, seed=2), expected=expected, role=Role.QUERY, texts=["a"])
    with pytest.raises(ConfigError, match=r"There is another model under static:.* than when the job began"):
        task.run()


def test_a_model_that_changes_in_its_folder(data, tmp_path):
    folder = tmp_path / "model"
    opened(STATIC).save(folder)
    store = a_store(data, tmp_path / "kept", ModelName(name=str(folder), device="cpu"))
    store.vectors("")
    changed = ModelName(name=STATIC, device="cpu", seed=5).open()
    changed.save(folder)
    assert len(store.search("", 3, "Exact")) == len(data.queries)  # its vectors are there
    engine = Counting()
    a_store(data, tmp_path / "kept", ModelName(name=str(folder), device="cpu"), engine).vectors("")
    assert engine.done == {"Encode": 9}


class TestDamage:
    @pytest.mark.parametrize("how", ["cut", "byte", "empty"])
    def test_a_whole_file_is_made_anew(self, data, tmp_path, how):
        store = a_store(data, tmp_path)
        expected = np.array(store.vectors("").documents)
        before = content(tmp_path)
        (path,) = tmp_path.glob("document-*/whole.*.npy")
        damage(path, how)
        engine = Counting()
        assert np.array_equal(a_store(data, tmp_path, engine=engine).vectors("").documents, expected)
        assert engine.done == {"Encode": 7}
        assert content(tmp_path) == before

    def test_a_piece_is_made_anew(self, data, tmp_path):
        with pytest.raises(RuntimeError, match="stopped"):
            a_store(data, tmp_path, engine=Counting(stop=4)).vectors("")
        pieces = sorted(tmp_path.glob("document-*/0*.npy"))
        assert [path.name[:6] for path in pieces] == ["000000", "000001", "000002", "000003"]
        damage(pieces[1], "byte")
        engine = Counting()
        a_store(data, tmp_path, engine=engine).vectors("")
        assert engine.done == {"Encode": 1 + 3 + 2}
        a_store(data, tmp_path / "other").vectors("")
        assert content(tmp_path / "other") == {
            name: value for name, value in content(tmp_path).items() if not name.startswith("other")
        }


def damage(path, how):
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[-3] ^= 1
    path.write_bytes({"cut": whole[:-5], "byte": bytes(changed), "empty": b""}[how])


@pytest.mark.slow
def test_kill_9_at_any_moment(data, tmp_path):
    """Each process is killed a little later than the one before; each piece is computed once, but for the last."""
    a_store(data, tmp_path / "calm").search("", 5, "Exact")
    expected, reports, kills = content(tmp_path / "calm"), [], 0
    generator = np.random.default_rng(0)
    while True:
        process, pipe = start(kept.search_and_tell, str(tmp_path / "killed"))
        left = int(generator.integers(5, 9))
        while left and pipe.poll(60):
            try:
                told = pipe.recv()
            except (EOFError, ConnectionResetError):
                break
            reports.append(told)
            pipe.send(None)
            left -= 1
        if reports[-1] == "done":
            break
        time.sleep(generator.random() * 0.01)
        process.kill()
        process.join()
        kills += 1
    process.join()
    assert kills >= 1
    assert content(tmp_path / "killed") == expected
    assert len(reports) - 1 <= 9 + 4 + kills


class Mine:
    """Somebody's own encoder, which is no module."""

    similarity = "dot"

    def __init__(self, change=lambda vectors: vectors):
        self.calls, self.change = 0, change

    def encode_queries(self, texts, sink=Silent()):
        return self.encode_documents(texts)

    def encode_documents(self, texts, sink=Silent()):
        self.calls += len(texts)
        return self.change(np.array([[len(text), text.count("a")] for text in texts], dtype=np.float32))


class TestInMemory:
    def test_only_this_process_has_it(self, data, tmp_path):
        for model in (Mine(), opened(STATIC)):
            with pytest.raises(ConfigError, match=r"is an object in memory \(.*or use one worker"):
                a_store(data, tmp_path, model, Processes(2))

    def test_without_fingerprint_nothing_is_taken_over(self, data, tmp_path):
        mine = Mine()
        total = len(data.documents) + len(data.queries)
        store = a_store(data, tmp_path, mine)
        assert store.search("", 3, "Exact").scores.shape == (len(data.queries), 3)
        store.vectors("")
        assert mine.calls == total
        a_store(data, tmp_path, mine).vectors("")
        assert mine.calls == 2 * total

    def test_with_fingerprint_it_is(self, data, tmp_path):
        mine = Mine()
        mine.fingerprint = "version 1"
        a_store(data, tmp_path, mine).vectors("")
        calls = mine.calls
        a_store(data, tmp_path, mine).vectors("")
        assert mine.calls == calls
        mine.fingerprint = "version 2"
        a_store(data, tmp_path, mine).vectors("")
        assert mine.calls == 2 * calls

    def test_what_it_gives_is_looked_at(self, data, tmp_path):
        with pytest.raises(ShapeError, match=r"Mine gives \(15, 2\) for 16 texts"):
            a_store(data, tmp_path, Mine(lambda vectors: vectors[1:])).vectors("")
        with pytest.raises(DataError, match="Mine gives vectors that are not finite for document texts"):
            a_store(data, tmp_path, Mine(lambda vectors: vectors * np.nan)).vectors("")


def test_two_runs_share_a_folder(data, tmp_path):
    store = a_store(data, tmp_path)
    store.vectors("")
    (folder,) = tmp_path.glob("document-*")
    for path in folder.glob("whole*"):
        path.unlink()
    heard, found = Heard(), []
    with FileLock(folder / ".lock"):
        thread = Thread(target=lambda: found.append(a_store(data, tmp_path).vectors("", heard)))
        thread.start()
        while not heard.said:
            time.sleep(0.01)
        assert found == []
    thread.join()
    assert heard.said == [f"Waiting for another process that computes what belongs into {folder}."]
    assert len(found[0].documents) == len(data.documents)


def test_progress_is_of_the_whole(data, tmp_path):
    heard = Heard()
    a_store(data, tmp_path).search("", 3, "Exact", heard)
    for task, total in {"Encoding documents": 101, "Encoding queries": 20, "Searching": 2 * 101}.items():
        done = heard.progress(task)
        assert done == sorted(done)
        assert done[0] == (0, total)
        assert done[-1] == (total, total)


def test_the_key_is_for_humans(data, tmp_path):
    a_store(data, tmp_path).vectors("")
    (path,) = tmp_path.glob("query-*/key.json")
    key = json.loads(path.read_text(encoding="utf-8"))
    assert key["role"] == "query"
    assert set(key) == {"model", "similarity", "precision", "device", "tokens", "threads", "role", "texts", "window"}


class TestIndex:
    def test_an_index_that_finds_everything_is_exact_search(self, data, tmp_path):
        store = a_store(data, tmp_path)
        exact = store.search("", 5, "Exact")
        found = store.search("", 5, "IVF(lists=4, probes=4, codes=float32)")
        assert np.array_equal(found.documents, exact.documents)
        assert np.array_equal(found.scores, exact.scores)
        recall = store.recall("", 5, "IVF(lists=4, probes=4, codes=float32)", sample=10)
        assert recall.mean == 1

    def test_it_is_built_once_and_again_when_damaged(self, data, tmp_path):
        kind = "HNSW(links=4)"
        first = a_store(data, tmp_path).search("", 5, kind)
        (index,) = tmp_path.glob("index-*/index.faiss")
        before = (index.stat().st_mtime_ns, index.read_bytes())
        a_store(data, tmp_path).search("", 4, kind)
        assert index.stat().st_mtime_ns == before[0]
        damage(index, "empty")
        for path in tmp_path.glob("hits-*/whole*"):
            path.unlink()
        again = a_store(data, tmp_path).search("", 5, kind)
        assert np.array_equal(again.documents, first.documents)
        assert index.read_bytes() == before[1]

    def test_a_kind_that_there_is_not(self, data, tmp_path):
        with pytest.raises(ConfigError, match="HNSW"):
            a_store(data, tmp_path).search("", 5, "HNWS(links=4)")
