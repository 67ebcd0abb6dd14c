"""One training step with far more texts than fit into memory, beside sentence-transformers' cached loss.

    python benchmarks/large_step.py [--json] [--pairs 4096] [--at-once 4096] [--peer-pairs 256]

MiniLM with its dropout, texts of 128 tokens, symmetric InfoNCE over all pairs of the step. ``peak_gb`` is the peak of
the whole process, in units of 10^9 bytes, ``seconds`` the time of the step, at the default precision. ``speed_ratio``
is our pairs a second over theirs in a step of ``--peer-pairs``, both at float32 and with as many tokens in a pass, the
median of interleaved rounds; there both embed every text twice.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss

from nearfar.encoders.load import load
from nearfar.encoders.locate import locate
from nearfar.engine import Step, prepare_step
from nearfar.engine.budget import Budget
from nearfar.engine.embed import resolve_precision
from nearfar.objectives import parse
from nearfar.recipes.demo import MODEL
from nearfar.types import Batch, Relation

LENGTH, IN_A_PASS = 128, 2048
OBJECTIVE = "InfoNCE(temperature=0.05, directions=symmetric)"
WORDS = ("time", "person", "year", "way", "day", "thing", "man", "world", "life", "hand", "part", "child", "eye")


def batch(pairs: int) -> Batch:
    """Texts that are cut at ``LENGTH`` tokens, all different."""
    texts = [
        f"{number} " + " ".join(WORDS[(number + place * (1 + number % 5)) % len(WORDS)] for place in range(LENGTH))
        for number in range(2 * pairs)
    ]
    place, none = torch.arange(pairs), torch.zeros(0, dtype=torch.int64)
    relation = Relation(
        anchor_ids=place,
        candidate_ids=place + pairs,
        rows=place,
        columns=place,
        grades=torch.ones(pairs),
        origins=torch.zeros(pairs, dtype=torch.int64),
        ignored_rows=none,
        ignored_columns=none,
    )
    return Batch(texts[:pairs], texts[pairs:], relation)


class Ours:
    """A step of nearfar."""

    def __init__(self, at_once: int, precision: str = "float32") -> None:
        self.encoder = load(MODEL, max_length=LENGTH)
        self.budget = Budget(tokens=at_once)
        self.step = Step(self.encoder, parse(OBJECTIVE), precision, self.budget).train()

    def run(self, batch: Batch) -> float:
        """Loss and gradients; gives the seconds."""
        start = time.perf_counter()
        self.step(prepare_step(self.encoder, batch, IN_A_PASS, self.budget)).backward()
        self.step.zero_grad()
        return time.perf_counter() - start


class Theirs:
    """A step of sentence-transformers with its cached loss."""

    def __init__(self) -> None:
        self.model = SentenceTransformer(str(locate(MODEL).folder), device="cpu")
        self.model.max_seq_length = LENGTH
        self.model.train()
        self.objective = CachedMultipleNegativesRankingLoss(
            self.model,
            scale=20.0,
            mini_batch_size=IN_A_PASS // LENGTH,
            directions=("query_to_doc", "doc_to_query"),
            partition_mode="per_direction",
        )

    def run(self, batch: Batch) -> float:
        """Loss and gradients; gives the seconds."""
        start = time.perf_counter()
        features = [self.model.preprocess(texts) for texts in (batch.anchors, batch.candidates)]
        self.objective(features, torch.arange(len(batch.anchors))).backward()
        self.model.zero_grad()
        return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--pairs", type=int, default=4096)
    parser.add_argument("--at-once", type=int, default=4096)
    parser.add_argument("--peer-pairs", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    # The large step comes first: the peak is that of the whole process, and only grows.
    ours = Ours(options.at_once, resolve_precision("auto", torch.device("cpu")))
    ours.run(batch(16))
    found = {"seconds": ours.run(batch(options.pairs))}
    found["pairs_a_second"] = options.pairs / found["seconds"]
    found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print({name: round(value, 2) for name, value in found.items()}, flush=True)
    # A budget of one pass makes ours embed every text twice too.
    sides, small = {"ours": Ours(IN_A_PASS), "theirs": Theirs()}, batch(options.peer_pairs)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, side in sides.items():
            taken[name].append(side.run(small))
    ratios = [theirs / own for theirs, own in zip(taken["theirs"], taken["ours"], strict=True)]
    found["speed_ratio"] = statistics.median(ratios)
    print(json.dumps(found) if options.json else "\n".join(f"{name}: {value:.4g}" for name, value in found.items()))


if __name__ == "__main__":
    main()
