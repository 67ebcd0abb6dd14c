"""The softmax-row family against slow functions written from the equations, in values and in gradients."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfar.objectives import Composition, parse
from nearfar.objectives.criteria.outer import FocalPower
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.masks import same_side
from nearfar.objectives.memory import Memory
from tests.oracles.cases import cases, check_gradients, check_loss, check_rows, mean_of
from tests.oracles.slow import softmax as slow
from tests.oracles.slow import softmax_extended as extended

SOME = settings(max_examples=12, deadline=None)
FEW = settings(max_examples=4, deadline=None)
SEEDS = st.integers(0, 1000)


def inputs(case, seed):
    """Everything that may come by keyword: a guide, a teacher between -1 and 1 or above 0, an earlier model."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = case.known.shape
    dim = case.anchors.shape[1]

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return {
        "guide_anchors": draw(rows, dim),
        "guide_candidates": draw(columns, dim),
        "teacher": torch.sigmoid(draw(rows, columns)),
    }


def exact(text):
    """An objective in float64, also where a trained temperature starts."""
    objective = parse(text).double()
    for name, value in objective.named_parameters():
        if name.endswith("log_scale"):
            value.data.fill_(-math.log(dict(objective.form.settings)["temperature"]))
    return objective


BY_ROWS = {
    "DecoupledSoftmax(temperature=0.1)": lambda *of, **_: slow.decoupled_softmax(*of, temperature=0.1),
    "SoftTopK": lambda *of, **_: slow.soft_top_k(*of),
    "SoftTopK(temperature=0.3, k=2, alpha=1.5)": lambda *of, **_: slow.soft_top_k(*of, temperature=0.3, k=2, alpha=1.5),
    "MW": lambda *of, **_: slow.mw(*of),
    "MW(temperature=0.2)": lambda *of, **_: slow.mw(*of, temperature=0.2),
    "Focal": lambda *of, **_: slow.focal(*of),
    "Focal(temperature=0.2, gamma=2.0)": lambda *of, **_: slow.focal(*of, temperature=0.2, gamma=2),
    "Sample4Geo": lambda *of, **_: slow.sample4geo(*of),
    "Sample4Geo(temperature=0.2, label_smoothing=0.3, directions=query_to_document)": lambda *of, **_: slow.sample4geo(
        *of, temperature=0.2, label_smoothing=0.3, directions="query_to_document"
    ),
    "HardnessWeighted(temperature=0.1)": lambda *of, own, **_: slow.hardness_weighted(*of, own, temperature=0.1),
    "HardnessWeighted(temperature=0.1, strength=5.0, on=own_hard, directions=query_to_document)": (
        lambda *of, own, **_: slow.hardness_weighted(
            *of, own, temperature=0.1, alpha=5, on="own_hard", directions="query_to_document"
        )
    ),
    "HardnessWeighted(temperature=0.1, on=in_batch)": lambda *of, own, **_: slow.hardness_weighted(
        *of, own, temperature=0.1, on="in_batch"
    ),
    "Counterfactual": lambda *of, own, **_: extended.counterfactual(*of, own),
    "ColloSSL": lambda *of, teacher, **_: extended.collo_ssl(*of, teacher),
    "BagInstance(similarity=cosine, directions=query_to_document)": lambda *of, teacher, **_: extended.collo_ssl(
        *of, np.ones_like(teacher), temperature=1.0
    ),
    "CWCL(weights_from=teacher)": lambda *of, teacher, **_: extended.cwcl(*of, teacher),
    "CWCL(weights_from=guide)": lambda *of, guide, **_: extended.cwcl(*of, extended.partner_similarity(guide, of[1])),
    "CWCL(temperature=0.2)": lambda *of, vectors, **_: extended.cwcl(
        *of, extended.partner_similarity(vectors, of[1]), temperature=0.2
    ),
    "Coconut": lambda *of, earlier, **_: extended.coconut(*of, earlier),
    "UniME": lambda *of, **_: extended.uni_me(*of),
    "UniME(temperature=0.2, margin=-0.3, hardest=1)": lambda *of, **_: extended.uni_me(
        *of, temperature=0.2, margin=-0.3, hardest=1
    ),
    "UniME(temperature=0.2, margin=0.0, hardest=none)": lambda *of, **_: extended.uni_me(
        *of, temperature=0.2, margin=0.0, hardest=None
    ),
}
STACKED = {
    "SupCon": ("positive", lambda *of: slow.sup_con(*of)),
    "SupCon(temperature=0.2, form=inside)": ("positive", lambda *of: slow.sup_con(*of, temperature=0.2, form="in")),
    "NTXent": ("ignored", lambda *of: slow.decoupled_softmax(*of, temperature=0.5)),
    "DCL": ("ignored", lambda *of: slow.dcl(*of)),
    "DCLW": ("ignored", lambda *of: slow.dclw(*of)),
    "DCLW(temperature=0.2, sigma=0.2)": ("ignored", lambda *of: slow.dclw(*of, temperature=0.2, sigma=0.2)),
    "Debiased": ("ignored", lambda *of: slow.debiased(*of)),
    "Debiased(temperature=0.2, tau_plus=0.3)": (
        "ignored",
        lambda *of: slow.debiased(*of, temperature=0.2, tau_plus=0.3),
    ),
    "HCL": ("ignored", lambda *of: slow.hcl(*of)),
    "HCL(temperature=0.2, tau_plus=0.02, beta=0.5, detach_weights=true)": (
        "ignored",
        lambda *of: slow.hcl(*of, temperature=0.2, tau_plus=0.02, beta=0.5),
    ),
}


