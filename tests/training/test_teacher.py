"""Teachers and moving averages from the settings to the trained model."""

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from nearfar import api, load_model
from nearfar.config.read import read_config
from nearfar.encoders.protocol import Role
from nearfar.errors import ConfigError
from nearfar.events import Message, Progress, Silent
from nearfar.objectives import catalogue
from nearfar.training import job
from nearfar.training.objective import check_companions, trainable_objective
from nearfar.training.teacher import check_teacher, prepare_teacher, stored_teacher, training_rows
from nearfar.types import Batch
from tests import runs
from tests.data.memory import make
from tests.training.test_loop import Collected

FAST = ("training.steps=6", "dev.evaluations=2", "batches.size=32", "evaluation.resamples=200")


def config(*settings):
    return read_config(None, list(settings))


def dataset():
    """Query 3 and document 4 are not in training."""
    rows = {"train": [(0, 0, 1), (0, 1, 0), (1, 2, 1), (2, 3, 1)], "dev": [(3, 4, 1)]}
    queries = ["how to borak", "how to calim", "where dusot", "where ferak"]
    return make(queries, ["haven done", "jezop done", "kitir done", "loven done", "muzop done"], rows)


# ------------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["objective=GIST"],
            "needs guide_anchors, guide_candidates, which .* training.momentum=0.999 .* teacher.model=NAME",
        ),
        (["objective=ListKL"], "needs teacher, which .* Set teacher.model=NAME"),
        (["objective=MoCo"], "needs guide_candidates, which .* training.momentum=0.999"),
        (["objective=ListKL", "training.momentum=0.9"], "needs teacher, which .* Set teacher.model=NAME"),
        (["training.momentum=0.9"], "training.momentum is 0.9, but the objective InfoNCE.* MoCo, ESimCSE and BYOL"),
        (["teacher.model=base"], "teacher.model is 'base', but the objective InfoNCE.* GIST, ListKL and MarginMSE"),
        (
            ["objective=BYOL", "training.momentum=0.9", "teacher.model=base"],
            r"does not look at a teacher \(its guide is the moving average of training.momentum\)",
        ),
        (["objective=ColloSSL", "teacher.model=base"], "needs weights of the pairs as teacher"),
        (["objective=CWCL(weights_from=teacher)", "teacher.model=base"], "needs cosines of the anchors as teacher"),
        (["objective=NoisyLabel(flips=given)", "teacher.model=base"], "needs logits that labels are wrong as teacher"),
        (["objective=CLIPN", "teacher.model=base"], "needs vectors of texts that say no as guide_candidates"),
    ],
)
def test_what_nobody_would_look_at_or_nobody_has_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        check_companions(config(*settings))


@pytest.mark.parametrize(
    "settings",
    [
        ["objective=GIST", "teacher.model=base"],
        ["objective=ListKL", "teacher.model=base"],
        ["objective=Sum(terms=[MoCo, MarginMSE])", "training.momentum=0.9", "teacher.model=base"],
        ["objective=MoCo", "teacher.model=base"],  # queries learn to find documents that stay where they are
        ["objective=CWCL(weights_from=guide)", "teacher.model=base"],
        ["objective=ClusterWeight", "teacher.model=base"],
        ["objective=XBM"],
        ["objective=ESimCSE", "training.momentum=0.995"],
        ["objective=BYOL", "training.momentum=0.99"],
    ],
)
def test_what_is_looked_at_is_not_refused(settings):
    check_companions(config(*settings))


@pytest.mark.parametrize("name", [entry.name for entry in catalogue()])
def test_every_objective_of_the_catalogue_can_be_trained_or_says_why_not(name):
    with_all = config("training.momentum=0.9", "teacher.model=base")
    if name in ("CLIPN", "ColloSSL"):
        with pytest.raises(ConfigError, match="From Python, pass them to the objective yourself"):
            trainable_objective(name, with_all)
    else:
        assert str(trainable_objective(name, with_all)).startswith(name)


def test_a_teacher_that_is_not_there():
    with pytest.raises(ConfigError, match=r"There is no model folder .*no/such/place"):
        check_teacher(config("teacher.model=./no/such/place"))
    with pytest.raises(ConfigError, match=r"teacher.max_length is set, but the teacher is the base model"):
        check_teacher(config("teacher.model=base", "teacher.max_length=8"))
    with pytest.raises(ConfigError, match=r"teacher.prompts is set, but there is no teacher.model"):
        check_teacher(config("teacher.prompts={query: 'q: '}"))
    check_teacher(config())
    check_teacher(config("teacher.model=base"))


