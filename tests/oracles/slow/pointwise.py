"""Pointwise losses from their equations alone: loops over entries, in float64.

Rows of a matrix are samples (or queries), columns classes (or candidates). Row losses come as ``(losses, kept)``: 0
where a row is not kept; the loss of a batch is the mean over kept rows. What is one number of a batch is a float.
"""

import math

import numpy as np

from tests.oracles.slow.arithmetic import average, columns, log_sum_exp, over_rows, sigmoid, softplus, unit


def pairs(mask):
    """All (row, column) of a mask."""
    return [(int(i), int(j)) for i, j in np.argwhere(mask)]


# SigLIP


def siglip(similarity, positive, valid, *, temperature=0.1, bias=-10.0):
    """L_i = sum_j softplus(-y_ij z_ij) over valid j, z = s / t + bias, y = 1 for positives, -1 for negatives.

    SigLIP, arXiv 2303.15343. The sum is not divided by the number of candidates. Rows with a positive.
    """
    rows = []
    for i in range(len(similarity)):
        logits = similarity[i] / temperature + bias
        terms = [softplus(-logits[j] if positive[i, j] else logits[j]) for j in columns(valid[i])]
        rows.append(sum(terms) if positive[i].any() else None)
    return over_rows(rows)


# CLIPN


def clipn_binary(yes, no, positive, valid):
    """ITBO: -mean over positive pairs of log p - mean over negative pairs of log(1 - p), p = sig(yes - no), scaled."""
    pull = [softplus(no[i, j] - yes[i, j]) for i, j in pairs(positive)]
    push = [softplus(yes[i, j] - no[i, j]) for i, j in pairs(valid & ~positive)]
    return float(average(pull) + average(push))


def clipn_opposite(candidates, candidates_no):
    """TSO: mean_j of 2 - ||g_j - g_no,j|| of unit vectors, ||.|| = sqrt(2 - 2 cos + 1e-4)."""
    cosines = [float(yes @ no) for yes, no in zip(unit(candidates), unit(candidates_no), strict=True)]
    return float(average([2 - math.sqrt(2 - 2 * cosine + 1e-4) for cosine in cosines]))


def clipn(anchors, candidates, candidates_no, positive, valid, *, temperature=0.01):
    """(ITBO + TSO) / 2 on the scaled cosines of the anchors to the yes and to the no texts. CLIPN, 2308.12213."""
    yes, no = (unit(anchors) @ unit(texts).T / temperature for texts in (candidates, candidates_no))
    return (clipn_binary(yes, no, positive, valid) + clipn_opposite(candidates, candidates_no)) / 2


# SAN


def squared_distances(vectors):
    return np.array([[sum((x - y) ** 2) for y in vectors] for x in vectors])


def kernel(squared, freedom, sigma):
    """2 * 3.14 g^2 (1 + d2 / (sigma nu))^{-(nu + 1)}, g = Gamma((nu + 1) / 2) / (sqrt(nu pi) Gamma(nu / 2))."""
    log_gamma = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    constant = math.exp(log_gamma) / math.sqrt(freedom * math.pi)
    return 2 * 3.14 * constant**2 * (1 + squared / (sigma * freedom)) ** (-(freedom + 1))


def fuzzy_union(memberships):
    return memberships + memberships.T - memberships * memberships.T


def input_distances(features, partner, shrink=1e4):
    """Squared distances; to its augmentation a row has that to its nearest other row / ``shrink`` (0 without one)."""
    squared = squared_distances(features)
    replaced = squared.copy()
    for i, j in enumerate(partner):
        if j >= 0:
            others = [squared[i, k] for k in range(len(features)) if k not in (i, j)]
            replaced[i, j] = (min(others) if others else 0.0) / shrink
    return replaced


def soft_contrast(
    features,
    embeddings,
    partner,
    *,
    input_freedom=100.0,
    input_sigma=10.0,
    output_freedom=10.0,
    output_sigma=1.0,
):
    """sum_{i != j} BCE(Q_ij, P_ij) / N^2, P from backbone features, Q from embeddings, t-kernels and fuzzy unions.

    SAN soft contrastive learning, arXiv 2211.11262. ``partner``: the other view of each row, -1 for none. Q is held in
    [1e-12, 1 - 1e-12]. Vectors are not normalised. Nothing detached.
    """
    wanted = fuzzy_union(kernel(input_distances(features, partner), input_freedom, input_sigma))
    given = fuzzy_union(kernel(squared_distances(embeddings), output_freedom, output_sigma))
    total, number = 0.0, len(features)
    for i in range(number):
        for j in range(number):
            if i != j:
                q = min(max(given[i, j], 1e-12), 1 - 1e-12)
                total -= wanted[i, j] * math.log(q) + (1 - wanted[i, j]) * math.log(1 - q)
    return float(total / number**2)


