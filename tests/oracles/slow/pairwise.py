"""Pairwise losses from their equations alone: loops over pairs and triples, in float64.

Row losses come as ``(losses, kept)``: 0 where a row is not kept; the loss of a batch is the mean over kept rows. What
is one number of the whole batch comes as a float, 0.0 where nothing can be compared.
"""

import math

import numpy as np

from tests.oracles.slow.arithmetic import average, columns, log_sum_exp, over_rows, sigmoid, softplus, unit


def sides(positive, valid):
    """For each row its positive and its negative columns."""
    return [(columns(p), columns(v & ~p)) for p, v in zip(positive, valid, strict=True)]


def preferences(grades, judged):
    """The pairs (i, j) of a row, both judged, with grade i strictly above grade j."""
    known = columns(judged)
    return [(i, j) for i in known for j in known if grades[i] > grades[j]]


# Triplet


def distances(anchors, candidates, kind):
    """(A, C) distances: ``euclidean`` of the vectors as they come, ``cosine`` 1 - cos."""
    if kind == "cosine":
        return 1 - unit(anchors) @ unit(candidates).T
    return np.array([[math.sqrt(sum((x - y) ** 2)) for y in candidates] for x in anchors])


def triplet_hard(distance, positive, valid, *, margin):
    """L_i = [max_p d_p - min_n d_n + margin]+, rows with both. 1703.07737."""
    rows = []
    for d, (positives, negatives) in zip(distance, sides(positive, valid), strict=True):
        both = positives and negatives
        rows.append(max(0.0, max(d[positives]) - min(d[negatives]) + margin) if both else None)
    return over_rows(rows)


def triplet_soft(distance, positive, valid):
    """L_i = softplus(max_p d_p - min_n d_n), rows with both, no margin. 1703.07737."""
    rows = []
    for d, (positives, negatives) in zip(distance, sides(positive, valid), strict=True):
        both = positives and negatives
        rows.append(softplus(max(d[positives]) - min(d[negatives])) if both else None)
    return over_rows(rows)


def triplet_all(distance, positive, valid, *, margin):
    """Mean of [d_p - d_n + margin]+ over those triplets of the batch whose loss is above 1e-16. 1703.07737."""
    losses = []
    for d, (positives, negatives) in zip(distance, sides(positive, valid), strict=True):
        losses += [max(0.0, d[p] - d[n] + margin) for p in positives for n in negatives]
    return float(average([loss for loss in losses if loss > 1e-16]))


def triplet_semi_hard(distance, positive, valid, *, margin):
    """Mean over positive pairs of [d_p - d_n + margin]+, d_n the smallest above d_p, else the largest. 1503.03832.

    Over all positive pairs of the batch whose row has a negative.
    """
    losses = []
    for d, (positives, negatives) in zip(distance, sides(positive, valid), strict=True):
        for p in positives if negatives else []:
            farther = [d[n] for n in negatives if d[n] > d[p]]
            losses.append(max(0.0, d[p] - (min(farther) if farther else max(d[negatives])) + margin))
    return float(average(losses))


def triplet(anchors, candidates, positive, valid, *, kind="hard", distance="cosine", margin=0.2):
    """The triplet family, 1503.03832, 1703.07737: row losses for ``hard`` and ``soft``, else a float of the batch."""
    between = distances(anchors, candidates, distance)
    if kind == "soft":
        return triplet_soft(between, positive, valid)
    form = {"hard": triplet_hard, "all": triplet_all, "semi_hard": triplet_semi_hard}[kind]
    return form(between, positive, valid, margin=margin)


# SuSana Distancia


def smooth_distance(x, y, epsilon=1e-6):
    return math.sqrt(sum((x - y) ** 2) + epsilon)


def proto_triplet(anchors, labels, candidates, candidate_labels, *, margin=0.5):
    """L_i = [d(x_i, m_y) - min_{c != y} d(x_i, m_c) + margin]+, m_c the mean of the supports of class c.

    SuSana Distancia, arXiv 2305.09062 (id unconfirmed). Euclidean, 1e-6 inside the root. Queries whose class has
    supports while some other class has too.
    """
    classes = sorted(set(candidate_labels.tolist()))
    prototypes = {c: candidates[candidate_labels == c].mean(axis=0) for c in classes}
    rows = []
    for x, label in zip(anchors, labels.tolist(), strict=True):
        wrong = [smooth_distance(x, prototypes[c]) for c in classes if c != label]
        known = label in prototypes and wrong
        rows.append(max(0.0, smooth_distance(x, prototypes[label]) - min(wrong) + margin) if known else None)
    return over_rows(rows)


