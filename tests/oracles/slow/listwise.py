"""List-wise objectives from their equations alone: permutation likelihoods, soft ranks, soft sorting, soft targets.

A row's list is its valid columns, where a teacher is needed those of them that the teacher judged. Every function
returns (losses, kept) unless it says that it gives one number; a row that is not kept has loss 0.
"""

import math

import numpy as np


def comparison(difference, *, link="sigmoid", temperature=1.0, margin=0.0):
    """How much "the difference is above zero" holds: phi((difference + margin) / temperature).

    step, sigmoid and cauchy stay in [0, 1] and count (soft ranks, soft swaps); hinge, squared_hinge and softplus
    are surrogates from above (pairwise links, SOAP, SONG).
    """
    value = (difference + margin) / temperature
    if link == "step":
        return 0.5 if value == 0 else float(value > 0)
    if link == "sigmoid":
        return 1 / (1 + math.exp(-value)) if value > 0 else math.exp(value) / (1 + math.exp(value))
    if link == "cauchy":
        return math.atan(value) / math.pi + 0.5
    if link == "hinge":
        return max(value, 0.0)
    if link == "squared_hinge":
        return max(value, 0.0) ** 2
    if link == "softplus":
        return max(value, 0.0) + math.log1p(math.exp(-abs(value)))
    raise ValueError(link)


def log_sum_exp(values):
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))


def softmax(values):
    total = log_sum_exp(values)
    return [math.exp(value - total) for value in values]


def members(mask):
    """The columns where one row of a mask holds."""
    return [int(column) for column in np.flatnonzero(mask)]


def by_row(rows, loss):
    """(losses, kept) from a function of the row's number that gives None where the row is left out."""
    found = [loss(row) for row in range(rows)]
    return np.array([value or 0.0 for value in found]), np.array([value is not None for value in found], dtype=bool)


# Permutation likelihoods


def plackett_luce(scores, order, weights):
    """sum_k w_k (log sum over j in {k} and all j strictly below k of e^{s_j}, - s_k); below is meant in ``order``.

    Without ties this is the suffix sum of Plackett-Luce. Tied items do not compete with each other, so the value
    does not depend on how ties would have been broken.
    """
    total = 0.0
    for k, own in enumerate(scores):
        below = [scores[j] for j in range(len(scores)) if order[j] < order[k]]
        total += weights[k] * (log_sum_exp([own, *below]) - own)
    return total


def position_weights(order, discount):
    """none: 1. log: 1 / log2(1 + rank). exponential: 2^(n - rank) - 1, p-ListMLE. rank = 1 + number strictly above."""
    ranks = [1 + sum(other > own for other in order) for own in order]
    if discount == "none":
        return [1.0 for _ in order]
    if discount == "log":
        return [1 / math.log2(1 + rank) for rank in ranks]
    if discount == "exponential":
        return [2.0 ** (len(order) - rank) - 1 for rank in ranks]
    raise ValueError(discount)


def list_mle(similarity, positive, valid, grades, *, temperature=0.05, discount="none"):
    """L_i = sum_k w_k [LSE(s_k, all strictly lower grades) - s_k], s = S / t; w = 1.

    ListMLE, Xia et al. 2008; position weights of p-ListMLE, Lan et al. 2014 (no arXiv). Kept: rows with a positive
    and two different grades.
    """

    def loss(i):
        columns = members(valid[i])
        order = [grades[i, j] for j in columns]
        if not positive[i].any() or min(order) == max(order):
            return None
        scores = [similarity[i, j] / temperature for j in columns]
        return plackett_luce(scores, order, position_weights(order, discount))

    return by_row(len(similarity), loss)