# PU-MLC


def positive_unlabelled_scales(logits, valid, alpha):
    """min(1, alpha * standard deviation over n) of each column; 1 where that is 0."""
    scales = []
    for c in range(logits.shape[1]):
        deviation = alpha * float(np.std(logits[valid[:, c], c])) if valid[:, c].any() else 0.0
        scales.append(min(1.0, deviation) if deviation > 0 else 1.0)
    return np.array(scales)


def positive_unlabelled_detached(similarity, positive, valid, *, alpha=1.0, gamma=0.55, temperature=1.0):
    """What carries no gradient, for each class: (scale, (mean phi)^gamma), as phi = sig(o / scale) over valid rows."""
    logits = similarity / temperature
    scales = positive_unlabelled_scales(logits, valid, alpha)
    factors = []
    for c, scale in enumerate(scales):
        phi = [sigmoid(logits[i, c] / scale) for i in columns(valid[:, c])]
        factors.append(average(phi) ** gamma)
    return scales, np.array(factors)


def positive_unlabelled(
    similarity, positive, valid, *, alpha=1.0, gamma=0.55, temperature=1.0, epsilon=1e-10, detached=None
):
    """sum_c log(mean_i phi_ic + eps) sg((1 - mean_i (1 - phi_ic))^gamma) - mean_{i in P_c} log phi_ic.

    PU-MLC, arXiv 2306.16016. phi = sig(o / sg(min(1, alpha std_c))), o = s / t. All valid rows are the unlabelled
    set, positives too. No positives: no second term. One number of the batch.
    """
    logits = similarity / temperature
    if detached is None:
        detached = positive_unlabelled_detached(
            similarity, positive, valid, alpha=alpha, gamma=gamma, temperature=temperature
        )
    total = 0.0
    for c, (scale, factor) in enumerate(zip(*detached, strict=True)):
        everyone, known = columns(valid[:, c]), columns(positive[:, c])
        if everyone:
            mean = average([sigmoid(logits[i, c] / scale) for i in everyone])
            total += math.log(mean + epsilon) * factor
        total += average([softplus(-logits[i, c] / scale) for i in known])
    return float(total)


def positive_unlabelled_mixup(
    logits, positive, mixed_logits, first, second, *, coefficient, temperature=1.0, epsilon=1e-10
):
    """sum_m,c (log(lam T_first(m) + (1 - lam) T_second(m) + eps) - log(sig(mixed_m) + eps))^2 / number of mixtures.

    The mixup regulariser of PU-MLC: T = 1 for positives, sig(o) elsewhere, not detached, o not scaled by std.
    ``mixed_logits`` (M, K): the model on lam x_first(m) + (1 - lam) x_second(m).
    """
    target = np.where(positive, 1.0, 1 / (1 + np.exp(-logits / temperature)))
    total = 0.0
    for m, (i, j) in enumerate(zip(first, second, strict=True)):
        for c in range(logits.shape[1]):
            wanted = coefficient * target[i, c] + (1 - coefficient) * target[j, c]
            total += (math.log(wanted + epsilon) - math.log(sigmoid(mixed_logits[m, c] / temperature) + epsilon)) ** 2
    return float(total / len(mixed_logits))


# COMIC


def frequency_weights(counts, root):
    """u_c = (1 - log(n_c / n_max))^(1 / root): 6 for the multi-grained form, 3 for the prior-focal one."""
    return np.array([(1 - math.log(count / max(counts))) ** (1 / root) for count in counts])


def multi_focal_probabilities(logit, wanted, attention, clip, boost):
    """The probability of what is the case: p (1 - attention), or min(1, 1 - p + clip), boosted under attention."""
    if wanted:
        return sigmoid(logit) * (1 - attention)
    right = min(1.0, sigmoid(-logit) + clip)
    return min(1.0, right * boost) if attention > 0 else right