def icnn_same_class(near, within):
    """Scaled distances of an item to the neighbours of its own class.

    Scaled by the nearest item of another class, then by the largest of them where that is above 1; 0 without such one.
    """
    rivals = [d for d, same in within if not same]
    scaled = [d / min(rivals) if rivals else 0.0 for d, _ in near]
    largest = max(1.0, *scaled)
    return [d / largest for d, (_, same) in zip(scaled, near, strict=True) if same]


def icnn(embeddings, labels, *, neighbours=4, window=None):
    """-log S, S = ((Lambda_same + Lambda_other) / 2 + Gamma) / 2, over the k nearest of each item. Experimental port.

    ICNN score, arXiv 2305.09062 (id unconfirmed), weighting UNVERIFIED.
    Lambda_same = 1 - mean scaled distance to own neighbours;
    Lambda_other = |mean distance to others' among the k, over the largest of these - 1 if there is none at all|;
    Gamma = share of own class among the k (no gradient). ``window``: within how many nearest an item's nearest of
    another class is sought, None: all. Means over items first within, then among those that have any.
    """
    items, own, foreign, shares = range(len(embeddings)), [], [], []
    if len(embeddings) < 2:
        return 0.0
    for i in items:
        others = sorted((smooth_distance(embeddings[i], embeddings[j]), j) for j in items if j != i)
        within = [(d, labels[j] == labels[i]) for d, j in others]
        near = within[:neighbours]
        own.append(icnn_same_class(near, within[:window]))
        foreign.append([d for d, same in near if not same])
        shares.append(average([float(same) for _, same in near]))
    lambda_same = 1 - average([average(row) for row in own if row])
    lambda_other = 1.0
    if any(foreign):
        lambda_other = average([average(row) for row in foreign if row]) / max(max(row) for row in foreign if row)
    return -math.log(((lambda_same + lambda_other) / 2 + average(shares)) / 2)


# CoSENT and AnglE


def cosent(similarity, grades, judged, *, temperature=0.05):
    """L = log(1 + sum_{Y_a > Y_b} e^{(s_b - s_a) / t}) over all judged pairs of the matrix, undivided. CoSENT, 2022."""
    scores, known = similarity[judged], grades[judged]
    exponents = [(scores[b] - scores[a]) / temperature for a, b in preferences(known, np.ones(len(known), dtype=bool))]
    return log_sum_exp([0.0, *exponents])


def angle_similarity(anchors, candidates):
    """s_ij = |sum_k Re(z_k / w_k) + Im(z_k / w_k)| with norms divided out. (A, C). AnglE, arXiv 2309.12871.

    An anchor (a, b) is z = a + ib, a candidate (c, d) is w = c + id, halves of an even number of dimensions:
    re = (ac + bd) / |w|^2, im = (bc - ad) / |w|^2, each over |z| / |w|. Not symmetric.
    """
    half = anchors.shape[1] // 2
    similarity = np.zeros((len(anchors), len(candidates)))
    for i, x in enumerate(anchors):
        for j, y in enumerate(candidates):
            a, b, c, d = x[:half], x[half:], y[:half], y[half:]
            size_x, size_y = math.sqrt(sum(a**2 + b**2)), math.sqrt(sum(c**2 + d**2))
            real, imaginary = (a * c + b * d) / size_y**2, (b * c - a * d) / size_y**2
            similarity[i, j] = abs(sum(real + imaginary) / (size_x / size_y))
    return similarity


def angle(anchors, candidates, grades, judged, *, temperature=0.05):
    """CoSENT on ``angle_similarity``. AnglE, arXiv 2309.12871."""
    return cosent(angle_similarity(anchors, candidates), grades, judged, temperature=temperature)


# Ranking of a row's judged candidates


def rank_net(similarity, grades, judged, *, temperature=1.0):
    """L_i = mean over Y_a > Y_b of softplus(-(s_a - s_b) / t). RankNet, ICML 2005. Rows with such a pair."""
    rows = []
    for scores, grade, known in zip(similarity, grades, judged, strict=True):
        pairs = preferences(grade, known)
        rows.append(average([softplus(-(scores[a] - scores[b]) / temperature) for a, b in pairs]) if pairs else None)
    return over_rows(rows)