def test_a_teacher_of_another_width_where_it_must_be_of_the_same(pairs, tokenizer, tmp_path):
    settings = (*FAST, "objective=Coconut", f"teacher.model={runs.static(tokenizer, 16)}")
    with pytest.raises(ConfigError, match=r"of width 32, with those of the teacher, of width 16. .*teacher.model=base"):
        api.train(pairs, model=runs.static(tokenizer), out=tmp_path / "run", settings=settings)


# ------------------------------------------------------------------------------------------------ what is computed


def test_its_vectors_are_those_of_the_texts_of_training(tokenizer, tmp_path):
    made, base = dataset(), load_model(runs.static(tokenizer))
    name = runs.static(tokenizer, 16)
    sink = Collected()
    teacher = prepare_teacher(tmp_path, made, base, config(f"teacher.model={name}"), sink)
    queries, documents = training_rows(made, config())
    assert (queries.tolist(), documents.tolist()) == ([0, 1, 2], [0, 1, 2, 3])
    other = load_model(name)
    expected = other.encode_queries(made.queries.take(queries)), other.encode_documents(made.documents.take(documents))
    np.testing.assert_array_equal(teacher.queries.vectors, expected[0])
    np.testing.assert_array_equal(teacher.documents.vectors, expected[1])
    assert isinstance(teacher.documents.vectors, np.memmap)
    assert (teacher.width, teacher.similarity) == (16, "cosine")
    shown = [event for event in sink.events if isinstance(event, Progress)]
    assert {event.task for event in shown} == {"Teacher: encoding queries", "Teacher: encoding documents"}
    assert (shown[-1].done, shown[-1].total) == (4, 4)
    found = teacher.of(batch([2, 0], [3, 0]))
    assert sorted(found) == ["teacher_anchors", "teacher_candidates"]
    torch.testing.assert_close(found["teacher_anchors"], normalize(torch.from_numpy(expected[0][[2, 0]]), dim=1))
    stored = stored_teacher(tmp_path, made, config())
    np.testing.assert_array_equal(stored.queries.vectors, teacher.queries.vectors)
    with pytest.raises(ConfigError, match=r"its vectors are not in .*none any more"):
        stored_teacher(tmp_path / "none", made, config())


def batch(index, documents):
    from tests.objectives.relations import relation

    known = relation([[1, None], [None, 1]])
    return Batch(["a", "b"], ["c", "d"], known, torch.tensor(index), None, torch.tensor(documents))


def test_they_are_computed_again_when_anything_has_changed_and_only_then(tokenizer, tmp_path, monkeypatch):
    from nearfar.training import teacher as module

    written = []
    before = module.write_vectors
    monkeypatch.setattr(module, "write_vectors", lambda path, *rest: (written.append(path.stem), before(path, *rest)))
    made, base, sink = dataset(), load_model(runs.static(tokenizer)), Collected()
    name = runs.static(tokenizer, 16)

    def prepared(*settings, data=made):
        written.clear()
        sink.events.clear()
        usual = (f"teacher.model={name}", "teacher.precision=float32")
        prepare_teacher(tmp_path / "t", data, base, config(*usual, *settings), sink)
        said = [event.text for event in sink.events if isinstance(event, Message)]
        assert len(said) <= 1
        return written.copy(), said

    assert prepared() == (["queries", "documents"], [])
    assert prepared() == ([], [])
    assert prepared("objective=GIST", "training.learning_rate=0.5") == ([], [])
    for change, settings, data in (
        ("model", ["teacher.prompts={query: 'where '}"], made),
        ("model", ["training.seed=4"], made),  # random token vectors
        ("data", [], made.with_qrels({**made.qrels, "train": made.qrels["train"].of(np.array([0]))})),
        ("precision", ["teacher.precision=bfloat16"], made),
        ("similarity", ["teacher.similarity=dot"], made),
    ):
        files, said = prepared(*settings, data=data)
        assert files == ["queries", "documents"], change
        assert change in said[0]
        assert "computed anew" in said[0]
        assert prepared(*settings, data=data)[0] == []
    file = tmp_path / "t" / "documents.npy"
    for damage in (file.unlink, lambda: file.write_bytes(file.read_bytes()[:-8]), lambda: file.write_bytes(b"")):
        prepared()
        damage()
        assert prepared() == (["queries", "documents"], [])


