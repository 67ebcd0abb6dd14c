"""Batch statistics and confusion counts, written from their equations: loops in float64, no care for extremes.

Pairs come as `anchors` (B, D) and `candidates` (B, D), row i of one belonging to row i of the other. The
binary losses see every valid entry of a score matrix as one example, with probability sig(S / temperature + bias).
"""

import math

import numpy as np

# ---------------------------------------------------------------------------------------------- small helpers


def unit(vectors):
    """Each row divided by its length. A zero row stays zero."""
    vectors = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def squared_distance(one, other):
    return float(np.sum((one - other) ** 2))


def everybody_else(number):
    return ~np.eye(number, dtype=bool)


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def examples(similarity, positive, valid, temperature, bias):
    """(probability, target) of every valid entry, row by row."""
    rows, columns = np.shape(similarity)
    return [
        (sigmoid(similarity[i][j] / temperature + bias), float(positive[i][j]))
        for i in range(rows)
        for j in range(columns)
        if valid[i][j]
    ]


# ------------------------------------------------------------------------------ 9.1 alignment, uniformity, gap


def alignment(anchors, candidates, *, exponent=2.0):
    """l_i = |x_i - y_i|^exponent, both of length one. Wang and Isola, 2005.10242."""
    x, y = unit(anchors), unit(candidates)
    losses = [math.sqrt(squared_distance(x[i], y[i])) ** exponent for i in range(len(x))]
    return np.array(losses, dtype=np.float64), np.ones(len(x), dtype=bool)


def uniformity_of_one_side(vectors, apart, decay):
    """log of the mean over pairs i < j of exp(-decay |x_i - x_j|^2). None where there is no pair."""
    x = unit(vectors)
    kernel = [
        math.exp(-decay * squared_distance(x[i], x[j]))
        for i in range(len(x))
        for j in range(i + 1, len(x))
        if apart[i][j]
    ]
    return math.log(sum(kernel) / len(kernel)) if kernel else None


def uniformity(anchors, candidates, *, decay=2.0, apart_anchors=None, apart_candidates=None):
    """The mean over both sides of log mean_{i<j} exp(-decay |x_i - x_j|^2). Wang and Isola, 2005.10242.

    `apart_*` (B, B) says which rows of a side are different texts (default: all). A side without a pair is
    left out of the mean; without any pair the loss is 0.
    """
    apart_anchors = everybody_else(len(anchors)) if apart_anchors is None else apart_anchors
    apart_candidates = everybody_else(len(candidates)) if apart_candidates is None else apart_candidates
    sides = [
        uniformity_of_one_side(anchors, apart_anchors, decay),
        uniformity_of_one_side(candidates, apart_candidates, decay),
    ]
    known = [side for side in sides if side is not None]
    return sum(known) / len(known) if known else 0.0


def full_uniformity(vectors, apart, decay):
    """log( 1/N sum_{j,k} exp(-decay |v_j - v_k|^2) ), j = k included, divided by N and not by N^2."""
    v = unit(vectors)
    total = sum(
        math.exp(-decay * squared_distance(v[j], v[k]))
        for j in range(len(v))
        for k in range(len(v))
        if j == k or apart[j][k]
    )
    return math.log(total / len(v))


def cross_uniformity(anchors, candidates, apart, decay):
    """log( 1/N sum_j sum_{k != j} exp(-decay |x_j - y_k|^2) ). 0 where there is no such pair."""
    x, y = unit(anchors), unit(candidates)
    total = sum(
        math.exp(-decay * squared_distance(x[j], y[k]))
        for j in range(len(x))
        for k in range(len(x))
        if j != k and apart[j][k]
    )
    return math.log(total / len(x)) if total > 0 else 0.0


def clip(anchors, candidates, apart, temperature):
    """Half the cross-entropy of rows and half that of columns, own pair on the diagonal."""
    x, y = unit(anchors), unit(candidates)
    mass = np.exp(x @ y.T / temperature)
    losses = []
    for i in range(len(x)):
        row = mass[i, i] + sum(mass[i, k] for k in range(len(x)) if k != i and apart[i][k])
        column = mass[i, i] + sum(mass[k, i] for k in range(len(x)) if k != i and apart[k][i])
        losses.append((math.log(row / mass[i, i]) + math.log(column / mass[i, i])) / 2)
    return sum(losses) / len(losses)