@pytest.mark.parametrize("text", BY_ROWS)
@SOME
@given(case=cases(), seed=SEEDS)
def test_rows(text, case, seed):
    given_inputs = inputs(case, seed)
    earlier = slow.cosine(case.anchors.numpy(), given_inputs["guide_candidates"].numpy())
    expected = BY_ROWS[text](
        *case.arrays(),
        own=case.problem.own.numpy(),
        teacher=given_inputs["teacher"].numpy(),
        guide=given_inputs["guide_anchors"].numpy(),
        vectors=case.anchors.numpy(),
        earlier=earlier,
    )
    check_rows(exact(text), case, expected, **given_inputs)


@pytest.mark.parametrize("text", STACKED)
@SOME
@given(case=cases(most=5))
def test_both_sides(text, case):
    related, oracle = STACKED[text]
    check_loss(parse(text), case, mean_of(oracle(*case.stacked(related))))


@SOME
@given(case=cases(scale=0.5), penalty=st.sampled_from([0.0, 0.002, 0.5]))
def test_n_pair(case, penalty):
    _, positive, valid = case.arrays()
    vectors = (side.numpy() for side in case.vectors)
    expected = extended.n_pair(*vectors, positive, valid, norm_penalty=penalty)
    check_rows(parse(f"NPair(norm_penalty={penalty})"), case, expected)


@SOME
@given(
    case=cases(),
    seed=SEEDS,
    margin=st.sampled_from([0.0, 0.1, -0.05]),
    strategy=st.sampled_from(["absolute", "relative"]),
    anchors=st.booleans(),
    positives=st.booleans(),
)
def test_gist(case, seed, margin, strategy, anchors, positives):
    guide = inputs(case, seed)
    _, positive, valid = case.arrays()
    problem = case.problem
    expected = extended.gist(
        *(side.numpy() for side in case.vectors),
        positive,
        valid,
        guide["guide_anchors"].numpy(),
        guide["guide_candidates"].numpy(),
        temperature=0.1,
        margin=margin,
        margin_strategy=strategy,
        contrast_anchors=anchors,
        contrast_positives=positives,
        anchors_valid=same_side(problem.masks, problem.row_ids, problem.column_ids).numpy(),
        candidates_valid=same_side(problem.masks.transpose(), problem.column_ids, problem.row_ids).numpy(),
        shared=True,
    )
    objective = parse(
        f"GIST(temperature=0.1, margin={margin}, margin_strategy={strategy}, contrast_anchors={str(anchors).lower()}, "
        f"contrast_positives={str(positives).lower()})"
    )
    check_rows(objective, case, expected, **guide)