def multi_focal_detached(
    similarity,
    positive,
    valid,
    *,
    weights=None,
    gamma_positive=0.0,
    gamma_negative=4.0,
    weight_in_exponent=True,
    clip=0.05,
    attention=None,
    boost=1.2,
    temperature=1.0,
):
    """What carries no gradient: (1 - pt)^gamma, gamma+ for positives, gamma- (+ u_c) for negatives. 0 if not valid."""
    number = similarity.shape[1]
    weights = np.ones(number) if weights is None else weights
    attention = np.zeros(similarity.shape) if attention is None else attention
    factors = np.zeros(similarity.shape)
    for i, c in pairs(valid):
        right = multi_focal_probabilities(similarity[i, c] / temperature, positive[i, c], attention[i, c], clip, boost)
        exponent = gamma_negative + (weights[c] if weight_in_exponent else 0.0)
        factors[i, c] = (1 - right) ** (gamma_positive if positive[i, c] else exponent)
    return factors


def multi_focal(
    similarity,
    positive,
    valid,
    *,
    weights=None,
    clip=0.05,
    attention=None,
    boost=1.2,
    temperature=1.0,
    detached=None,
    **focal,
):
    """sum_ic u_c sg((1 - pt)^g) (-log pt), pt = p for positives, 1 - [p - clip]+ for negatives. A sum, one number.

    COMIC multi-focal modifier, arXiv 2304.10539. p = sig(s / t). u_c from ``frequency_weights``, ones without. With
    ``attention`` (A, K) of co-occurrence, pt as ``multi_focal_probabilities`` says. ``focal``: the other options of
    ``multi_focal_detached``.
    """
    shared = {"clip": clip, "attention": attention, "boost": boost, "temperature": temperature}
    if detached is None:
        detached = multi_focal_detached(similarity, positive, valid, weights=weights, **shared, **focal)
    total = 0.0
    for i, c in pairs(valid):
        seen = 0.0 if attention is None else attention[i, c]
        right = multi_focal_probabilities(similarity[i, c] / temperature, positive[i, c], seen, clip, boost)
        total -= (1.0 if weights is None else weights[c]) * detached[i, c] * math.log(right)
    return float(total)


# NBPO


def noisy_label_term(score, flip, wanted, variant):
    """The log likelihood of one pair, or its surrogate, at score R and flip logit rho, with gam = sig(rho)."""
    gam = sigmoid(flip)
    if variant == "likelihood":
        return -softplus(-score) - softplus(flip) if wanted else math.log(sigmoid(-score) + gam * sigmoid(score))
    if wanted:
        return -(1 - gam) * softplus(-score) - sigmoid(score) * softplus(flip)
    return -softplus(score) - gam * softplus(-score) - sigmoid(score) * softplus(-flip)


def noisy_label(similarity, flip, positive, valid, *, variant="surrogate", temperature=1.0):
    """L_i = -sum over valid j of the pair's term, R = s / t, gam = sig(rho) the chance that a negative was flipped.

    NBPO, SIGIR 2020, arXiv 2007.07204. ``likelihood`` (NBPO-o): log sig(R) + log(1 - gam) for positives,
    log(sig(-R) + gam sig(R)) for negatives. ``surrogate`` (NBPO): sg(1 - gam) log sig(R) + sg(sig(R)) log(1 - gam);
    log sig(-R) + sg(gam) log sig(R) + sg(sig(R)) log gam. Rows with a positive.
    """
    rows = []
    for i in range(len(similarity)):
        terms = [
            noisy_label_term(similarity[i, j] / temperature, flip[i, j], positive[i, j], variant)
            for j in columns(valid[i])
        ]
        rows.append(-sum(terms) if positive[i].any() else None)
    return over_rows(rows)


def noisy_label_slopes(score, flip, wanted, variant):
    """(d/dR, d/drho) of a pair's term with the detached parts held fixed, in closed form."""
    gam, right, wrong = sigmoid(flip), sigmoid(score), sigmoid(-score)
    if variant == "likelihood":
        mass = wrong + gam * right
        return (wrong, -gam) if wanted else (-(1 - gam) * right * wrong / mass, gam * (1 - gam) * right / mass)
    return ((1 - gam) * wrong, -gam * right) if wanted else (gam * wrong - right, (1 - gam) * right)


def noisy_label_gradients(similarity, flip, positive, valid, *, variant="surrogate", temperature=1.0):
    """(dL_i/ds_ij, dL_i/drho_ij) of ``noisy_label``, both (A, C). The surrogate's are no gradient of any function."""
    by_score, by_flip = np.zeros(similarity.shape), np.zeros(similarity.shape)
    for i, j in pairs(valid):
        if positive[i].any():
            slopes = noisy_label_slopes(similarity[i, j] / temperature, flip[i, j], positive[i, j], variant)
            by_score[i, j], by_flip[i, j] = -slopes[0] / temperature, -slopes[1]
    return by_score, by_flip