def contrastive_gap_terms(
    anchors,
    candidates,
    *,
    temperature=0.01,
    decay=2.0,
    apart_anchors=None,
    apart_candidates=None,
    apart_pairs=None,
):
    """The four terms by name. `apart_pairs` (B, B): candidate k is a negative of anchor j."""
    everybody = everybody_else(len(anchors))
    apart_anchors = everybody if apart_anchors is None else apart_anchors
    apart_candidates = everybody if apart_candidates is None else apart_candidates
    apart_pairs = everybody if apart_pairs is None else apart_pairs
    sides = full_uniformity(anchors, apart_anchors, decay) + full_uniformity(candidates, apart_candidates, decay)
    return {
        "clip": clip(anchors, candidates, apart_pairs, temperature),
        "uniformity": sides / 2,
        "alignment": float(np.mean(alignment(anchors, candidates)[0])),
        "cross_uniformity": cross_uniformity(anchors, candidates, apart_pairs, decay),
    }


def contrastive_gap(
    anchors,
    candidates,
    *,
    clip_weight=1.0,
    uniformity_weight=1.0,
    alignment_weight=1.0,
    cross_uniformity_weight=1.0,
    **options,
):
    """L_CUAXU = L_CLIP + L_U + L_A + L_XU; cross_uniformity_weight=0: L_CUA. "It is not a modality gap", 2405.18570."""
    if len(anchors) == 0:
        return 0.0
    terms = contrastive_gap_terms(anchors, candidates, **options)
    return (
        clip_weight * terms["clip"]
        + uniformity_weight * terms["uniformity"]
        + alignment_weight * terms["alignment"]
        + cross_uniformity_weight * terms["cross_uniformity"]
    )


# -------------------------------------------------------------------------- 9.2 Barlow Twins, 9.3 VICReg


def variance(column, correction):
    """Sum of squared deviations over n - correction. Exactly 0 where all are equal or the divisor is not positive."""
    divisor = len(column) - correction
    if divisor <= 0 or max(column) == min(column):
        return 0.0
    return float(np.sum((column - np.mean(column)) ** 2) / divisor)


def standardised(vectors, standardisation, epsilon):
    """Each column minus its mean, over sqrt(variance + epsilon). A constant column becomes 0.

    The variance is divided by B ('population') or B - 1 ('sample').
    """
    correction = {"population": 0, "sample": 1}[standardisation]
    vectors = np.asarray(vectors, dtype=np.float64)
    result = np.zeros_like(vectors)
    for d in range(vectors.shape[1]):
        deviation = math.sqrt(variance(vectors[:, d], correction) + epsilon)
        if deviation > 0:
            result[:, d] = (vectors[:, d] - np.mean(vectors[:, d])) / deviation
    return result


def correlation(one, other):
    """C[d, e] = sum_b one[b, d] other[b, e] / B."""
    width = one.shape[1]
    return np.array([[float(np.dot(one[:, d], other[:, e])) / len(one) for e in range(width)] for d in range(width)])


def barlow_of(matrix, redundancy):
    """sum_i (1 - C_ii)^2 + redundancy sum_{i != j} C_ij^2."""
    width = len(matrix)
    diagonal = sum((1 - matrix[i, i]) ** 2 for i in range(width))
    rest = sum(matrix[i, j] ** 2 for i in range(width) for j in range(width) if i != j)
    return float(diagonal + redundancy * rest)


def barlow_twins(anchors, candidates, *, redundancy=0.005, scale=1.0, standardisation="population", epsilon=0.0):
    """scale (sum_i (1 - C_ii)^2 + redundancy sum_{i != j} C_ij^2), columns standardised. Barlow Twins, 2103.03230."""
    if len(anchors) == 0:
        return 0.0
    one, other = (standardised(view, standardisation, epsilon) for view in (anchors, candidates))
    return scale * barlow_of(correlation(one, other), redundancy)


def mixed_barlow_twins(
    anchors,
    candidates,
    mixed,
    permutation,
    coefficient,
    *,
    redundancy=0.005,
    regularisation=5.0,
    scale=1.0,
    standardisation="population",
    epsilon=0.0,
):
    """L_BT + regularisation redundancy (|C_m1 - T1|^2 + |C_m2 - T2|^2). Mixed Barlow Twins, 2312.02151.

    `mixed` (B, D) embeds the inputs lm x1 + (1 - lm) x2[permutation]; with v in {1, 2} and all columns
    standardised, C_mv = zm^T zv / B and T_v = lm C_1v + (1 - lm) C_{2 permuted, v}.
    """
    if len(anchors) == 0:
        return 0.0
    one, other, middle = (standardised(view, standardisation, epsilon) for view in (anchors, candidates, mixed))
    shuffled = np.array([other[permutation[b]] for b in range(len(other))])
    gap = 0.0
    for view in (one, other):
        target = coefficient * correlation(one, view) + (1 - coefficient) * correlation(shuffled, view)
        gap += float(np.sum((correlation(middle, view) - target) ** 2))
    return scale * (barlow_of(correlation(one, other), redundancy) + regularisation * redundancy * gap)


