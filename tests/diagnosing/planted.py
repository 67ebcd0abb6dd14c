"""Small runs with a failure planted: a language of concepts, each with a word to ask and two words to say it."""

import json
from unittest.mock import patch

import numpy as np
import pyarrow as pa

import nearfar

CONCEPTS = 40
WIDTH = 32
FILLERS = ("done", "now", "then", "well", "soon", "again")
FAST = ("training.epochs=4", "dev.evaluations=4", "batches.size=32", "evaluation.resamples=200")
_NO_MAP = pa.table({name: pa.array([], pa.string()) for name in ("kind", "text", "x", "y", "pair")})
_FUNCTION = ("how", "to", "please", "ask", "say")


def ask(concept):
    return f"ask{chr(97 + concept // 10)}{chr(97 + concept % 10)}"


def say(concept, way=0):
    return f"{('say', 'tell')[way]}{chr(97 + concept // 10)}{chr(97 + concept % 10)}"


def document(concepts, generator, fillers=1):
    """The concepts in words of either way, and some fillers."""
    words = [say(concept, int(generator.integers(2))) for concept in concepts]
    return " ".join([*words, *generator.choice(FILLERS, size=fillers)])


def query(concepts):
    return "how to " + " ".join(ask(concept) for concept in concepts)


def pairs(seed=0, train=320, dev=60, test=120):
    """Rows of split, concepts, query and positive: no two queries with the same concepts."""
    generator = np.random.default_rng(seed)
    seen, rows = set(), []
    for split, count in (("train", train), ("dev", dev), ("test", test)):
        while sum(row["split"] == split for row in rows) < count:
            concepts = tuple(sorted(generator.choice(CONCEPTS, 3, replace=False).tolist()))
            if concepts not in seen:
                seen.add(concepts)
                positive = document(concepts, generator)
                rows.append({"split": split, "concepts": concepts, "query": query(concepts), "positive": positive})
    return rows


def write(path, rows):
    names = ("split", "query", "positive", "negative")
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({name: row[name] for name in names if name in row}) for row in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def near(concepts, generator):
    """Two of three concepts and another one: a document that is hard to tell from the right one."""
    others = [concept for concept in range(CONCEPTS) if concept not in concepts]
    kept = generator.choice(concepts, 2, replace=False).tolist()
    return [*kept, int(generator.choice(others))]


def static(folder, offset=0.0):
    """A static model that knows which words mean the same, though not well.

    Args:
        folder: to write into.
        offset: what every word to ask has beside its meaning, and three times less the word "ask".
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    generator = np.random.default_rng(7)
    meanings = generator.normal(size=(CONCEPTS, WIDTH)) / WIDTH**0.5
    aside = generator.normal(size=WIDTH) / WIDTH**0.5
    vectors = {word: generator.normal(size=WIDTH) * 0.3 / WIDTH**0.5 for word in ("[UNK]", *FILLERS, *_FUNCTION)}
    for concept, meaning in enumerate(meanings):
        for word, more in ((ask(concept), offset), (say(concept), 0), (say(concept, 1), 0)):
            vectors[word] = meaning + 0.9 * generator.normal(size=WIDTH) / WIDTH**0.5 + more * aside
    vectors["ask"] = -3 * offset * aside
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(vectors)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    weights = torch.tensor(np.array(list(vectors.values())), dtype=torch.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    prompts = {"query": "ask ", "document": ""} if offset else {}
    SentenceTransformer(modules=[module], device="cpu", prompts=prompts).save_pretrained(
        str(folder), create_model_card=False
    )
    return folder


def train(folder, rows, *settings, model=None, seed=0):
    """A run on these rows; gives its folder."""
    data = write(folder / "pairs.jsonl", rows)
    base = model if model is not None else static(folder / "base")
    chosen = (*FAST, f"training.seed={seed}", *settings)
    with (
        patch("nearfar.training.job.space_map", lambda *arguments: _NO_MAP),  # most of the time of so small a run
        patch("nearfar.training.job.write_report"),
    ):
        nearfar.train(data, model=base, out=folder / "run", settings=chosen)
    return folder / "run"


def healthy(folder, seed=0):
    return train(folder, pairs(seed), seed=seed)


def healthy_hard(folder):
    """With judged negatives that are hard and right."""
    generator = np.random.default_rng(1)
    rows = pairs(1)
    for row in rows:
        if row["split"] == "train":
            row["negative"] = [document(near(row["concepts"], generator), generator) for _ in range(3)]
    return train(folder, rows)


def collapsed(folder):
    """An objective that only pulls together, at a rate that gets there."""
    return train(folder, pairs(), "objective=Alignment", "training.learning_rate=0.2", "dev.evaluations=1")


def false_negatives(folder, share=0.3):
    """Of the judged negatives, so many say the same as the positive in other words."""
    generator = np.random.default_rng(1)
    rows = pairs(1)
    for row in rows:
        if row["split"] == "train":
            row["negative"] = []
            for _ in range(3):
                concepts = row["concepts"] if generator.random() < share else near(row["concepts"], generator)
                row["negative"].append(document(concepts, generator))
    return train(folder, rows)


def leaked(folder, share=0.4):
    """Some test queries are in train with their answers, one word longer."""
    rows = pairs()
    test = [row for row in rows if row["split"] == "test"]
    extra = [{**row, "split": "train", "query": row["query"] + " please"} for row in test[: int(share * len(test))]]
    return train(folder, [*rows, *extra])


def shortcut(folder):
    """In train answers are long and their negatives short; the answers to the test queries are short as well."""
    generator = np.random.default_rng(1)
    rows = pairs()
    for row in rows:
        if row["split"] == "train":
            row["positive"] = document(row["concepts"], generator, fillers=12)
            row["negative"] = [document(near(row["concepts"], generator), generator, fillers=0) for _ in range(4)]
        else:
            row["positive"] = document(row["concepts"], generator, fillers=int(generator.integers(3)))
    return train(folder, rows)


def wrong_prompt(folder):
    """The model's own prompt is left out of the run."""
    model = static(folder / "base", offset=2.0)
    return train(
        folder, pairs(), "model.prompts={query: '', document: ''}", "training.learning_rate=0.002", model=model
    )


def flat(folder):
    return train(folder, pairs(), "objective=InfoNCE(temperature=1.0, directions=symmetric)")
