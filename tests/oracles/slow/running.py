"""Expected costs, running averages and weights with memory, from their equations alone.

State is passed in as whole arrays over the dataset (or, where it belongs to a pair of row and column, as arrays of the
matrix's shape, already looked up) and comes back as new arrays; nothing is changed in place. A step gives the value of
the surrogate and ``gradient``: d row loss / d similarity with everything detached that the method detaches. The
gradient of the mean over the kept rows is gradient / number of kept rows.
"""

import math
from typing import NamedTuple

import numpy as np

from tests.oracles.slow.listwise import by_row, comparison, ideal_dcg, log_sum_exp, mean, members, softmax

# CACR


def transport(similarity, positive, valid, *, positive_temperature=1.0, negative_temperature=1 / 0.9):
    """The plan (A, C): pi = softmax over P_i of c / t+, rho = softmax over N_i of -c / t-, c = 2 - 2 S."""
    plan = np.zeros(np.shape(similarity))
    for i in range(len(similarity)):
        positives, negatives = members(positive[i]), members(valid[i] & ~positive[i])
        if positives:
            plan[i, positives] = softmax([(2 - 2 * similarity[i, p]) / positive_temperature for p in positives])
        if negatives:
            plan[i, negatives] = softmax([-(2 - 2 * similarity[i, n]) / negative_temperature for n in negatives])
    return plan


def cacr(
    similarity,
    positive,
    valid,
    *,
    positive_temperature=1.0,
    negative_temperature=1 / 0.9,
    attraction=1.0,
    repulsion=1.0,
    positive_prior=0.0,
    plan=None,
):
    """L_i = alpha sum_p pi_ip c_ip - beta (sum_n rho_in c_in - tau+ mean_p c_ip) / (1 - tau+), c = |x - y|^2 = 2 - 2 S.

    CACR, arXiv 2105.03746; tau_+ (cost) there = 1 / positive_temperature. Several views = several positives.
    The plan is computed here, or given: with a plan from before, finite differences give the detached gradient.
    Cosine. Kept: rows with a positive and a negative.
    """
    options = {"positive_temperature": positive_temperature, "negative_temperature": negative_temperature}
    plan = transport(similarity, positive, valid, **options) if plan is None else plan

    def loss(i):
        positives, negatives = members(positive[i]), members(valid[i] & ~positive[i])
        if not positives or not negatives:
            return None
        cost = {j: 2 - 2 * similarity[i, j] for j in [*positives, *negatives]}
        near = sum(plan[i, p] * cost[p] for p in positives)
        far = sum(plan[i, n] * cost[n] for n in negatives)
        debias = positive_prior * sum(cost[p] for p in positives) / len(positives)
        return attraction * near - repulsion * (far - debias) / (1 - positive_prior)

    return by_row(len(similarity), loss)


def cacr_views(views, *, positive_temperature=1.0, negative_temperature=1 / 0.9, attraction=1.0, repulsion=1.0):
    """The paper's own form on K views (K, B, D) of unit vectors. One number.

    CA: each view against its other views; CR: each unordered pair of views, the first against the second's others.
    """
    count, batch = len(views), len(views[0])

    def expected(anchor, others, temperature):
        costs = [float(((anchor - other) ** 2).sum()) for other in others]
        shares = softmax([cost / temperature for cost in costs])
        return sum(share * cost for share, cost in zip(shares, costs, strict=True))

    near, far = [], []
    for i in range(batch):
        for k in range(count):
            partners = [views[other][i] for other in range(count) if other != k]
            near.append(expected(views[k][i], partners, positive_temperature))
            for other in range(k + 1, count):
                strangers = [views[other][j] for j in range(batch) if j != i]
                far.append(expected(views[k][i], strangers, -negative_temperature))
    return attraction * sum(near) / len(near) - repulsion * sum(far) / len(far)


# SogCLR


class ContrastiveState(NamedTuple):
    """Of each example of the dataset: u, visited or not, and for ISogCLR its temperature and the averaged gradient."""

    average: np.ndarray
    seen: np.ndarray
    temperature: np.ndarray
    momentum: np.ndarray


