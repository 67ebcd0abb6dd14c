"""What every objective of the catalogue keeps to."""

import inspect
import math
import pickle
import re
from copy import deepcopy
from dataclasses import FrozenInstanceError, fields

import pytest
import torch

from nearfar import objectives
from nearfar.errors import ConfigError, ShapeError
from nearfar.objectives import parse
from nearfar.objectives.form import parts
from nearfar.objectives.memory import Table
from nearfar.types import Relation
from tests.conformance.inputs import DIM, ENTRIES, USUAL, companions, is_random, variants, vectors
from tests.objectives.relations import DEGENERATE, relation

EVERY = pytest.mark.parametrize("name", ENTRIES)
REMEMBERING = pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.remembers])


def call(objective, known=USUAL, seed=0, dtype=torch.float32):
    """The loss of a fresh copy, and the vectors."""
    inputs = vectors(known.shape, seed, dtype)
    copy = deepcopy(objective).to(dtype)
    return copy(*inputs, known, **companions(objective, known, seed, dtype)), inputs


@EVERY
def test_it_can_be_imported_by_its_name(name):
    assert getattr(objectives, name) is ENTRIES[name]
    assert name in objectives.__all__


@EVERY
def test_text_and_back(name):
    for objective in variants(ENTRIES[name]):
        assert parse(str(objective)) == objective
        assert hash(parse(str(objective))) == hash(objective)


@EVERY
def test_the_composition_written_out_is_the_same_objective(name):
    written = parse(ENTRIES[name].parts)
    assert str(written) == ENTRIES[name].parts
    assert written.needs == ENTRIES[name].needs
    torch.testing.assert_close(call(written)[0], call(ENTRIES[name]())[0])


@EVERY
def test_it_says_where_it_comes_from(name):
    entry = ENTRIES[name]
    assert entry.paper
    assert entry.equation
    assert entry.family
    assert entry.arxiv is None or re.fullmatch(r"\d{4}\.\d{4,5}", entry.arxiv)
    assert entry.verified or "reconstruct" in inspect.getdoc(entry.build).lower()


@EVERY
def test_every_setting_is_documented_and_has_a_default(name):
    entry = ENTRIES[name]
    described = inspect.getdoc(entry.build).partition("Args:")[2]
    for setting, default in entry.defaults.items():
        assert default is not inspect.Parameter.empty
        assert f"    {setting}: " in described
    assert entry.summary.endswith(".")


@EVERY
def test_its_parts_are_frozen_documented_and_take_keywords_only(name):
    for _, part in parts(ENTRIES[name].form):
        assert inspect.getdoc(type(part))
        for field in fields(part):
            assert field.kw_only
            assert f"{field.name}:" in inspect.getdoc(type(part)).replace(", ", ": "), (part, field.name)
            with pytest.raises(FrozenInstanceError):
                setattr(part, field.name, None)


@EVERY
def test_it_survives_pickling_and_copying(name):
    for objective in variants(ENTRIES[name]):
        objective.prepare(DIM, 8)
        for copy in (pickle.loads(pickle.dumps(objective)), deepcopy(objective)):
            assert copy == objective
            for key, value in objective.state_dict().items():
                assert torch.equal(copy.state_dict()[key], value)


@EVERY
def test_an_unknown_setting_is_refused_with_the_nearest_one(name):
    if not ENTRIES[name].defaults:
        with pytest.raises(ConfigError, match=f"{name} has no field 'strength'"):
            parse(f"{name}(strength=1)")
        return
    first = next(iter(ENTRIES[name].defaults))
    with pytest.raises(ConfigError, match=f"Did you mean '{first}'"):
        parse(f"{name}({first}s=1)")


@EVERY
def test_settings_are_given_by_name(name):
    with pytest.raises(ConfigError, match=f"{name}: give every value by name"):
        ENTRIES[name](1.0)
    with pytest.raises(ConfigError, match=f"{name} has no field 'no_such_setting'"):
        ENTRIES[name](no_such_setting=1)


@pytest.mark.usefixtures("without_annotation_checks")
@EVERY
def test_a_temperature_must_be_above_zero(name):
    for setting in ENTRIES[name].defaults:
        if setting == "temperature" or setting.endswith("_temperature"):
            for value in ("0", "-1", "true", "warm"):
                with pytest.raises(ConfigError, match=rf"{name}: \w+ must be "):
                    parse(f"{name}({setting}={value})")