# Label correlation


def supervised_contrast(embeddings, similar, temperature):
    """SupCon on cosines: mean over rows with a similar row of mean_p(-z_p + log sum over all others e^z)."""
    logits, losses = unit(embeddings) @ unit(embeddings).T / temperature, []
    for i in range(len(embeddings)):
        everyone = [logits[i, j] for j in range(len(embeddings)) if j != i]
        own = [logits[i, j] for j in range(len(embeddings)) if j != i and similar[i, j]]
        if own:
            losses.append(log_sum_exp(everyone) - average(own))
    return average(losses)


def jaccard(positive):
    """Shared labels over labels of either, of each two rows; 0 where neither has any."""
    sets = [set(columns(row)) for row in positive]
    return np.array([[len(a & b) / len(a | b) if a | b else 0.0 for b in sets] for a in sets])


def label_correlation(
    similarity,
    positive,
    embeddings,
    correlation,
    counts,
    *,
    correlation_form="covariance",
    correlation_weight=1.0,
    contrast_weight=1.0,
    overlap=0.0,
    temperature=1.0,
    contrast_temperature=0.1,
):
    """sum_c w_c mean_i BCE_ic + w_r (||cov(p) - R||^2, or -mean_i p_i^T R p_i) + w_s SupCon(h), p = sig(s / t).

    Hybrid loss for Arabic multi-label emotion, arXiv 2410.03979: reconstruction. w_c = (1 / n_c) / mean of these.
    cov over n. Rows are similar in SupCon if the Jaccard index of their labels is above ``overlap``.
    """
    logits = similarity / temperature
    inverse = 1 / np.asarray(counts, dtype=np.float64)
    total = 0.0
    for c, weight in enumerate(inverse / inverse.mean()):
        terms = [softplus(-o if wanted else o) for o, wanted in zip(logits[:, c], positive[:, c], strict=True)]
        total += weight * average(terms)
    probabilities = 1 / (1 + np.exp(-logits))
    if correlation_form == "covariance":
        centred = probabilities - probabilities.mean(axis=0)
        fit = ((centred.T @ centred / len(centred) - correlation) ** 2).sum()
    else:
        fit = -average([float(p @ correlation @ p) for p in probabilities])
    contrast = supervised_contrast(embeddings, jaccard(positive) > overlap, contrast_temperature)
    return float(total + correlation_weight * fit + contrast_weight * contrast)


# Reranking: weight times direction


def sft(similarity, positive, valid, *, weighting="sigmoid", temperature=1.0):
    """``sigmoid``: L_i = sum_j BCE(z_ij, y_ij), z = s / t, the yes/no loss; ``softmax``: mean_p -log softmax(z)_p.

    Reranking by SFT against contrastive learning, arXiv 2510.14824, own derivation. z is logit_yes - logit_no; softmax
    over the valid candidates of the row. Rows with a positive.
    """
    rows = []
    for i in range(len(similarity)):
        logits, used, own = similarity[i] / temperature, columns(valid[i]), columns(positive[i])
        if not own:
            rows.append(None)
        elif weighting == "sigmoid":
            rows.append(sum(softplus(-logits[j] if positive[i, j] else logits[j]) for j in used))
        else:
            rows.append(log_sum_exp([logits[j] for j in used]) - average([logits[j] for j in own]))
    return over_rows(rows)


def sft_weight_direction(similarity, positive, valid, *, weighting="sigmoid", temperature=1.0):
    """(weight, direction), both (A, C), dL_i/ds_ij = weight * direction; direction -1 for positives, 1 for negatives.

    Weight of the gradient (sig(z) - y) / t, or (softmax(z) - y / np) / t: with several positives it may be negative.
    """
    weight, direction = np.zeros(similarity.shape), np.zeros(similarity.shape)
    for i in range(len(similarity)):
        logits, used, own = similarity[i] / temperature, columns(valid[i]), columns(positive[i])
        for j in used if own else []:
            direction[i, j] = -1.0 if positive[i, j] else 1.0
            if weighting == "sigmoid":
                gradient = sigmoid(logits[j]) - positive[i, j]
            else:
                gradient = math.exp(logits[j] - log_sum_exp([logits[k] for k in used])) - positive[i, j] / len(own)
            weight[i, j] = direction[i, j] * gradient / temperature
    return weight, direction