@settings(max_examples=50, deadline=None)
@given(case=cases(), seed=SEEDS, own=st.booleans(), others=st.booleans(), plain=st.booleans(), extra=st.booleans())
def test_the_master_row(case, seed, own, others, plain, extra):
    problem, settings_of_row = master(case, seed, plain, extra)
    outcome = Softmax(own=own, others=others).outcome(problem, Memory({}))
    losses, kept = slow.master_row(
        *case.arrays(), temperature=0.3, own_positive=own, other_positives=others, **settings_of_row
    )
    assert outcome.kept.tolist() == kept.tolist()
    np.testing.assert_allclose(outcome.losses.numpy(), losses, atol=1e-9, rtol=1e-9)


def master(case, seed, plain, extra):
    """A problem with everything that a row can have, and the same for the slow function."""
    generator = torch.Generator().manual_seed(seed)
    similarity, positive, _ = case.arrays()
    rows, columns = similarity.shape
    shares = torch.rand(rows, columns, generator=generator, dtype=torch.float64) + 0.1
    bias = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    mass = torch.rand(rows, generator=generator, dtype=torch.float64) + 0.1
    importance = torch.rand(rows, generator=generator, dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    scores = torch.from_numpy(similarity)
    problem = replace(case.problem, similarity=scores, logits=scores / 0.3, temperature=0.3 * one)
    of_row = {}
    if not plain:
        problem = replace(problem, shares=shares, bias=bias, importance=importance)
        of_row = {"positive_weight": shares.numpy() * positive, "negative_bias": bias.numpy(), "row_weight": importance}
    if extra:
        problem = replace(problem, extra=mass.log()[:, None])
        of_row["extra"] = mass.numpy()
    return problem, of_row


@pytest.mark.parametrize(
    "text",
    [
        "DecoupledSoftmax(temperature=0.3)",
        "SoftTopK(temperature=0.3, k=2)",
        "MW(temperature=0.3)",
        "Focal(temperature=0.3, gamma=2.0)",
        "Sample4Geo(temperature=0.3)",
        "Counterfactual(temperature=0.3)",
        "ColloSSL(temperature=0.3)",
        "BagInstance(temperature=2.0)",
        "CWCL(temperature=0.3, weights_from=guide)",
        "Coconut(temperature=0.3)",
        "NPair(norm_penalty=0.1)",
        "UniME(temperature=0.3, hardest=2)",
        "GIST(temperature=0.3)",
        "GTE(temperature=0.3, hard_beside=others)",
        "NTXent",
        "SupCon(temperature=0.3)",
        "SupCon(temperature=0.3, form=inside)",
        "DCL(temperature=0.3)",
        "Debiased(tau_plus=0.02)",
        "HCL(tau_plus=0.02)",
        "CLIP",
    ],
)
@FEW
@given(case=cases(most=3, dim=3), seed=SEEDS)
def test_gradients(text, case, seed):
    check_gradients(parse(text), case, **inputs(case, seed))


def slopes(function, sides, step=1e-5):
    """Central differences of a function of two arrays."""
    found = [np.zeros_like(side) for side in sides]
    for which, side in enumerate(sides):
        for place in np.ndindex(side.shape):
            ends = []
            for sign in (1, -1):
                moved = [each.copy() for each in sides]
                moved[which][place] += sign * step
                ends.append(function(*moved))
            found[which][place] = (ends[0] - ends[1]) / (2 * step)
    return found


def held(kind, case, temperature):
    """A function of both sides in which the weights of ``kind`` stay what they are at the case's own vectors."""
    similarity, positive, valid = case.arrays()
    own = case.problem.own.numpy()
    weights = {
        "hardness": 2.0 * np.where(~own, similarity, 0.0),
        "concentration": similarity / temperature - np.log(np.mean(np.ones_like(similarity))),
    }

    def loss(anchors, candidates):
        z = slow.cosine(anchors, candidates)
        if kind == "hardness":
            fixed = {"temperature": temperature, "negative_bias": weights["hardness"]}
            return mean_of(slow.master_row(z, positive, valid, **fixed))
        if kind == "focal":
            factor = slow.master_pairs(similarity, positive, valid, temperature=temperature)
            pairs = slow.master_pairs(z, positive, valid, temperature=temperature)
            return mean_of(slow.over_positives((1 - np.exp(-factor)) ** 2 * pairs, positive, valid))
        teacher = extended.partner_similarity(case.anchors.numpy(), positive)
        return mean_of(extended.cwcl(z, positive, valid, teacher, temperature=temperature))

    return loss


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "hardness",
            "HardnessWeighted(temperature=0.4, strength=2.0, on=in_batch, directions=query_to_document)",
        ),
        ("focal", "Focal(temperature=0.4, gamma=2.0, detach_weights=true)"),
        ("partners", "CWCL(temperature=0.4)"),
    ],
)
@FEW
@given(case=cases(most=3, dim=3))
def test_detached_weights_stay_fixed_under_the_gradient(kind, text, case):
    sides = [side.clone().requires_grad_() for side in case.vectors]
    parse(text).double()(*sides, case.known).backward()
    expected = slopes(held(kind, case, 0.4), [side.numpy() for side in case.vectors])
    for side, numbers in zip(sides, expected, strict=True):
        np.testing.assert_allclose(side.grad.numpy(), numbers, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("text", ["DCLW(temperature=0.4)", "HCL(temperature=0.4, tau_plus=0.0, detach_weights=true)"])
@FEW
@given(case=cases(most=3, dim=3))
def test_detached_weights_over_both_sides_stay_fixed_under_the_gradient(text, case):
    sides = [side.clone().requires_grad_() for side in case.vectors]
    parse(text).double()(*sides, case.known).backward()
    similarity, positive, valid = case.stacked()
    weights = slow.dclw_weights(similarity, positive, valid)
    bias = np.zeros_like(similarity)
    for i in range(len(bias)):
        negatives = slow.split(positive, valid, i)[1]
        if negatives:
            bias[i] = similarity[i] / 0.4 - math.log(np.mean(np.exp(similarity[i, negatives] / 0.4)))

    def loss(anchors, candidates):
        stacked = np.concatenate([anchors, candidates])
        z = slow.cosine(stacked, stacked)
        if text.startswith("HCL"):
            return mean_of(slow.master_row(z, positive, valid, temperature=0.4, negative_bias=bias))
        plain = slow.master_pairs(z, positive, valid, temperature=0.4, own_positive=False)
        return mean_of(slow.over_positives(plain + (1 - weights) * z / 0.4, positive, valid, needs_negative=True))

    expected = slopes(loss, [side.numpy() for side in case.vectors])
    for side, numbers in zip(sides, expected, strict=True):
        np.testing.assert_allclose(side.grad.numpy(), numbers, atol=1e-7, rtol=1e-5)


def test_a_composition_written_out_is_the_named_one():
    parts = "Softmax(outer=FocalPower(gamma=0.5)), logits=[Temperature(temperature=0.05)]"
    written = Composition(criterion=Softmax(outer=FocalPower(gamma=0.5)), logits=(Temperature(temperature=0.05),))
    assert parse(f"Composition(criterion={parts})").form == written
    assert parse("Focal").form.form == written