@EVERY
def test_the_same_inputs_give_the_same_loss_and_stay_as_they_are(name):
    for objective in variants(ENTRIES[name]):
        inputs, beside = vectors(USUAL.shape), companions(objective, USUAL)
        before = [each.detach().clone() for each in (*inputs, *beside.values())]
        first = deepcopy(objective)(*inputs, USUAL, **beside)
        second = deepcopy(objective)(*inputs, USUAL, **beside)
        assert torch.isfinite(first)
        assert first.item() == second.item()
        assert all(
            torch.equal(each.detach(), old) for each, old in zip((*inputs, *beside.values()), before, strict=True)
        )


@EVERY
def test_somebody_gets_a_gradient(name):
    loss, inputs = call(ENTRIES[name]())
    loss.backward()
    moved = [each.grad is not None and bool((each.grad != 0).any()) for each in inputs]
    assert any(moved)
    assert all(torch.isfinite(each.grad).all() for each in inputs if each.grad is not None)


@EVERY
def test_the_loss_is_the_mean_of_the_rows_that_count(name):
    for known in (USUAL, DEGENERATE["one row without positives"]):
        for objective in variants(ENTRIES[name]):
            inputs, beside = vectors(known.shape), companions(objective, known)
            outcome = deepcopy(objective).outcome(*inputs, known, **beside)
            assert outcome.losses.shape == outcome.kept.shape == known.shape[:1]
            assert (outcome.losses[~outcome.kept] == 0).all()
            if outcome.kept.any():
                torch.testing.assert_close(outcome.loss, outcome.losses[outcome.kept].mean())
            else:
                assert outcome.loss.item() == 0
            torch.testing.assert_close(deepcopy(objective).rows(*inputs, known, **beside), outcome.losses)


@EVERY
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_relations_give_finite_gradients(name, case):
    known = DEGENERATE[case]
    for objective in variants(ENTRIES[name]):
        inputs, fresh = vectors(known.shape), deepcopy(objective)
        # Anomaly detection sees a NaN inside the graph even when a later step hides it.
        with torch.autograd.set_detect_anomaly(True):
            loss = fresh(*inputs, known, **companions(objective, known))
            assert torch.isfinite(loss), objective
            assert loss.requires_grad, objective
            loss.backward()
        assert all(each.grad is None or torch.isfinite(each.grad).all() for each in inputs), objective


@EVERY
@pytest.mark.parametrize("kind", ["equal", "opposite", "zero", "half"])
def test_extreme_vectors_give_finite_gradients(name, kind):
    objective = ENTRIES[name]()
    anchors, candidates = (each.detach() for each in vectors(USUAL.shape))
    if kind == "equal":
        anchors, candidates = torch.ones_like(anchors), torch.ones_like(candidates)
    elif kind == "opposite":
        anchors, candidates = torch.ones_like(anchors), -torch.ones_like(candidates)
    elif kind == "zero":
        anchors, candidates = torch.zeros_like(anchors), torch.zeros_like(candidates)
    else:
        anchors, candidates = anchors.bfloat16(), candidates.bfloat16()
    inputs = [anchors.requires_grad_(), candidates.requires_grad_()]
    loss = deepcopy(objective)(*inputs, USUAL, **companions(objective, USUAL))
    loss.backward()
    assert torch.isfinite(loss)
    assert loss.dtype == torch.float32
    assert all(each.grad is None or torch.isfinite(each.grad).all() for each in inputs)


@EVERY
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_not_hidden(name, value):
    objective = ENTRIES[name]()
    anchors, candidates = (each.detach() for each in vectors(USUAL.shape))
    candidates[0, 0] = value
    outcome = objective.outcome(anchors, candidates, USUAL, **companions(objective, USUAL))
    assert outcome.loss.isnan()
    assert outcome.losses.isnan().all()


@EVERY
def test_single_precision_under_autocast_is_single_precision(name):
    for objective in variants(ENTRIES[name]):
        exact, sides = call(objective, dtype=torch.float64)
        exact.backward()
        with torch.autocast("cpu", torch.bfloat16):
            single, inputs = call(objective)
        single.backward()
        assert single.dtype == torch.float32
        assert single.item() == pytest.approx(exact.item(), rel=2e-4, abs=2e-5), objective
        for one, other in zip(inputs, sides, strict=True):
            if one.grad is not None:
                scale = max(float(other.grad.abs().max()), 1e-3)
                assert (one.grad.double() - other.grad).abs().max() < 2e-3 * scale, objective