def vicreg_terms(anchors, candidates, *, half_variance=True, epsilon=1e-4):
    """Invariance, variance and covariance terms, unweighted."""
    one, other = np.asarray(anchors, dtype=np.float64), np.asarray(candidates, dtype=np.float64)
    rows, width = one.shape

    def spread(view):
        return sum(max(0.0, 1 - math.sqrt(variance(view[:, d], 1) + epsilon)) for d in range(width)) / width

    def coupling(view):
        if rows < 2:
            return 0.0
        centred = view - view.mean(axis=0)
        total = 0.0
        for i in range(width):
            for j in range(width):
                if i != j:
                    total += (float(np.dot(centred[:, i], centred[:, j])) / (rows - 1)) ** 2
        return total / width

    return {
        "invariance": float(np.sum((one - other) ** 2)) / (rows * width),
        "variance": (spread(one) + spread(other)) / (2 if half_variance else 1),
        "covariance": coupling(one) + coupling(other),
    }


def vicreg(anchors, candidates, *, invariance=25.0, variance=25.0, covariance=1.0, half_variance=True, epsilon=1e-4):
    """invariance MSE + variance [v1 + v2] (/ 2) + covariance [c1 + c2], vectors as they come. VICReg, 2105.04906.

    v = mean_d [1 - sqrt(Var_d + epsilon)]+ with Var over B - 1, c = sum_{i != j} Cov_ij^2 / D. half_variance=True
    is lightly's and pytorch-metric-learning's code; False the statement mu [v + v'].
    """
    if len(anchors) == 0:
        return 0.0
    terms = vicreg_terms(anchors, candidates, half_variance=half_variance, epsilon=epsilon)
    return invariance * terms["invariance"] + variance * terms["variance"] + covariance * terms["covariance"]


# --------------------------------------------- 9.4 Dice, 9.5 AnyLoss, 9.6 Z-loss, 9.7 EnsLoss: binary examples


def dice_fraction(probability, target, form, alpha, false_positive_weight, false_negative_weight):
    """Numerator and denominator of one example, before smoothing."""
    p, y = probability, target
    if form == "self_adjusting":
        damped = (1 - p) ** alpha * p
        return 2 * damped * y, damped + y
    if form == "squared":
        return 2 * p * y, p**2 + y**2
    wrong = false_positive_weight * p * (1 - y) + false_negative_weight * (1 - p) * y
    return p * y, p * y + wrong


def dice(
    similarity,
    positive,
    valid,
    *,
    form="self_adjusting",
    alpha=0.0,
    smoothing=1.0,
    false_positive_weight=0.5,
    false_negative_weight=0.5,
    temperature=1.0,
    bias=0.0,
):
    """l_i = mean over the row's valid pairs of 1 - (numerator + g) / (denominator + g). Dice loss, 1911.02855.

    self_adjusting  2 (1-p)^alpha p y  /  (1-p)^alpha p + y      (DSC; the factor carries gradient)
    squared         2 p y              /  p^2 + y^2              (DL)
    tversky         p y                /  p y + a p (1-y) + b (1-p) y
    """
    options = (form, alpha, false_positive_weight, false_negative_weight)
    losses, kept = [], []
    for i in range(len(similarity)):
        row = slice(i, i + 1)
        pairs = examples(similarity[row], positive[row], valid[row], temperature, bias)
        fractions = [dice_fraction(p, y, *options) for p, y in pairs]
        terms = [1 - (over + smoothing) / (under + smoothing) for over, under in fractions]
        kept.append(any(y > 0 for _, y in pairs))
        losses.append(sum(terms) / len(terms) if kept[-1] else 0.0)
    return np.array(losses, dtype=np.float64), np.array(kept, dtype=bool)


def dice_of_batch(
    similarity,
    positive,
    valid,
    *,
    form="self_adjusting",
    alpha=0.0,
    smoothing=1e-4,
    false_positive_weight=0.5,
    false_negative_weight=0.5,
    temperature=1.0,
    bias=0.0,
):
    """1 - (sum of numerators + g) / (sum of denominators + g) over all valid pairs: one set. 0 without positives."""
    pairs = examples(similarity, positive, valid, temperature, bias)
    if not any(y > 0 for _, y in pairs):
        return 0.0
    options = (form, alpha, false_positive_weight, false_negative_weight)
    fractions = [dice_fraction(p, y, *options) for p, y in pairs]
    return 1 - (sum(over for over, _ in fractions) + smoothing) / (sum(under for _, under in fractions) + smoothing)


def soft_counts(probabilities, targets, sharpness):
    """TP, FP, FN, TN with A(p) = 1 / (1 + exp(-sharpness (p - 1/2))) in the place of a decision."""
    counts = [0.0, 0.0, 0.0, 0.0]
    for p, y in zip(probabilities, targets, strict=True):
        decided = sigmoid(sharpness * (p - 0.5))
        for place, amount in enumerate((y * decided, (1 - y) * decided, y * (1 - decided), (1 - y) * (1 - decided))):
            counts[place] += amount
    return counts