def pld(similarity, positive, valid, judged, teacher, *, temperature=0.05, teacher_temperature=1.0):
    """L = sum_k q_{pi_k} [LSE(s_{pi_k}, ..., s_{pi_K}) - s_{pi_k}]; pi: the positive, then by teacher; q = softmax(T).

    Plackett-Luce distillation, arXiv 2506.12542. q is detached and uses the positive's own teacher score.
    Several positives: the mean over them, each in the list of itself and the judged negatives.
    Kept: rows with a judged positive and a judged negative.
    """

    def single(i, p, negatives):
        columns = [p, *negatives]
        order = [math.inf, *(teacher[i, n] for n in negatives)]
        weights = softmax([teacher[i, j] / teacher_temperature for j in columns])
        return plackett_luce([similarity[i, j] / temperature for j in columns], order, weights)

    def loss(i):
        positives = members(positive[i] & judged[i])
        negatives = members(valid[i] & ~positive[i] & judged[i])
        if not positives or not negatives:
            return None
        return sum(single(i, p, negatives) for p in positives) / len(positives)

    return by_row(len(similarity), loss)


def pro_list(scores, grades, temperature):
    """Mean over every k with a strictly lower item of -log softmax at k over {k: max d_k. s_k / t ; j: d_kj s_j / t}.

    d_kj = y_k - y_j. None if all grades are equal.
    """
    terms = []
    for k, own in enumerate(scores):
        lower = [(grades[k] - grades[j], scores[j]) for j in range(len(scores)) if grades[j] < grades[k]]
        if lower:
            logit = max(gap for gap, _ in lower) * own / temperature
            terms.append(log_sum_exp([logit, *(gap * score / temperature for gap, score in lower)]) - logit)
    return sum(terms) / len(terms) if terms else None


def pro(similarity, positive, valid, grades, *, temperature=0.05):
    """PRO in each row, in the form of CoDiEmb (arXiv 2508.11442; PRO itself 2306.17492, id from memory)."""

    def loss(i):
        columns = members(valid[i])
        if not positive[i].any():
            return None
        return pro_list([similarity[i, j] for j in columns], [grades[i, j] for j in columns], temperature)

    return by_row(len(similarity), loss)


def pro_batch(similarity, valid, judged, grades, *, temperature=0.05):
    """PRO over all judged pairs of the batch as one list, as in CoDiEmb's STS loss. One number; 0 if all are tied."""
    scores, targets = pairs(similarity, valid, judged, grades)
    return pro_list(scores, targets, temperature) or 0.0


def pairs(similarity, valid, judged, grades):
    """(scores, grades) of the judged and valid pairs of a batch, as two lists."""
    where = [(i, j) for i in range(len(similarity)) for j in members(valid[i] & judged[i])]
    return [float(similarity[place]) for place in where], [float(grades[place]) for place in where]


# Soft ranks


def smooth_ap(similarity, positive, valid, *, temperature=0.01):
    """L_i = 1 - (1/np) sum_p R+(p) / R(p), R+(p) = 1 + sum over other positives of g(s_p' - s_p), R with negatives.

    g(u) = sigmoid(u / t). SmoothAP, arXiv 2007.12163. Kept: rows with a positive.
    """

    def above(i, p, columns):
        return sum(comparison(similarity[i, j] - similarity[i, p], temperature=temperature) for j in columns if j != p)

    def loss(i):
        positives, negatives = members(positive[i]), members(valid[i] & ~positive[i])
        if not positives:
            return None
        precision = 0.0
        for p in positives:
            among_positives = 1 + above(i, p, positives)
            precision += among_positives / (among_positives + above(i, p, negatives))
        return 1 - precision / len(positives)

    return by_row(len(similarity), loss)


