"""The softmax-row family against the libraries that people use. Where they differ, the test says how."""

import itertools

import pytest
import torch
from torch.nn.functional import normalize

from nearfar.objectives import Composition, parse
from nearfar.objectives.criteria.softmax import Softmax
from nearfar.objectives.logits.temperature import Temperature
from nearfar.objectives.masking.beside import HardBeside
from nearfar.types import Origin
from tests.objectives.relations import diagonal, relation
from tests.oracles.libraries import lightly_losses, quiet

BLOCKS = {
    "query_to_doc": "row",
    "query_to_query": "anchors",
    "doc_to_query": "column",
    "doc_to_doc": "candidates",
}
SUBSETS = [
    ("query_to_doc", *others)
    for number in range(4)
    for others in itertools.combinations(("query_to_query", "doc_to_query", "doc_to_doc"), number)
]
SEPARATE = [("query_to_doc",), ("query_to_doc", "doc_to_query")]


def vectors(*shape, seed=8, dim=4):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, dim, generator=generator, dtype=torch.float64) for size in shape]


def tuples(size, hard):
    """Pairs with hard negatives of their own, in the columns' order of sentence-transformers."""
    grades = [[None] * (size * (1 + hard)) for _ in range(size)]
    for i in range(size):
        grades[i][i] = 1
        for number in range(1, hard + 1):
            grades[i][number * size + i] = 0
    return relation(grades, origins=[Origin.IN_BATCH] * size + [Origin.HARD] * size * hard)


def check(ours, theirs, sides, split):
    """Losses and gradients of two functions are equal."""
    one, other = ([side.clone().requires_grad_() for side in sides] for _ in range(2))
    with quiet():
        found, expected = ours(*one), theirs([other[0], *other[1].split(split)])
        torch.testing.assert_close(found, expected)
        found.backward()
        expected.backward()
    for left, right in zip(one, other, strict=True):
        torch.testing.assert_close(left.grad, right.grad)


def ranking(**options):
    with quiet():
        from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

        reference = MultipleNegativesRankingLoss(None, **options)
    return lambda embeddings: reference.compute_loss_from_embeddings(embeddings, labels=None)


@pytest.mark.parametrize("hard", [0, 1, 2])
@pytest.mark.parametrize(
    ("directions", "mode"),
    [*((subset, "joint") for subset in SUBSETS), *((subset, "per_direction") for subset in SEPARATE)],
)
def test_all_directions_of_sentence_transformers(directions, mode, hard):
    """With hard negatives among the candidates, it leaves out those of the same query; ``HardBeside`` does, too."""
    size = 5
    objective = Composition(
        criterion=Softmax(
            blocks=tuple(BLOCKS[each] for each in directions),
            partition="separate" if mode == "per_direction" else "joint",
        ),
        masks=(HardBeside(keep="others"),),
        logits=(Temperature(temperature=0.05),),
    )
    found = parse(str(objective))
    sides = vectors(size, size * (1 + hard))
    theirs = ranking(scale=20.0, directions=directions, partition_mode=mode)
    check(lambda *both: found(*both, tuples(size, hard)), theirs, sides, size)


@pytest.mark.parametrize("hard", [0, 1])
def test_gte_of_sentence_transformers(hard):
    objective = parse("GTE(temperature=0.05, hard_beside=others)")
    theirs = ranking(scale=20.0, directions=tuple(BLOCKS))
    check(lambda *both: objective(*both, tuples(5, hard)), theirs, vectors(5, 5 * (1 + hard)), 5)


@pytest.mark.parametrize("hard", [0, 1, 2])
@pytest.mark.parametrize(
    ("on", "mode"), [("all", "all_negatives"), ("in_batch", "in_batch_negatives"), ("own_hard", "hard_negatives")]
)
def test_hardness_modes_of_sentence_transformers(on, mode, hard):
    objective = parse(
        f"HardnessWeighted(temperature=0.05, strength=5.0, on={on}, directions=query_to_document)",
    )
    theirs = ranking(scale=20.0, hardness_mode=mode, hardness_strength=5.0)
    check(lambda *both: objective(*both, tuples(5, hard)), theirs, vectors(5, 5 * (1 + hard)), 5)


def test_in_both_directions_sentence_transformers_weighs_hardness_along_rows_alone():
    """LLaVE weighs both directions, as we do: our column half is its row half with the sides exchanged."""
    sides = vectors(5, 5)
    both = parse("HardnessWeighted(temperature=0.05)")(*sides, diagonal(5))
    one_way = ranking(scale=20.0, hardness_mode="all_negatives", hardness_strength=9.0)
    halves = (one_way(list(sides)) + one_way(list(reversed(sides)))) / 2
    torch.testing.assert_close(both, halves)
    options = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
    theirs = ranking(scale=20.0, hardness_mode="all_negatives", hardness_strength=9.0, **options)
    assert theirs(list(sides)) < both