class Step(NamedTuple):
    losses: np.ndarray
    kept: np.ndarray
    gradient: np.ndarray
    state: object


def fresh_contrastive(examples, temperature):
    return ContrastiveState(
        np.zeros(examples), np.zeros(examples, dtype=bool), np.full(examples, float(temperature)), np.zeros(examples)
    )


def moved(old, new, gamma, seen):
    """(1 - gamma) old + gamma new; the first visit takes the new value."""
    return (1 - gamma) * old + gamma * new if seen else new


def sogclr(similarity, positive, valid, index, state, *, gamma=0.9, subtract_positive=True):
    """F_i = t log mean_{j in N_i} e^{h_ij / t}, h_ij = s_ij - mean over positives of s_ip; temperature in the state.

    u_i <- (1 - gamma) u_i + gamma mean_j e^{h_ij / t}; surrogate (1/M) sum_j sg(e^{h_ij / t} / u_i) h_ij, M = |N_i|.
    subtract_positive=False, LibAUC's first version: u of e^{s / t}, surrogate -s_i+ + (1/M) sum_j sg(e / u) s_ij.
    SogCLR, arXiv 2202.12387. Kept: rows with a positive and a negative; others leave the state alone. Rows of one
    index (two stacked views) each use their own new u, the state keeps their mean.
    """
    step, _ = contrastive_step(similarity, positive, valid, index, state, gamma, subtract_positive, 0.0)
    return step


def isogclr(
    similarity,
    positive,
    valid,
    index,
    state,
    *,
    gamma=0.9,
    rho=0.3,
    learning_rate=0.01,
    momentum=0.9,
    minimum=0.05,
    maximum=0.7,
    momentum_limit=None,
    subtract_positive=True,
):
    """SogCLR with t_i of each example, F_i + t_i rho. After the surrogate, without autograd::

        g_i = log u_i + rho - (1/M) sum_j (e_ij / u_i) h_ij / t_i
        G_i <- (1 - beta) G_i + beta g_i, within +-momentum_limit;  t_i <- clip(t_i - eta G_i, minimum, maximum)

    iSogCLR / RGCL, arXiv 2305.11965. The mean of g over the rows of one index.
    """
    step, slopes = contrastive_step(similarity, positive, valid, index, state, gamma, subtract_positive, rho)
    temperatures, averages = state.temperature.copy(), state.momentum.copy()
    for example, found in slopes.items():
        average = (1 - momentum) * averages[example] + momentum * sum(found) / len(found)
        if momentum_limit is not None:
            average = min(max(average, -momentum_limit), momentum_limit)
        averages[example] = average
        temperatures[example] = min(max(temperatures[example] - learning_rate * average, minimum), maximum)
    return step._replace(state=step.state._replace(temperature=temperatures, momentum=averages))


def contrastive_step(similarity, positive, valid, index, state, gamma, subtract_positive, rho):
    """The Step with a new u, and {example: d F_i / d t_i of its rows}."""
    gradient = np.zeros(np.shape(similarity))
    new_averages, slopes = {}, {}

    def loss(i):
        positives, negatives = members(positive[i]), members(valid[i] & ~positive[i])
        if not positives or not negatives:
            return None
        example, count = int(index[i]), len(negatives)
        temperature = state.temperature[example]
        own = sum(similarity[i, p] for p in positives) / len(positives)
        shift = own if subtract_positive else 0.0
        height = [similarity[i, n] - shift for n in negatives]
        mass = [math.exp(h / temperature) for h in height]
        average = moved(state.average[example], sum(mass) / count, gamma, state.seen[example])
        weights = [e / average / count for e in mass]
        total = sum(w * h for w, h in zip(weights, height, strict=True))
        gradient[i, negatives] = weights
        gradient[i, positives] = -(sum(weights) if subtract_positive else 1.0) / len(positives)
        new_averages.setdefault(example, []).append(average)
        slopes.setdefault(example, []).append(math.log(average) + rho - total / temperature)
        return total if subtract_positive else total - own

    losses, kept = by_row(len(similarity), loss)
    average, seen = state.average.copy(), state.seen.copy()
    for example, found in new_averages.items():
        average[example], seen[example] = sum(found) / len(found), True
    return Step(losses, kept, gradient, state._replace(average=average, seen=seen)), slopes