def test_pooling_is_part_of_what_they_follow_from(tmp_path):
    from sentence_transformers import SentenceTransformer

    from nearfar.encoders.sentence_transformer import SentenceTransformerEncoder
    from nearfar.training.teacher import _key

    model = SentenceTransformer(str(runs.write_bert(tmp_path / "bert")), device="cpu")
    one = _key(SentenceTransformerEncoder(model), dataset())
    model[1].pooling_mode = "cls"
    assert _key(SentenceTransformerEncoder(model), dataset())["model"] != one["model"]


def test_a_kill_while_they_are_written_leaves_nothing_to_believe(tokenizer, tmp_path, monkeypatch):
    from nearfar.training import teacher as module

    made, base, name = dataset(), load_model(runs.static(tokenizer)), runs.static(tokenizer, 16)
    before = module.write_vectors

    def killed(path, *rest):
        if path.stem == "documents":
            raise KeyboardInterrupt
        before(path, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_vectors", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare_teacher(tmp_path, made, base, config(f"teacher.model={name}"), Silent())
    with pytest.raises(ConfigError, match="not in"):
        stored_teacher(tmp_path, made, config())
    prepare_teacher(tmp_path, made, base, config(f"teacher.model={name}"), Silent())
    assert stored_teacher(tmp_path, made, config()).width == 16


def test_the_base_model_itself(tokenizer, tmp_path):
    made, base = dataset(), load_model(runs.static(tokenizer))
    teacher = prepare_teacher(tmp_path, made, base, config("teacher.model=base"), Silent())
    expected = base.encode_queries(made.queries.take([0, 1, 2]))
    np.testing.assert_array_equal(teacher.queries.vectors, expected)
    assert base.precision == "float32"
    assert base.way(Role.QUERY) == base.way(Role.DOCUMENT)


# ------------------------------------------------------------------------------------------------ runs


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Pairs with two judged negatives each, for what compares within a row."""
    rows = list(runs.sentences(240))
    lines = (
        {"query": query, "positive": document, "negative": [rows[(place + shift) % 240][1] for shift in (1, 7)]}
        for place, (query, document) in enumerate(rows)
    )
    return runs.write_lines(tmp_path_factory.mktemp("judged") / "pairs.jsonl", lines)


def objective_of(given):
    return given[0].partition("=")[2] if isinstance(given, list) else ""


@pytest.mark.parametrize(
    "settings",
    [
        ["objective=GIST", "teacher.model=TEACHER"],
        ["objective=MarginMSE(similarity=cosine)", "teacher.model=TEACHER"],
        ["objective=MoCo(size=64)", "training.momentum=0.9"],
        ["objective=BYOL(hidden=8)", "training.momentum=0.99"],
        ["objective=ESimCSE(size=64)", "training.momentum=0.995"],
    ],
    ids=objective_of,
)
def test_it_trains_from_the_settings_alone(judged, tokenizer, tmp_path, settings):
    trained(judged, tokenizer, tmp_path / "run", settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["objective=DualTeacher(in_batch_teacher=guide)", "teacher.model=FOLDER"],
        ["objective=MoCo(size=64)", "teacher.model=base"],
        ["objective=Sum(terms=[MoCo(size=64), LGANNA])", "training.momentum=0.9", "teacher.model=TEACHER"],
    ],
    ids=objective_of,
)
def test_it_trains_and_is_explained_on_its_own_pairs(judged, tokenizer, tmp_path, settings):
    if "FOLDER" in settings[-1]:
        settings = [*settings[:-1], f"teacher.model={runs.write_bert(tmp_path / 'bert')}"]
    out = trained(judged, tokenizer, tmp_path / "run", settings)
    api.explain(["InfoNCE", objective_of(settings)], run=out, out=tmp_path / "page.html")
    assert (tmp_path / "page.html").is_file()


def trained(data, tokenizer, out, settings):
    settings = [setting.replace("TEACHER", runs.static(tokenizer, 16)) for setting in settings]
    api.train(data, model=runs.static(tokenizer), out=out, settings=(*FAST, *settings))
    record, losses = runs.record(out), [entry["loss"] for entry in runs.curve(out) if "loss" in entry]
    assert record["state"] == "finished"
    assert record["tuned_hash"] != record["base_hash"]
    assert np.isfinite(losses).all()
    assert max(losses) > 1e-4
    assert (out / "teacher" / "key.json").is_file() == any("teacher.model" in setting for setting in settings)
    return out


def test_the_moving_average_is_in_the_checkpoint_and_not_in_the_model_or_the_optimiser(pairs, tokenizer, tmp_path):
    from safetensors.torch import load_file

    settings = (*FAST, "objective=MoCo(size=64)", "training.momentum=0.5", "training.weight_decay=0.1")
    out = tmp_path / "run"
    api.train(pairs, model=runs.static(tokenizer), out=out, settings=settings)
    checkpoint = sorted((out / "checkpoints").iterdir())[-1]
    state = load_file(checkpoint / "model.safetensors")
    followed = {name.removeprefix("momentum."): value for name, value in state.items() if name.startswith("momentum.")}
    assert sorted(followed) == sorted(name for name in state if name.startswith("encoder."))
    apart = [not torch.equal(value, state[name]) for name, value in followed.items()]
    assert all(apart)
    optimiser = torch.load(checkpoint / "optimizer.pt", weights_only=True)
    assert sum(len(group["params"]) for group in optimiser["param_groups"]) == len(followed)


def test_a_momentum_of_one_never_moves(pairs, tokenizer, tmp_path):
    from safetensors.torch import load_file

    out = tmp_path / "run"
    api.train(
        pairs,
        model=runs.static(tokenizer),
        out=out,
        settings=(*FAST, "objective=MoCo(size=64)", "training.momentum=1"),
    )
    state = load_file(sorted((out / "checkpoints").iterdir())[-1] / "model.safetensors")
    base = load_model(runs.static(tokenizer)).state_dict()
    for name, value in base.items():
        assert torch.equal(state[f"momentum.encoder.{name}"], value)
        assert not torch.equal(state[f"encoder.{name}"], value)


def alike(one, other):
    """The same weights, also of the moving average and the queue, and the same numbers along the way, to the bit."""
    first, second = runs.record(one), runs.record(other)
    for name in ("tuned_hash", "best_step", "trained_steps", "stopped", "state"):
        assert first[name] == second[name], name
    assert runs.curve(one) == runs.curve(other)
    assert runs.scores(one) == runs.scores(other)
    states = [next((run / "checkpoints").glob("*-6")) / "model.safetensors" for run in (one, other)]
    assert states[0].read_bytes() == states[1].read_bytes()


@pytest.mark.parametrize(
    "settings",
    [
        ["objective=MoCo(size=64)", "training.momentum=0.9"],
        ["objective=Sum(terms=[ESimCSE(size=40), ListKL])", "training.momentum=0.9", "teacher.model=base"],
    ],
)
def test_interrupted_and_resumed_is_uninterrupted(judged, tokenizer, tmp_path, settings, monkeypatch):
    from tests.resume.test_resume import At, interrupt

    arguments = {"model": runs.static(tokenizer), "settings": (*FAST, *settings)}
    api.train(judged, out=tmp_path / "whole", **arguments)
    with pytest.raises(job.Stopped):
        api.train(judged, out=tmp_path / "run", **arguments, sink=At(2, interrupt))
    monkeypatch.setattr("nearfar.training.teacher.write_vectors", lambda *given: pytest.fail("computed again"))
    api.train(judged, out=tmp_path / "run", **arguments, resume=True)
    alike(tmp_path / "run", tmp_path / "whole")


@pytest.mark.slow
def test_dropout_of_the_encoder_is_not_in_the_moving_average(pairs, tmp_path):
    """Resumed to the bit with dropout too, and the moving average's own vectors have none."""
    from tests.resume.test_resume import At, interrupt

    model = runs.write_bert(tmp_path / "bert", dropout=0.2)
    settings = (*FAST, "objective=MoCo(size=64)", "training.momentum=0.9", "training.learning_rate=3e-3")
    arguments = {"model": str(model), "settings": settings}
    api.train(pairs, out=tmp_path / "whole", **arguments)
    with pytest.raises(job.Stopped):
        api.train(pairs, out=tmp_path / "run", **arguments, sink=At(4, interrupt))
    api.train(pairs, out=tmp_path / "run", **arguments, resume=True)
    alike(tmp_path / "run", tmp_path / "whole")
