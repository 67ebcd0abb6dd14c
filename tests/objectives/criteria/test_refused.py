"""What criteria of statistics, prediction, regression and mixtures refuse."""

from copy import deepcopy

import pytest

from nearfar.errors import ConfigError
from nearfar.objectives.criteria.correlation import (
    Covariance,
    CrossCorrelation,
    MixedCorrelation,
    ScoreCorrelation,
    VarianceHinge,
)
from nearfar.objectives.criteria.hypersphere import GaussianPotential, PairDistance
from nearfar.objectives.criteria.mixed_pairs import ContrastiveHost, MixedPairs, MultiSimilarityHost
from nearfar.objectives.criteria.prediction import Perceptron, Prediction, Spectral
from nearfar.objectives.criteria.regression import Margins


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("kind", "field", "value", "message"),
    [
        (ContrastiveHost, "margin", "wide", "margin must be a number"),
        (MultiSimilarityHost, "alpha", 0, "alpha must be a number above 0"),
        (MixedPairs, "host", "contrastive", "host must be a pair loss"),
        (MixedPairs, "weight", -1, "weight must be a number of at least 0"),
        (PairDistance, "exponent", 0.5, "exponent must be a number of at least 1"),
        (PairDistance, "over", "max", "over must be sum or mean"),
        (GaussianPotential, "decay", 0, "decay must be a number above 0"),
        (GaussianPotential, "between", "rows", "between must be sides or across"),
        (CrossCorrelation, "redundancy", -1, "redundancy must be a number of at least 0"),
        (CrossCorrelation, "standardisation", "none", "standardisation must be population or sample"),
        (CrossCorrelation, "epsilon", -1, "epsilon must be a number of at least 0"),
        (MixedCorrelation, "concentration", 0, "concentration must be a number above 0"),
        (VarianceHinge, "epsilon", 0, "epsilon must be a number above 0"),
        (ScoreCorrelation, "unjudged", "dropped", "unjudged must be ignored or negative"),
        (Perceptron, "hidden", 0, "hidden must be a whole number above 0"),
        (Spectral, "momentum", 1, "momentum must be a number from 0 to below 1"),
        (Spectral, "every", 0, "every must be a whole number above 0"),
        (Spectral, "scaling", "none", "scaling must be relative or absolute"),
        (Prediction, "predictor", "mlp", "predictor must be a predictor"),
        (Prediction, "target", "self", "target must be same or guide"),
        (Margins, "teacher", "both", "teacher must be given or guide"),
        (Margins, "negatives", "all", "negatives must be judged or own or others"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(kind, field, value, message):
    with pytest.raises(ConfigError, match=f"{kind.__name__}: {message}"):
        kind(**{field: value})


def test_texts_across_the_sides_do_not_count_with_themselves():
    with pytest.raises(ConfigError, match="itself must be false with pairs across the sides"):
        GaussianPotential(between="across", itself=True)


def test_a_part_without_fields_prints_as_its_name():
    assert str(Covariance()) == "Covariance()"
    assert deepcopy(Covariance()) == Covariance()
