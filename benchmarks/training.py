"""Training speed beside sentence-transformers: the same pairs, model, batch and optimiser, interleaved in one run.

    python benchmarks/training.py [--json] [--rounds 8]

Both sides tokenise, embed with the model's dropout, compute a symmetric in-batch softmax loss, and make a step of the
Trainer's optimiser, fused AdamW, on the demo's pairs of docstrings and functions with MiniLM, 64 pairs of at most 128
tokens. ``speed_ratio_equal`` compares at float32, ``speed_ratio_default`` gives ours its default precision, and
``speed_ratio_bfloat16`` gives it to both; they are medians over rounds of ours divided by theirs. ``loss_gap`` is the
largest difference of the two losses without dropout.
"""

import argparse
import json
import statistics
import time
from itertools import islice

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

from nearfar.batches.collate import PairCollator
from nearfar.batches.sample import RandomBatches
from nearfar.data.load import from_records
from nearfar.data.tables import TRAIN
from nearfar.encoders.load import load
from nearfar.encoders.locate import locate
from nearfar.engine.embed import resolve_precision
from nearfar.engine.microbatch import token_budget
from nearfar.engine.step import Step, prepare_step
from nearfar.events import Silent
from nearfar.objectives import parse
from nearfar.recipes.demo import MODEL, collect
from nearfar.types import Batch

BATCH, LENGTH = 64, 128


def pairs() -> PairCollator:
    """The demo's training pairs."""
    rows = [{"query": it.sentence, "positive": it.code, "split": TRAIN} for it in collect(Silent())[TRAIN]]
    return PairCollator(from_records(rows), TRAIN, hard_negatives=0, seed=0)


class Ours:
    """A step of nearfar."""

    def __init__(self, precision: str) -> None:
        self.encoder = load(MODEL, max_length=LENGTH)
        self.step = Step(self.encoder, parse("InfoNCE(temperature=0.05, directions=symmetric)"), precision)
        self.budget = token_budget(None, self.encoder)
        self.optimiser = torch.optim.AdamW(self.step.parameters(), lr=1e-6, fused=True)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Tokenise, embed, compare."""
        loss: torch.Tensor = self.step(prepare_step(self.encoder, batch, self.budget))
        return loss


class Theirs:
    """A step of sentence-transformers with its loss for pairs, both directions."""

    def __init__(self, precision: str = "float32") -> None:
        self.precision = precision
        self.step = SentenceTransformer(str(locate(MODEL).folder), device="cpu")
        self.step.max_seq_length = LENGTH
        self.objective = MultipleNegativesRankingLoss(
            self.step, scale=20.0, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
        )
        self.optimiser = torch.optim.AdamW(self.step.parameters(), lr=1e-6, fused=True)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Tokenise, embed, compare."""
        features = [self.step.preprocess(texts) for texts in (batch.anchors, batch.candidates)]
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16"):
            loss: torch.Tensor = self.objective(features, torch.arange(len(batch.anchors)))
        return loss


def seconds(side: Ours | Theirs, batch: Batch) -> float:
    """The time of one optimiser step."""
    start = time.perf_counter()
    side.loss(batch).backward()
    side.optimiser.step()
    side.optimiser.zero_grad()
    return time.perf_counter() - start


def loss_gap(ours: Ours, theirs: Theirs, batches: list[Batch]) -> float:
    """The largest difference of the losses with dropout off, before any step."""
    with torch.no_grad():
        for side in (ours, theirs):
            side.step.eval()
        gaps = [abs(float(ours.loss(batch) - theirs.loss(batch))) for batch in batches]
    return max(gaps)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    collator = pairs()
    batches = [collator(keys) for keys in islice(RandomBatches(len(collator), BATCH, 0), options.rounds + 1)]
    precision = resolve_precision("auto", torch.device("cpu"))
    sides: dict[str, Ours | Theirs] = {
        "theirs": Theirs(),
        "equal": Ours("float32"),
        "default": Ours(precision),
    }
    if precision != "float32":
        sides[f"theirs in {precision}"] = Theirs(precision)
    gap = loss_gap(sides["equal"], sides["theirs"], batches[:2])
    for side in sides.values():
        side.step.train()
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for round_number, batch in enumerate(batches):
        for name, side in sides.items():
            elapsed = seconds(side, batch)
            if round_number:  # the first round warms up
                taken[name].append(elapsed)
        if round_number:
            speeds = "  ".join(f"{name} {BATCH / taken[name][-1]:.1f}" for name in sides)
            print(f"round {round_number}: pairs a second: {speeds}", flush=True)

    def ratio(theirs: str, ours: str) -> float:
        return statistics.median(one / other for one, other in zip(taken[theirs], taken[ours], strict=True))

    found = {
        "speed_ratio_equal": ratio("theirs", "equal"),
        "speed_ratio_default": ratio("theirs", "default"),
        "loss_gap": gap,
    }
    if precision != "float32":
        found[f"speed_ratio_{precision}"] = ratio(f"theirs in {precision}", "default")
    print(json.dumps(found) if options.json else "\n".join(f"{name}: {value:.4g}" for name, value in found.items()))


if __name__ == "__main__":
    main()
