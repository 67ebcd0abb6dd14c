"""Writes ``pairs.jsonl`` and ``tokenizer.json``: invented household advice from a small grammar.

A question and its answer name the task, and often the thing too, in different words, so that there is something to
learn that a search for equal words cannot know.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

FOLDER = Path(__file__).parent

THINGS = {
    "bicycle": "bike",
    "sofa": "couch",
    "jumper": "sweater",
    "kettle": "kettle",
    "window": "window",
    "carpet": "rug",
    "lamp": "lamp",
    "fridge": "refrigerator",
    "saucepan": "saucepan",
    "rucksack": "backpack",
    "mattress": "mattress",
    "raincoat": "waterproof jacket",
    "bookcase": "bookcase",
    "laptop": "portable computer",
    "trainers": "trainers",
    "tap": "faucet",
}

TASKS = {
    "How do I wash a {}?": "Use lukewarm water and mild soap on the {}, then leave it to dry.",
    "My {} is broken, what now?": "To repair a {}, find the worn part first and replace only that.",
    "Where should I keep a {} in winter?": "Store the {} in a dry place away from frost.",
    "How can I move a {} to a new flat?": "For transport, wrap the {} in blankets and carry it upright.",
    "What does a good {} cost?": "The price of a decent {} lies between forty and ninety coins.",
    "How do I get rid of an old {}?": "The recycling yard takes a discarded {} free of charge.",
    "How often must a {} be checked?": "An inspection of the {} twice a year is enough.",
    "Why does my {} smell?": "Bad odour in a {} comes from damp; air it and sprinkle baking soda.",
    "Can I paint my {}?": "Sand the {} lightly before you colour it with two thin coats.",
    "Which {} is best for children?": "For kids choose a light {} with rounded edges.",
    "Is it safe to leave a {} outside?": "Rain and sun damage a {} outdoors within a few months.",
    "How do I measure a {}?": "Take the length and the width of the {} with a tape at the widest point.",
    "Who can borrow my {}?": "Neighbours may lend a {} through the library of things.",
    "How loud is a {}?": "Noise of a {} should stay below forty decibels.",
    "How do I stop my {} from being stolen?": "Protect the {} against theft with a marked label and a lock.",
}


def pairs() -> list[dict[str, str]]:
    """Every thing with every task."""
    return [
        {"query": question.format(thing), "positive": answer.format(other)}
        for thing, other in THINGS.items()
        for question, answer in TASKS.items()
    ]


def tokenizer(texts: list[str]) -> Tokenizer:
    """One token for each word."""
    made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.train_from_iterator(texts, trainers.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False))
    return made


if __name__ == "__main__":
    rows = pairs()
    (FOLDER / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    tokenizer([text for row in rows for text in row.values()]).save(str(FOLDER / "tokenizer.json"))