def bimodal(method, similarity, positive, valid, index, candidate_index, state, candidate_state, **options):
    """mean over rows + mean over columns, each direction with its own state. Columns are rows of the transpose.

    Returns (value, gradient of the value (A, C), new state, new state of the candidates). method: sogclr or isogclr.
    """
    there = method(similarity, positive, valid, index, state, **options)
    back = method(similarity.T, positive.T, valid.T, candidate_index, candidate_state, **options)
    gradient = there.gradient / max(there.kept.sum(), 1) + back.gradient.T / max(back.kept.sum(), 1)
    value = mean(there.losses, there.kept) + mean(back.losses, back.kept)
    return value, gradient, there.state, back.state


# SOAP and SONG


def surrogate(difference, margin):
    """[m - (f_p - f_j)]+^2, with difference = f_j - f_p, and its slope in f_j."""
    value = comparison(difference, link="squared_hinge", margin=margin)
    return value, 2 * comparison(difference, link="hinge", margin=margin)


class PrecisionState(NamedTuple):
    """Of each (row, column) pair, where positive: u of the positives, u of all, visited or not."""

    positives: np.ndarray
    everything: np.ndarray
    seen: np.ndarray


def soap(similarity, positive, valid, state, *, margin=1.0, gamma=0.9):
    """For a positive p: up <- (1-g) up + g mean_j l_pj 1[j pos], ua the same over all j (p too), over the n valid j.

    L_i = mean_p (1/n) sum_j sg(w_pj) l_pj, w_pj = (up - ua 1[j pos]) / ua^2, the slope of -up / ua;
    l_pj = [m - (f_p - f_j)]+^2. SOAP, arXiv 2104.08736 (number from memory). Kept: rows with a positive.
    """
    gradient = np.zeros(np.shape(similarity))
    up, ua, seen = (array.copy() for array in state)

    def single(i, p, columns, share):
        hinges = {j: surrogate(similarity[i, j] - similarity[i, p], margin) for j in columns}
        of_positives = sum(hinges[j][0] for j in columns if positive[i, j]) / len(columns)
        of_all = sum(hinges[j][0] for j in columns) / len(columns)
        up[i, p] = moved(state.positives[i, p], of_positives, gamma, state.seen[i, p])
        ua[i, p] = moved(state.everything[i, p], of_all, gamma, state.seen[i, p])
        seen[i, p] = True
        total = 0.0
        for j in columns:
            weight = (up[i, p] - ua[i, p] * positive[i, j]) / ua[i, p] ** 2 / len(columns)
            total += weight * hinges[j][0]
            if j != p:
                gradient[i, j] += share * weight * hinges[j][1]
                gradient[i, p] -= share * weight * hinges[j][1]
        return total

    def loss(i):
        positives, columns = members(positive[i]), members(valid[i])
        if not positives:
            return None
        return sum(single(i, p, columns, 1 / len(positives)) for p in positives) / len(positives)

    losses, kept = by_row(len(similarity), loss)
    return Step(losses, kept, gradient, PrecisionState(up, ua, seen))


class RankState(NamedTuple):
    """Of each (row, column) pair, where positive: u, visited or not. Of each row: the score lambda of its top k."""

    average: np.ndarray
    seen: np.ndarray
    threshold: np.ndarray