def confusion_measure(counts, measure, beta):
    """F-beta, geometric mean of the two rates of success, or their mean."""
    tp, fp, fn, tn = counts
    if measure == "f_beta":
        return (1 + beta**2) * tp / ((1 + beta**2) * tp + beta**2 * fn + fp)
    sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
    return math.sqrt(sensitivity * specificity) if measure == "g_mean" else (sensitivity + specificity) / 2


def any_loss(similarity, positive, valid, *, measure="f_beta", beta=1.0, sharpness=73.0, temperature=1.0, bias=0.0):
    """1 - measure of soft confusion counts over all valid pairs of the batch. AnyLoss, 2405.14745.

    measure is 'f_beta', 'g_mean' or 'balanced_accuracy'. 0 where the batch has no positive, or no negative for
    the latter two.
    """
    pairs = examples(similarity, positive, valid, temperature, bias)
    targets = [y for _, y in pairs]
    if 1.0 not in targets or (measure != "f_beta" and 0.0 not in targets):
        return 0.0
    return 1 - confusion_measure(soft_counts([p for p, _ in pairs], targets, sharpness), measure, beta)


def z_loss(similarity, positive, valid, *, sharpness=1.0, margin=1.0):
    """l_i = mean over positives c of sp(a (b - z_c)) / a, z = (S - mean) / deviation over the row. Z-loss, 1604.08859.

    a = sharpness, b = margin; mean and population deviation over the row's valid entries; z = 0 where all are
    equal. Several positives: the mean of the single-positive loss. Rows without positive or negative are dropped.
    """
    losses, kept = [], []
    for i in range(len(similarity)):
        columns = [j for j in range(len(similarity[i])) if valid[i][j]]
        good = [j for j in columns if positive[i][j]]
        kept.append(0 < len(good) < len(columns))
        if not kept[-1]:
            losses.append(0.0)
            continue
        outputs = np.array([similarity[i][j] for j in columns], dtype=np.float64)
        deviation = math.sqrt(variance(outputs, 0))
        z = {j: (similarity[i][j] - outputs.mean()) / deviation if deviation > 0 else 0.0 for j in columns}
        losses.append(sum(math.log1p(math.exp(sharpness * (margin - z[c]))) / sharpness for c in good) / len(good))
    return np.array(losses, dtype=np.float64), np.array(kept, dtype=bool)


def inverse_box_cox(value, power):
    """e^value at power 0, else (1 + power value)^(1 / power), the bracket not below 0."""
    if power == 0:
        return math.exp(value)
    bracket = max(1 + power * value, 0.0)
    if bracket == 0:
        return 0.0 if power > 0 else math.inf
    return math.exp(math.log(bracket) / power) if math.log(bracket) / power < 700 else math.inf


def ens_loss_derivatives(margins, draws, *, box_cox=0.0):
    """The derivative given to each margin. `draws`: as many standard normal values, in any order.

    g = max(-InvBoxCox(draw), -1), sorted; the largest margin gets the value closest to 0 (equal margins: the earlier
    gets the more negative one); times 1 / s where s > 1; minus 1e-6.
    """
    values = sorted(max(-inverse_box_cox(float(draw), box_cox), -1.0) for draw in draws)
    order = sorted(range(len(margins)), key=lambda place: (margins[place], place))
    derivatives = np.zeros(len(margins))
    for place, value in zip(order, values, strict=True):
        tail = 1 / margins[place] if margins[place] > 1 else 1.0
        derivatives[place] = value * tail - 1e-6
    return derivatives


def ens_loss(similarity, positive, valid, draws, *, box_cox=0.0, temperature=1.0, bias=0.0):
    """L = mean( sg(g) s ) over valid pairs, s = y (S / temperature + bias), y = +-1. EnsLoss, 2409.00908 (id?).

    Returns (loss, derivatives (A, C), 0 where not valid). `draws` has one value per valid pair. dL/dS[i, j] =
    derivatives[i, j] y[i, j] / (temperature * number of valid pairs).
    """
    places = [(i, j) for i in range(len(similarity)) for j in range(len(similarity[i])) if valid[i][j]]
    matrix = np.zeros(np.shape(similarity))
    if not places:
        return 0.0, matrix
    margins = [(1 if positive[i][j] else -1) * (similarity[i][j] / temperature + bias) for i, j in places]
    derivatives = ens_loss_derivatives(margins, draws, box_cox=box_cox)
    for place, value in zip(places, derivatives, strict=True):
        matrix[place] = value
    return float(np.mean(derivatives * np.array(margins))), matrix