def approx_ndcg(similarity, positive, valid, grades, *, temperature=0.01):
    """L_i = 1 - DCG / IDCG, DCG = sum_j (2^{y_j} - 1) / log2(1 + rank_j), rank_j = 1 + sum_{k != j} g(s_k - s_j).

    ApproxNDCG, Qin et al. 2010 (no arXiv). Kept: rows with a positive and an ideal DCG above 0.
    """

    def soft_rank(i, j, columns):
        others = [k for k in columns if k != j]
        return 1 + sum(comparison(similarity[i, k] - similarity[i, j], temperature=temperature) for k in others)

    def loss(i):
        columns = members(valid[i])
        gains = [2.0 ** grades[i, j] - 1 for j in columns]
        best = ideal_dcg(gains)
        if not positive[i].any() or best <= 0:
            return None
        ranks = [soft_rank(i, j, columns) for j in columns]
        return 1 - sum(gain / math.log2(1 + rank) for gain, rank in zip(gains, ranks, strict=True)) / best

    return by_row(len(similarity), loss)


def ideal_dcg(gains, top=None):
    """The discounted sum of the gains in their best order, down to place ``top``."""
    return sum(gain / math.log2(2 + place) for place, gain in enumerate(sorted(gains, reverse=True)[:top]))


def fast_ap(similarity, positive, valid, *, bins=10):
    """L_i = 1 - (1/np) sum_l h+_l H+_l / H_l over the edges l of [0, 4]; h: soft counts of d2 = 2 - 2 S, H: cumulated.

    A value falls to the two edges around it, in proportion (triangles of width 4 / bins). FastAP, Cakir et al. 2019
    (no arXiv number in the specification), in the form of pytorch-metric-learning. Cosine. Kept: rows with a positive.
    """
    width = 4 / bins

    def share(distance, edge):
        return max(0.0, 1 - abs(distance - edge * width) / width)

    def loss(i):
        positives, negatives = members(positive[i]), members(valid[i] & ~positive[i])
        if not positives:
            return None
        total, so_far_positive, so_far = 0.0, 0.0, 0.0
        for edge in range(bins + 1):
            here_positive = sum(share(2 - 2 * similarity[i, p], edge) for p in positives)
            here_negative = sum(share(2 - 2 * similarity[i, n], edge) for n in negatives)
            so_far_positive += here_positive
            so_far += here_positive + here_negative
            if here_positive > 0:
                total += here_positive * so_far_positive / so_far
        return 1 - total / len(positives)

    return by_row(len(similarity), loss)


# Soft sorting


def soft_swaps(values, temperature):
    """X[i, j] = mass of input i at output j of the odd-even network with n layers, in ascending order.

    Each comparator (a left, b right): alpha = arctan((b - a) / t) / pi + 1/2; min' = alpha a + (1 - alpha) b,
    max' = (1 - alpha) a + alpha b. The first layer starts at place 0, the next at 1, and so on in turn.
    """
    count, values = len(values), list(values)
    mass = np.eye(count)
    for layer in range(count):
        step = np.eye(count)
        for left in range(layer % 2, count - 1, 2):
            right = left + 1
            keep = comparison(values[right] - values[left], link="cauchy", temperature=temperature)
            step[left, left] = step[right, right] = keep
            step[left, right] = step[right, left] = 1 - keep
        values = [sum(values[i] * step[i, j] for i in range(count)) for j in range(count)]
        mass = mass @ step
    return mass


def groco(similarity, positive, valid, *, negatives=10, temperature=1.0):
    """L_i = mean over the list of BCE(q_k, 1[k positive]), q_k = sum of X[k, j] over the last np outputs.

    The list: the highest ``negatives`` negatives ascending, then the positives ascending. q within 1e-7 of 0 and 1.
    temperature = 1 / steepness. GroCo, arXiv 2301.02009. Kept: rows with a positive and a negative.
    """

    def loss(i):
        own = sorted(similarity[i, p] for p in members(positive[i]))
        others = sorted(similarity[i, n] for n in members(valid[i] & ~positive[i]))
        others = others[max(0, len(others) - negatives) :]
        if not own or not others:
            return None
        mass = soft_swaps([*others, *own], temperature)
        total = 0.0
        for k in range(len(mass)):
            among_last = min(max(sum(mass[k, len(others) :]), 1e-7), 1 - 1e-7)
            total -= math.log(among_last if k >= len(others) else 1 - among_last)
        return total / len(mass)

    return by_row(len(similarity), loss)