def fidelity(similarity, grades, judged, *, temperature=1.0, target_temperature=None):
    """L_i = mean over Y_a > Y_b of 1 - sqrt(P* P) - sqrt((1 - P*)(1 - P)), P = sig((s_a - s_b) / t).

    Fidelity loss of FRank, SIGIR 2007. P* = 1, or sig((Y_a - Y_b) / target_temperature). Rows with such a pair.
    """
    rows = []
    for scores, grade, known in zip(similarity, grades, judged, strict=True):
        losses = []
        for a, b in preferences(grade, known):
            modelled = sigmoid((scores[a] - scores[b]) / temperature)
            wanted = 1.0 if target_temperature is None else sigmoid((grade[a] - grade[b]) / target_temperature)
            losses.append(1 - math.sqrt(wanted * modelled) - math.sqrt((1 - wanted) * (1 - modelled)))
        rows.append(average(losses) if losses else None)
    return over_rows(rows)


def lambda_row(scores, grade, known, temperature, top, mu):
    """-W_ab log2 sig((s_a - s_b) / t) of each pair of a row with Y_a > Y_b and either among the first ``top``."""
    order = sorted(columns(known), key=lambda j: -scores[j])
    rank = {j: place for place, j in enumerate(order, start=1)}
    cut = len(order) if top is None else top

    def discount(place):
        return math.log2(1 + place)

    best = sorted((grade[j] for j in order), reverse=True)
    ideal = sum((2**y - 1) / discount(place) for place, y in enumerate(best[:cut], start=1))
    terms = []
    for a, b in preferences(grade, known):
        if min(rank[a], rank[b]) > cut:
            continue
        gap = abs(rank[a] - rank[b])
        gain = abs((2 ** grade[a] - 1) - (2 ** grade[b] - 1)) / ideal
        by_gap = abs(1 / discount(gap) - 1 / discount(gap + 1))
        by_place = abs(1 / discount(rank[a]) - 1 / discount(rank[b]))
        log_probability = -softplus(-(scores[a] - scores[b]) / temperature) / math.log(2)
        terms.append(-gain * (mu * by_gap + by_place) * log_probability)
    return terms


def lambda_loss(similarity, grades, judged, *, temperature=1.0, top=None, mu=10.0):
    """Mean over the selected pairs of the batch of -W_ab log2 sig((s_a - s_b) / t). LambdaLoss NDCGLoss2++, CIKM 2018.

    W_ab = |G_a - G_b| (mu |1/D_gap - 1/D_{gap+1}| + |1/D_a - 1/D_b|), G = (2^Y - 1) / maxDCG@top, D_r = log2(1 + r),
    ranks by s among the judged of a row, equals in column order. W depends on the order alone.
    """
    rows = zip(similarity, grades, judged, strict=True)
    return float(average([term for row in rows for term in lambda_row(*row, temperature, top, mu)]))


def lambda_loss_rows(similarity, grades, judged, *, temperature=1.0, top=None, mu=10.0):
    """The same with the mean over each row's pairs, as row losses. Rows with a selected pair."""
    rows = zip(similarity, grades, judged, strict=True)
    terms = [lambda_row(*row, temperature, top, mu) for row in rows]
    return over_rows([average(row) if row else None for row in terms])


# Bags


def bag_instance(similarity, positive, valid, *, temperature=0.07, directions="query_to_document"):
    """L_i = -log(sum_p e^{z_p} / (sum_p e^{z_p} + sum_n e^{z_n})), z = s / t: the bag's sum inside the log.

    MIL-NCE, arXiv 1912.06430. With ``both``, as in the paper, the negatives in the columns of the row's positives
    enter the same denominator. Rows with a positive; without negatives the loss is 0.
    """
    logits = similarity / temperature
    by_row, by_column = sides(positive, valid), sides(positive.T, valid.T)
    rows = []
    for i, (positives, negatives) in enumerate(by_row):
        if not positives:
            rows.append(None)
            continue
        bag = [logits[i, p] for p in positives]
        others = [logits[i, n] for n in negatives]
        if directions == "both":
            others += [logits[k, p] for p in positives for k in by_column[p][1]]
        rows.append(log_sum_exp(bag + others) - log_sum_exp(bag))
    return over_rows(rows)


# Knowledge graphs


def self_adversarial_detached(similarity, positive, valid, *, gamma=12.0, temperature=1.0):
    """What carries no gradient: the softmax of (gamma + s_n) / t over the negatives of each row. 0 elsewhere."""
    weights = np.zeros(np.shape(similarity))
    for i, (_, negatives) in enumerate(sides(positive, valid)):
        masses = {n: math.exp(similarity[i, n] / temperature) for n in negatives}
        for n in negatives:
            weights[i, n] = masses[n] / sum(masses.values())
    return weights


