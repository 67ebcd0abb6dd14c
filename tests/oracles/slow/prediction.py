"""Prediction without negatives: SimSiam, BYOL and DirectPred, written from their equations in float64.

`anchors` and `candidates` (B, D) are the two views before the predictor h, `predicted_*` are h of them. Targets
carry no gradient. Row i of one belongs to row i of the other.
"""

import math

import numpy as np


def unit(vector):
    """The vector divided by its length. Zero stays zero."""
    vector = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector


def prediction(predicted, target):
    """2 - 2 cos(h(z), z') of one pair: the squared distance of the two unit vectors."""
    return 2 - 2 * float(np.dot(unit(predicted), unit(target)))


def prediction_gradient(predicted, target):
    """d/dh of 2 - 2 cos(h, z) = -2 (z/|z| - cos h/|h|) / |h|. The target's gradient is 0."""
    cosine = float(np.dot(unit(predicted), unit(target)))
    return -2 * (unit(target) - cosine * unit(predicted)) / float(np.linalg.norm(predicted))


def both_directions(predicted_anchors, predicted_candidates, target_anchors, target_candidates):
    """Each anchor's prediction meets the candidate's target, and the mirror: the sum of the two."""
    losses = [
        prediction(predicted_anchors[i], target_candidates[i]) + prediction(predicted_candidates[i], target_anchors[i])
        for i in range(len(predicted_anchors))
    ]
    return np.array(losses, dtype=np.float64), np.ones(len(losses), dtype=bool)


def sim_siam(predicted_anchors, predicted_candidates, anchors, candidates):
    """l = 2 - 2 cos(h(z1), sg z2) + 2 - 2 cos(h(z2), sg z1), targets from the same network. SimSiam, 2011.10566.

    The paper's -(cos + cos) / 2 is (l - 4) / 4.
    """
    return both_directions(predicted_anchors, predicted_candidates, anchors, candidates)


def byol(predicted_anchors, predicted_candidates, target_anchors, target_candidates):
    """l = 2 - 2 cos(h(z1), sg z2') + mirror, z' from a network that is a moving average. BYOL, 2006.07733."""
    return both_directions(predicted_anchors, predicted_candidates, target_anchors, target_candidates)


def target_momentum(step, steps, *, start=0.996):
    """1 - (1 - start) (cos(pi step / steps) + 1) / 2: from start to 1 along a cosine. BYOL, 2006.07733."""
    return 1 - (1 - start) * (math.cos(math.pi * step / steps) + 1) / 2


def moving_average(target, online, momentum):
    """momentum target + (1 - momentum) online, for one parameter of the network."""
    return momentum * np.asarray(target, dtype=np.float64) + (1 - momentum) * np.asarray(online, dtype=np.float64)


def running_correlation(previous, anchors, candidates, *, momentum=0.3):
    """F <- momentum F + (1 - momentum) mean f f^T over the rows of both views. The first batch (None) is F itself."""
    features = [np.asarray(row, dtype=np.float64) for row in [*anchors, *candidates]]
    batch = sum(np.outer(feature, feature) for feature in features) / len(features)
    return batch if previous is None else momentum * np.asarray(previous, dtype=np.float64) + (1 - momentum) * batch


def predictor_weight(correlation, *, epsilon=0.01, scaling="relative", floor=1e-4):
    """U diag(p) U^T with F = U diag(s) U^T.

    relative  p_j = sqrt(s_j / s_max) + epsilon, as in the authors' code
    absolute  p_j = sqrt(s_j) + epsilon s_max, as in the paper
    Negative s count as 0; p is at least `floor`; with s_max = 0 the root is 0.
    """
    values, vectors = np.linalg.eigh(np.asarray(correlation, dtype=np.float64))
    values = [max(float(value), 0.0) for value in values]
    largest = max(values)
    weight = np.zeros_like(vectors)
    for j, value in enumerate(values):
        if scaling == "relative":
            strength = (math.sqrt(value / largest) if largest > 0 else 0.0) + epsilon
        else:
            strength = math.sqrt(value) + epsilon * largest
        weight += max(strength, floor) * np.outer(vectors[:, j], vectors[:, j])
    return weight


def direct_pred(
    anchors,
    candidates,
    target_anchors,
    target_candidates,
    correlation,
    weight,
    step,
    *,
    momentum=0.3,
    epsilon=0.01,
    every=1,
    scaling="relative",
):
    """One step of DirectPred, 2102.06810: (losses, kept, correlation, weight).

    The loss is BYOL's with the linear predictor h(f) = W f of the weight *given*. Then F takes in this batch, and
    where step is a multiple of `every`, W is set from F for the next step (outside the gradient). Features are
    not normalised for F. An empty batch changes nothing.
    """
    losses, kept = both_directions(
        [weight @ row for row in np.asarray(anchors, dtype=np.float64)],
        [weight @ row for row in np.asarray(candidates, dtype=np.float64)],
        target_anchors,
        target_candidates,
    )
    if len(anchors) == 0:
        return losses, kept, correlation, weight
    correlation = running_correlation(correlation, anchors, candidates, momentum=momentum)
    if step % every == 0:
        weight = predictor_weight(correlation, epsilon=epsilon, scaling=scaling)
    return losses, kept, correlation, weight