# Soft targets


def divergence(target, scores):
    """KL(target || softmax(scores)); 0 log 0 = 0."""
    total = log_sum_exp(scores)
    return sum(
        share * (math.log(share) - (score - total)) for share, score in zip(target, scores, strict=True) if share > 0
    )


def list_kl(similarity, valid, judged, teacher, *, temperature=0.05, teacher_temperature=1.0, symmetric=False):
    """KL(softmax(T / tT) || softmax(S / t)) over the judged columns; symmetric: half of it plus half the reverse.

    Symmetric with both temperatures .02 is UniME-V2, arXiv 2510.13515. Kept: rows with two judged columns (the
    teacher stands in for labels, a positive is not needed).
    """

    def loss(i):
        columns = members(valid[i] & judged[i])
        if len(columns) < 2:
            return None
        student = [similarity[i, j] / temperature for j in columns]
        wanted = [teacher[i, j] / teacher_temperature for j in columns]
        forward = divergence(softmax(wanted), student)
        return (forward + divergence(softmax(student), wanted)) / 2 if symmetric else forward

    return by_row(len(similarity), loss)


def lg_anna(
    similarity, positive, valid, judged, teacher, *, temperature=0.05, teacher_temperature=1.0, distillation_weight=0.2
):
    """mean InfoNCE + weight * mean KL(teacher || student), each over its own rows. One number.

    LG-ANNA, arXiv 2506.07438. Reconstruction: the paper does not give its soft-label loss.
    """

    def info_nce(i):
        positives = [similarity[i, p] / temperature for p in members(positive[i])]
        negatives = [similarity[i, n] / temperature for n in members(valid[i] & ~positive[i])]
        return sum(log_sum_exp([p, *negatives]) - p for p in positives) / len(positives) if positives else None

    soft = list_kl(similarity, valid, judged, teacher, temperature=temperature, teacher_temperature=teacher_temperature)
    return mean(*by_row(len(similarity), info_nce)) + distillation_weight * mean(*soft)


def mean(losses, kept):
    return float(losses[kept].mean()) if kept.any() else 0.0


def list_net(similarity, positive, valid, grades, *, temperature=1.0, label_temperature=1.0):
    """L_i = - sum_j softmax(y / tY)_j log softmax(S / t)_j over the valid columns.

    ListNet, Cao et al. 2007 (no arXiv). Kept: rows with a positive.
    """

    def loss(i):
        columns = members(valid[i])
        if not positive[i].any():
            return None
        scores = [similarity[i, j] / temperature for j in columns]
        target = softmax([grades[i, j] / label_temperature for j in columns])
        return log_sum_exp(scores) - sum(share * score for share, score in zip(target, scores, strict=True))

    return by_row(len(similarity), loss)


def average_ranks(grades):
    """Rank of each grade, 0 best, tied ones at their average."""
    return [sum(o > own for o in grades) + (sum(o == own for o in grades) - 1) / 2 for own in grades]


def rank_kl_list(scores, grades, temperature, target_temperature):
    """(1/n) KL(softmax(((n - 1 - r) / (n - 1)) / tY) || softmax(s / t)), r average ranks; 0 if all grades are equal."""
    count = len(scores)
    if count < 2 or min(grades) == max(grades):
        return 0.0
    ideal = [(count - 1 - rank) / (count - 1) for rank in average_ranks(grades)]
    target = softmax([value / target_temperature for value in ideal])
    return divergence(target, [score / temperature for score in scores]) / count


def rank_kl(similarity, valid, judged, grades, *, temperature=0.05, target_temperature=0.05):
    """RankKL of CoDiEmb, arXiv 2508.11442, over all judged pairs of the batch as one list. One number."""
    return rank_kl_list(*pairs(similarity, valid, judged, grades), temperature, target_temperature)