def song(
    similarity,
    positive,
    valid,
    grades,
    state,
    *,
    margin=1.0,
    gamma=0.9,
    items=None,
    top=None,
    gate_temperature=0.5,
    threshold_temperature=0.01,
    threshold_penalty=0.0001,
    threshold_learning_rate=0.01,
):
    """L_i = (1/IDCG_i) sum_p sg(f'(u_ip) gate_ip) g_ip, f(u) = -(2^y - 1) / log2(1 + N u).

    g_ip = mean over valid j, p too, of [m - (s_p - s_j)]+^2; u <- (1 - gamma) u + gamma g; N = ``items`` or the number
    of valid columns. f'(u) = (2^y - 1) N / (ln 2 (1 + N u) log2(1 + N u)^2). SONG, arXiv 2202.12183.
    top = k, the practical K-SONG: gate = sigmoid((s_p - lambda) / gate_temperature) with lambda from before, then
    lambda <- lambda - eta (k / N + tau2 lambda - mean_j sigmoid((s_j - lambda) / tau1)).
    Kept: rows with a positive and an ideal DCG above 0.
    """
    gradient = np.zeros(np.shape(similarity))
    average, seen, threshold = (array.copy() for array in state)

    def single(i, p, columns, best):
        number = items or len(columns)
        hinges = {j: surrogate(similarity[i, j] - similarity[i, p], margin) for j in columns}
        height = sum(value for value, _ in hinges.values()) / len(columns)
        u = moved(state.average[i, p], height, gamma, state.seen[i, p])
        average[i, p], seen[i, p] = u, True
        slope = (2.0 ** grades[i, p] - 1) * number
        slope /= math.log(2) * (1 + number * u) * math.log2(1 + number * u) ** 2
        if top is not None:
            slope *= comparison(similarity[i, p] - state.threshold[i], temperature=gate_temperature)
        for j in columns:
            if j != p:
                gradient[i, j] += slope * hinges[j][1] / len(columns) / best
                gradient[i, p] -= slope * hinges[j][1] / len(columns) / best
        return slope * height / best

    def loss(i):
        positives, columns = members(positive[i]), members(valid[i])
        best = ideal_dcg([2.0 ** grades[i, p] - 1 for p in positives], top)
        if best <= 0:
            return None
        total = sum(single(i, p, columns, best) for p in positives)
        if top is not None:
            old = state.threshold[i]
            above = [comparison(similarity[i, j] - old, temperature=threshold_temperature) for j in columns]
            slope = top / (items or len(columns)) + threshold_penalty * old - sum(above) / len(columns)
            threshold[i] = old - threshold_learning_rate * slope
        return total

    losses, kept = by_row(len(similarity), loss)
    return Step(losses, kept, gradient, RankState(average, seen, threshold))


# DBPM


class BadPairs(NamedTuple):
    """Flags of each example, and the mean and the deviation, over the examples, of their mean losses."""

    noisy: np.ndarray
    faulty: np.ndarray
    center: float
    spread: float


def bad_pairs(history, *, noisy=2.0, faulty=2.0, visits=None):
    """m_i = mean_e l_ie over the visits so far; noisy: m_i <= mu - b_n sd, faulty: m_i >= mu + b_f sd.

    mu, sd (population) of m over the visited examples. ``history`` (N, E), NaN where there was no visit e.
    visits = E_max weighs l_ie with (e + 1) / E_max before the mean, as the authors' code does.
    To be called after the warm-up, whenever a pass over the data begins. sd = 0, or nothing seen: no flags.
    DBPM, arXiv 2302.03357 (number from memory).
    """
    means = np.full(len(history), np.nan)
    for i, losses in enumerate(history):
        terms = [loss * ((e + 1) / visits if visits else 1.0) for e, loss in enumerate(losses) if not np.isnan(loss)]
        if terms:
            means[i] = sum(terms) / len(terms)
    known = means[~np.isnan(means)]
    center, spread = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
    if spread == 0:
        none = np.zeros(len(history), dtype=bool)
        return BadPairs(none, none, center, spread)
    return BadPairs(means <= center - noisy * spread, means >= center + faulty * spread, center, spread)


def bad_pair_weights(losses, kept, index, history, flags=None, *, density=False):
    """(row weights, new history). Flagged: exp(-(l - mu)^2 / (2 sd^2)), the normal density over its peak; else 1.

    L = mean over kept rows of w_i l_i, w detached, l_i the loss now. flags None: warm-up, all weights 1.
    density=True is the density itself, as in the authors' code: it exceeds 1 for sd < 0.4.
    Rows of one index count as one visit with their mean loss, and share its weight. The losses are appended to the
    history after the weights were taken; rows that are not kept are neither weighted nor remembered.
    """
    visits = {}
    for row in np.flatnonzero(kept):
        visits.setdefault(int(index[row]), []).append(float(losses[row]))
    weights = np.ones(len(losses))
    for row in np.flatnonzero(kept):
        example = int(index[row])
        if flags is not None and (flags.noisy[example] or flags.faulty[example]):
            loss = sum(visits[example]) / len(visits[example])
            weights[row] = math.exp(-((loss - flags.center) ** 2) / (2 * flags.spread**2))
            if density:
                weights[row] /= flags.spread * math.sqrt(2 * math.pi)
    history = np.pad(np.asarray(history, dtype=float), ((0, 0), (0, 1)), constant_values=np.nan)
    for example, found in visits.items():
        history[example, int((~np.isnan(history[example])).sum())] = sum(found) / len(found)
    return weights, history if not np.isnan(history[:, -1]).all() else history[:, :-1]