@EVERY
def test_the_order_of_anchors_and_candidates_does_not_matter(name):
    for objective in variants(ENTRIES[name]):
        if is_random(deepcopy(objective)):
            continue
        inputs, beside = vectors(USUAL.shape, dtype=torch.float64), companions(objective, USUAL, dtype=torch.float64)
        rows, columns = torch.tensor([2, 0, 3, 1]), torch.tensor([5, 3, 1, 0, 2, 4])
        known, turned = shuffled(USUAL, beside, rows, columns)
        first = deepcopy(objective).double()(*inputs, USUAL, **beside)
        second = deepcopy(objective).double()(inputs[0][rows], inputs[1][columns], known, **turned)
        torch.testing.assert_close(first, second, msg=lambda text, of=objective: f"{of}: {text}")


def shuffled(known, beside, rows, columns):
    """The relation and what comes beside it, in another order."""
    row_place, column_place = torch.argsort(rows), torch.argsort(columns)
    turned = Relation(
        **{
            **vars(known),
            "rows": row_place[known.rows],
            "columns": column_place[known.columns],
            "anchor_ids": known.anchor_ids[rows],
            "candidate_ids": known.candidate_ids[columns],
            "origins": known.origins[columns],
        }
    )
    order = {"index": (rows,), "guide_anchors": (rows,), "guide_candidates": (columns,), "labels": (rows,)}
    order |= {"origin": (columns,), "teacher": (rows[:, None], columns[None, :])}
    return turned, {key: value[order[key]] for key, value in beside.items()}


@EVERY
def test_what_it_needs_is_asked_for_by_name(name):
    objective = ENTRIES[name]()
    beside = companions(objective, USUAL)
    for missing in beside:
        rest = {key: value for key, value in beside.items() if key != missing}
        with pytest.raises(ShapeError, match=rf"needs {missing} .*Got anchors \(4, 6\) float32"):
            objective(*vectors(USUAL.shape), USUAL, **rest)


@REMEMBERING
def test_what_it_remembers_is_in_the_checkpoint(name):
    for objective in variants(ENTRIES[name]):
        if not objective.remembers:
            continue
        known, beside = USUAL, companions(objective, USUAL)
        objective(*vectors(known.shape, 1), known, **beside)
        stored = deepcopy(objective.state_dict())
        again = parse(str(objective))
        again.load_state_dict(stored)
        for seed in (2, 3):
            one = objective(*vectors(known.shape, seed), known, **beside)
            other = again(*vectors(known.shape, seed), known, **beside)
            assert one.item() == other.item(), objective
        assert objective.state_dict().keys() == again.state_dict().keys()
        for key, value in objective.state_dict().items():
            assert torch.equal(value, again.state_dict()[key]), (objective, key)


@REMEMBERING
def test_in_evaluation_mode_it_remembers_nothing_new(name):
    objective = ENTRIES[name]().prepare(DIM)
    objective(*vectors(USUAL.shape), USUAL, **companions(objective, USUAL))
    objective.eval()
    before = deepcopy(objective.state_dict())
    objective(*vectors(USUAL.shape, 1), USUAL, **companions(objective, USUAL))
    assert all(torch.equal(value, before[key]) for key, value in objective.state_dict().items())


@REMEMBERING
def test_tables_are_reserved_for_the_examples_of_the_dataset(name):
    objective = ENTRIES[name]().prepare(DIM, 40)
    tables = [module for module in objective.modules() if isinstance(module, Table)]
    assert all(len(table.values) == 40 for table in tables)
    if "index" in objective.needs:
        assert tables


@EVERY
def test_a_matrix_and_a_relation_are_the_same_thing(name):
    known = relation([[1, 0, 0], [0, 1, 0], [0, 1, 1]])
    dense = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 1]])
    objective = ENTRIES[name]()
    beside = companions(objective, known)
    one = deepcopy(objective)(*vectors((3, 3)), known, **beside)
    other = deepcopy(objective)(
        *vectors((3, 3)), dense, anchor_ids=known.anchor_ids, candidate_ids=known.candidate_ids, **beside
    )
    torch.testing.assert_close(one, other)


@EVERY
def test_a_matrix_without_any_positive_is_refused(name):
    objective = ENTRIES[name]()
    nothing = torch.zeros(USUAL.shape)
    beside = companions(objective, USUAL)
    if objective.form.needs_positives:
        with pytest.raises(ShapeError, match=rf"{name}: no candidate is relevant .*relevance \(4, 6\)"):
            objective(*vectors(USUAL.shape), nothing, **beside)
    else:
        assert math.isfinite(objective(*vectors(USUAL.shape), nothing, **beside).item())
