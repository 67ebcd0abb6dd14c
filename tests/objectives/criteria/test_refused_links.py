"""What the criteria of pairs and lists refuse, and what their masks and logits refuse."""

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives import parse
from nearfar.objectives.criteria.discounts import GainOfExchange
from nearfar.objectives.criteria.gaussian import GaussianClasses
from nearfar.objectives.criteria.histogram import HistogramPrecision
from nearfar.objectives.criteria.links import Hinge, Overlap
from nearfar.objectives.criteria.meta_nodes import MetaNodes
from nearfar.objectives.criteria.neighbours import NeighbourScore
from nearfar.objectives.criteria.one_list import OneList
from nearfar.objectives.criteria.ordered_pairs import OrderedPairs
from nearfar.objectives.criteria.pairwise import Pairwise, PooledPairwise
from nearfar.objectives.criteria.plackett_luce import PlackettLuceDistillation, PlackettLuceLikelihood
from nearfar.objectives.criteria.soft_rank import SoftRank
from nearfar.objectives.criteria.soft_targets import Ranks, SoftTargets, TeacherScores
from nearfar.objectives.criteria.sorting import SoftSort
from nearfar.objectives.criteria.two_sided import TwoSided
from nearfar.objectives.logits.pace import CirclePace, RoundedDistance
from nearfar.objectives.masking.multi_similarity import NearlyReached
from nearfar.objectives.masking.sampling import SampledNegatives

REFUSED = [
    (TwoSided, "alpha", 0, "alpha must be a number above 0, got 0."),
    (TwoSided, "beta", float("nan"), "beta must be a number above 0, got nan."),
    (Hinge, "margin", "wide", "margin must be a number, got 'wide'."),
    (Hinge, "power", 3, "power must be 1 or 2, got 3."),
    (Overlap, "target_temperature", 0, "target_temperature must be a number above 0, or none, got 0."),
    (Pairwise, "link", "hinge", "link must be a link, such as Hinge(margin=0.2), got 'hinge'."),
    (Pairwise, "compare", "ranks", "compare must be positives or grades, got 'ranks'."),
    (Pairwise, "unjudged", "zero", "unjudged must be negative or ignored, got 'zero'."),
    (Pairwise, "select", "easy", "select must be all or hardest or semi_hard, got 'easy'."),
    (PooledPairwise, "weight", 2.0, "weight must be a weight of pairs, for select=all, or none, got 2.0."),
    (GainOfExchange, "top", 0, "top must be a whole number above 0, or none, got 0."),
    (GainOfExchange, "mu", -1, "mu must be a number of at least 0, got -1."),
    (OrderedPairs, "unjudged", "zero", "unjudged must be negative or ignored, got 'zero'."),
    (PlackettLuceLikelihood, "discount", "linear", "discount must be none or log or exponential, got 'linear'."),
    (PlackettLuceDistillation, "teacher_temperature", 0, "teacher_temperature must be a number above 0, got 0."),
    (SoftRank, "measure", "recall", "measure must be average_precision or ndcg, got 'recall'."),
    (HistogramPrecision, "bins", 0, "bins must be a whole number above 0, got 0."),
    (SoftSort, "negatives", 1.5, "negatives must be a whole number above 0, got 1.5."),
    (TeacherScores, "temperature", 0, "temperature must be a number above 0, got 0."),
    (Ranks, "temperature", -1, "temperature must be a number above 0, got -1."),
    (SoftTargets, "target", "teacher", "target must be a target, such as TeacherScores(temperature=1.0)"),
    (SoftTargets, "measure", "hinge", "measure must be divergence or symmetric or cross_entropy, got 'hinge'."),
    (NeighbourScore, "neighbours", 0, "neighbours must be a whole number above 0, got 0."),
    (NeighbourScore, "window", 0, "window must be a whole number above 0, got 0."),
    (GaussianClasses, "epsilon", 0, "epsilon must be a number above 0, got 0."),
    (GaussianClasses, "margin", "wide", "margin must be a number, got 'wide'."),
    (MetaNodes, "clusters", 0, "clusters must be a whole number above 0, got 0."),
    (MetaNodes, "temperature", 0, "temperature must be a number above 0, got 0."),
    (MetaNodes, "cluster_weight", "some", "cluster_weight must be a number, got 'some'."),
    (CirclePace, "gamma", 0, "gamma must be a number above 0, got 0."),
    (CirclePace, "margin", None, "margin must be a number, got None."),
    (RoundedDistance, "epsilon", 0, "epsilon must be a number above 0, got 0."),
    (NearlyReached, "margin", "some", "margin must be a number, got 'some'."),
    (NearlyReached, "copy_from", "some", "copy_from must be a number or none, got 'some'."),
    (SampledNegatives, "rate", 0, "rate must be a number above 0, at most 1, got 0."),
    (SampledNegatives, "rate", 1.1, "rate must be a number above 0, at most 1, got 1.1."),
    (SampledNegatives, "seed", "x", "seed must be a whole number, got 'x'."),
]


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(("kind", "field", "value", "message"), REFUSED)
def test_a_value_out_of_range_is_refused(kind, field, value, message):
    with pytest.raises(ConfigError) as caught:
        kind(**{field: value})
    assert str(caught.value).startswith(f"{kind.__name__}: {message}")


def test_weights_of_pairs_want_all_pairs():
    with pytest.raises(ConfigError, match="weight must be a weight of pairs, for select=all"):
        Pairwise(select="hardest", weight=GainOfExchange())


@pytest.mark.parametrize(
    "inner", ["PooledPairwise()", "GaussianClasses()", "Softmax(blocks=[row, anchors])", "OneList(of=OrderedPairs())"]
)
def test_one_list_wants_a_criterion_that_looks_at_the_scores_of_a_row(inner):
    with pytest.raises(ConfigError, match="of must be a criterion that looks at the scores of a row"):
        parse(f"Composition(criterion=OneList(of={inner}))")
    assert OneList(of=SoftRank()).unjudged == "ignored"


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Triplet(kind=easy)", "Triplet: kind must be hard or semi_hard or all or soft, got 'easy'."),
        ("MultiSimilarity(alpha=0)", "MultiSimilarity: alpha must be a number above 0, got 0."),
        ("MLCD(rate=0)", "MLCD: rate must be a number above 0, at most 1, got 0."),
        ("Circle(gama=1)", "Circle has no field 'gama'. Did you mean 'gamma'?"),
        ("PlackettLuce(kind=pro, temperature=0)", "PlackettLuce: temperature must be a number above 0, got 0."),
        ("GroCo(negatives=0)", "GroCo: negatives must be a whole number above 0, got 0."),
    ],
)
def test_a_named_objective_refuses_in_its_own_name(text, message):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value).startswith(message)