def self_adversarial(similarity, positive, valid, *, gamma=12.0, temperature=1.0, detached=None):
    """L_i = 1/2 (-mean_p log sig(r_p) - sum_n w_n log sig(-r_n)), r = gamma + s, s = -distance, w = sg softmax(r / t).

    Self-adversarial negative sampling, RotatE, arXiv 1902.10197. Rows with both. Temperature math.inf: uniform weights.
    """
    if detached is None:
        detached = self_adversarial_detached(similarity, positive, valid, gamma=gamma, temperature=temperature)
    rows = []
    for scores, weight, (positives, negatives) in zip(similarity, detached, sides(positive, valid), strict=True):
        if not positives or not negatives:
            rows.append(None)
            continue
        pull = average([softplus(-(gamma + scores[p])) for p in positives])
        push = sum(weight[n] * softplus(gamma + scores[n]) for n in negatives)
        rows.append((pull + push) / 2)
    return over_rows(rows)


def margin_ranking(similarity, positive, valid, *, margin=1.0):
    """L_i = mean over p, n of [margin + d_p - d_n]+, d = -s: the margin form. Rows with both."""
    rows = []
    for s, (positives, negatives) in zip(similarity, sides(positive, valid), strict=True):
        terms = [max(0.0, margin - s[p] + s[n]) for p in positives for n in negatives]
        rows.append(average(terms) if terms else None)
    return over_rows(rows)


def weighted_mean(losses, kept, weights):
    """sum_i w_i L_i / sum_i w_i over kept rows: the mean with subsampling weights (1 / sqrt of a triple's count)."""
    total = sum(weights[kept])
    return float(sum(weights[kept] * losses[kept]) / total) if total > 0 else 0.0


# Gaussian prototypes


def gaussian_prototypes(candidates, candidate_labels):
    """(classes, means, variances) of the supports of each class, classes ascending, variances over n."""
    classes = sorted(set(candidate_labels.tolist()))
    members = [candidates[candidate_labels == c] for c in classes]
    return np.array(classes), np.array([m.mean(axis=0) for m in members]), np.array([m.var(axis=0) for m in members])


def gaussian_distances(anchors, means, variances, epsilon):
    """D(q, c) = sum_k (q_k - mu_ck)^2 / (v_ck + eps) + log(v_ck + eps). (A, K)."""
    spread = variances + epsilon
    return np.array([[sum((q - m) ** 2 / v + np.log(v)) for m, v in zip(means, spread, strict=True)] for q in anchors])


def adaptive_margins(means, margin):
    """margin h_c / mean h, h_c the distance of mean c to the nearest other mean; ``margin`` with one class."""
    number = len(means)
    if number < 2:
        return np.full(number, margin)
    nearest = [min(np.linalg.norm(means[c] - means[k]) for k in range(number) if k != c) for c in range(number)]
    return margin * np.array(nearest) / np.mean(nearest)


def gaussian_prototype(
    anchors,
    labels,
    means,
    variances,
    boundaries,
    *,
    margin=1.0,
    temperature=1.0,
    contrast_weight=1.0,
    epsilon=1e-3,
):
    """[y known] sp((D_y - r_y + m_y) / t) + sum_{c != y} sp((r_c - D_c + m_c) / t) - w [y known] log softmax(-D / t)_y.

    GPAM, arXiv 2410.20320: reconstruction, all of it. ``labels`` are rows of ``means``, -1 for none of them;
    m_c from ``adaptive_margins``. Every row is kept.
    """
    margins = adaptive_margins(means, margin)
    rows = []
    for distance, label in zip(gaussian_distances(anchors, means, variances, epsilon), labels.tolist(), strict=True):
        inside = (distance - boundaries + margins) / temperature
        outside = (boundaries - distance + margins) / temperature
        loss = sum(softplus(outside[c]) for c in range(len(means)) if c != label)
        if label >= 0:
            contrast = log_sum_exp(list(-distance / temperature)) + distance[label] / temperature
            loss += softplus(inside[label]) + contrast_weight * contrast
        rows.append(loss)
    return over_rows(rows)


# PFID


def symmetric_divergence(p, q):
    """KL(p || q) + KL(q || p)."""
    return sum((a - b) * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))


def pfid(logits, labels, *, margin=2.0, beta=0.1):
    """mean_i CE_i + beta mean over pairs of: symKL(p_i, p_j) of one class, [margin - symKL]+ of two; p = softmax(o).

    PFID, arXiv 1907.02642: reconstruction. Nothing detached.
    """
    shifted = [np.array(row) - log_sum_exp(list(row)) for row in logits]
    entropy = average([-row[label] for row, label in zip(shifted, labels, strict=True)])
    terms = []
    for i in range(len(logits)):
        for j in range(i):
            divergence = symmetric_divergence(np.exp(shifted[i]), np.exp(shifted[j]))
            terms.append(divergence if labels[i] == labels[j] else max(0.0, margin - divergence))
    return float(entropy + beta * average(terms))