@pytest.mark.parametrize("hard", [0, 1])
@pytest.mark.parametrize("flags", list(itertools.product([True, False], repeat=2)))
@pytest.mark.parametrize(("strategy", "margin"), [("absolute", 0.0), ("absolute", 0.1), ("relative", 0.05)])
def test_gist_of_sentence_transformers(monkeypatch, strategy, margin, flags, hard):
    with quiet():
        from sentence_transformers.sentence_transformer.losses import gist_embed
    sides, guide = vectors(5, 5 * (1 + hard)), vectors(5, 5 * (1 + hard), seed=1, dim=3)
    reference = gist_embed.GISTEmbedLoss.__new__(gist_embed.GISTEmbedLoss)  # its models are not needed for its loss
    torch.nn.Module.__init__(reference)
    vars(reference).update(
        model="model",
        guide="guide",
        must_retokenize=False,
        gather_across_devices=False,
        temperature=0.1,
        margin=margin,
        margin_strategy=strategy,
        contrast_anchors=flags[0],
        contrast_positives=flags[1],
        similarity_fct=torch.nn.CosineSimilarity(dim=-1),
        cross_entropy_loss=torch.nn.CrossEntropyLoss(),
    )
    columns = {"guide": [guide[0], *guide[1].split(5)]}
    monkeypatch.setattr(gist_embed, "embed_columns", lambda model, features: columns[model])

    def theirs(embeddings):
        columns["model"] = embeddings
        return reference([], None)

    words = [str(flag).lower() for flag in flags]
    objective = parse(
        f"GIST(temperature=0.1, margin={margin}, margin_strategy={strategy}, contrast_anchors={words[0]}, "
        f"contrast_positives={words[1]})"
    )
    inputs = dict(zip(("guide_anchors", "guide_candidates"), guide, strict=True))
    check(lambda *both: objective(*both, tuples(5, hard), **inputs), theirs, sides, 5)


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("NTXent(temperature=0.2)", "NTXentLoss", {"temperature": 0.2}),
        ("DCL(temperature=0.2)", "DCLLoss", {"temperature": 0.2}),
        ("DCLW(temperature=0.2, sigma=0.3)", "DCLWLoss", {"temperature": 0.2, "sigma": 0.3}),
    ],
)
def test_lightly(text, name, options):
    reference = getattr(lightly_losses(), name)(**options)
    objective = parse(text)
    check(lambda *both: objective(*both, diagonal(6)), lambda both: reference(*both), vectors(6, 6), 6)


def by_label(labels):
    """Texts against themselves: positives are the others of the same label."""
    grades = [
        [1 if one == other and i != j else None for j, other in enumerate(labels)] for i, one in enumerate(labels)
    ]
    return relation(grades, anchor_ids=range(len(labels)), candidate_ids=range(len(labels)))


def metric_learning(name, labels, **options):
    with quiet():
        from pytorch_metric_learning import losses

        reference = getattr(losses, name)(**options)
    return lambda sides: reference(sides[0], torch.tensor(labels))


def test_nt_xent_of_pytorch_metric_learning_is_the_decoupled_softmax_for_classes_of_one_size():
    """It has no other positive in a denominator, so it is NT-Xent only where each text has one positive."""
    labels, (texts,) = [0, 0, 0, 1, 1, 1, 2, 2, 2], vectors(9)
    found = parse("DecoupledSoftmax(temperature=0.2)")(texts, texts, by_label(labels))
    torch.testing.assert_close(found, metric_learning("NTXentLoss", labels, temperature=0.2)([texts]))


def test_nt_xent_of_pytorch_metric_learning_is_a_mean_over_pairs_and_not_over_rows():
    labels, (texts,) = [0, 0, 0, 1, 1, 2], vectors(6)
    outcome = parse("DecoupledSoftmax(temperature=0.2)").outcome(texts, texts, by_label(labels))
    pairs = torch.tensor([2.0, 2, 2, 1, 1, 0], dtype=torch.float64)
    expected = metric_learning("NTXentLoss", labels, temperature=0.2)([texts])
    torch.testing.assert_close((pairs * outcome.losses).sum() / pairs.sum(), expected)


def test_sup_con_of_pytorch_metric_learning():
    """A text without a positive is left out of the mean, there and here."""
    labels, (texts,) = [0, 0, 0, 1, 1, 2], vectors(6)
    objective = Composition(criterion=Softmax(others=True), logits=(Temperature(temperature=0.2),))
    found = parse(str(objective))(texts, texts, by_label(labels))
    torch.testing.assert_close(found, metric_learning("SupConLoss", labels, temperature=0.2)([texts]))


def test_sup_con_of_two_views_of_pytorch_metric_learning():
    labels = [0, 0, 1, 2]
    sides = vectors(4, 4)
    known = relation([[1 if one == other else None for other in labels] for one in labels])
    theirs = metric_learning("SupConLoss", labels * 2, temperature=0.2)
    objective = parse("SupCon(temperature=0.2)")
    check(lambda *both: objective(*both, known), lambda both: theirs([torch.cat(both)]), sides, 4)


def test_multiple_instances_as_their_authors_add_them_up():
    """Positives are in the denominator along the row and again along the columns."""
    size, bag = 4, 3
    anchors, candidates = vectors(size, size * bag)
    known = relation([[1 if j // bag == i else None for j in range(size * bag)] for i in range(size)])
    scores = (anchors @ candidates.T).view(size, size, bag)
    positive = torch.logsumexp(scores[torch.arange(size), torch.arange(size)], dim=1)
    both = torch.cat([scores, scores.transpose(0, 1)], dim=1).flatten(1)
    expected = (torch.logsumexp(both, dim=1) - positive).mean()
    torch.testing.assert_close(parse("BagInstance")(anchors, candidates, known), expected)


def test_n_pair_is_a_cross_entropy_on_dot_products():
    anchors, candidates = vectors(5, 5)
    found = parse("NPair(norm_penalty=0.0)")(anchors, candidates, diagonal(5))
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(anchors @ candidates.T, torch.arange(5)))


def test_label_smoothing_is_that_of_torch():
    anchors, candidates = vectors(5, 7)
    objective = parse("Composition(criterion=Softmax(smoothing=0.1), logits=[Temperature(temperature=0.1)])")
    logits = normalize(anchors, dim=1) @ normalize(candidates, dim=1).T / 0.1
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(5), label_smoothing=0.1)
    torch.testing.assert_close(objective(anchors, candidates, diagonal(5, 7)), expected)