# Weights of rows and of pairs


def propensity(teacher, positive, valid, judged, *, temperature=2.0, limits=(1.0, 5.0), normalise=True):
    """w = 1 / (1 - sigmoid(x / t)) = 1 + e^{x / t}, x the partner's logit of (query, negative). Detached row weights.

    Several judged negatives: the mean of their w, each within the limits first. Then over the mean of the rows
    that have one; rows without one, or without a positive, get 1. limits None and normalise=False is the authors' code.
    CET, arXiv 2209.05072.
    """
    weights, known = np.ones(len(teacher)), np.zeros(len(teacher), dtype=bool)
    for i in range(len(teacher)):
        negatives = members(valid[i] & ~positive[i] & judged[i])
        if positive[i].any() and negatives:
            found = [1 + math.exp(teacher[i, n] / temperature) for n in negatives]
            if limits is not None:
                found = [min(max(weight, limits[0]), limits[1]) for weight in found]
            weights[i], known[i] = sum(found) / len(found), True
    if normalise and known.any():
        weights[known] /= weights[known].mean()
    return weights


def log_weights(log_gamma, positive, valid, normalise):
    """log gamma on the negatives, less its row's log mean of gamma where normalised; 0 on everything else."""
    result = np.zeros(np.shape(positive))
    for i in range(len(positive)):
        negatives = members(valid[i] & ~positive[i])
        finite = [log_gamma[i, n] for n in negatives if log_gamma[i, n] > -math.inf]
        level = log_sum_exp(finite) - math.log(len(negatives)) if normalise and finite else 0.0
        for n in negatives:
            result[i, n] = log_gamma[i, n] - level
    return result


def cluster_weight(anchor_clusters, candidate_clusters, positive, valid, *, normalise=True):
    """log gamma_ij, gamma_ij = number of clusterings (R, A), (R, C) in which i and j are apart; -inf where never.

    Added to the negatives' logits. Normalised: mean_j gamma_ij = 1 over the negatives; the code has the plain count.
    The positive keeps its place with weight 1 (the code has gamma_ii = 0: out of the denominator). Detached.
    MEOW, arXiv 2212.13847.
    """
    log_gamma = np.full(np.shape(positive), -math.inf)
    for i in range(len(positive)):
        for j in members(valid[i]):
            apart = sum(run[i] != other[j] for run, other in zip(anchor_clusters, candidate_clusters, strict=True))
            if apart:
                log_gamma[i, j] = math.log(apart)
    return log_weights(log_gamma, positive, valid, normalise)


def learned_weight(
    anchors, candidates, positive, valid, hidden_weight, hidden_bias, output_weight, output_bias, *, normalise=True
):
    """log gamma_ij, gamma_ij = sigmoid(v . tanh(W (z_i + z_j) + b) + a), of unit vectors z. Not detached.

    W (H, D), b (H,), v (H,), a a number; H = 16 in the code. Normalised and used like cluster_weight: without the
    normalisation gamma -> 0 drives the loss down. AdaMEOW, arXiv 2212.13847.
    """
    left = anchors / np.linalg.norm(anchors, axis=1, keepdims=True)
    right = candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    log_gamma = np.zeros(np.shape(positive))
    for i in range(len(left)):
        for j in range(len(right)):
            hidden = np.tanh(hidden_weight @ (left[i] + right[j]) + hidden_bias)
            log_gamma[i, j] = -comparison(-float(output_weight @ hidden + output_bias), link="softplus")
    return log_weights(log_gamma, positive, valid, normalise)
