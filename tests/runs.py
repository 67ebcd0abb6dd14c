"""Small runs for the tests of the jobs: a language of two dialects, a static model, and the command line."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

ASK = [f"{stem}{ending}" for stem in ("bo", "ca", "du", "fe", "gi") for ending in ("rak", "lim", "sot")]
SAY = [f"{stem}{ending}" for stem in ("ha", "je", "ki", "lo", "mu") for ending in ("ven", "zop", "tir")]
"""Words of queries and words of documents; a word and its translation have the same place."""

FAST = ("training.epochs=4", "dev.evaluations=4", "batches.size=32", "evaluation.resamples=200")
SETTINGS = tuple(itertools.chain.from_iterable(("--set", setting) for setting in FAST))


def sentences(count=300):
    """Pairs (query, document) of three words and their three translations."""
    places = itertools.islice(
        (
            (first, second, (first * 7 + second * 3) % len(ASK))
            for first in range(len(ASK))
            for second in range(len(ASK))
        ),
        count,
    )
    yield from (
        ("how to " + " ".join(ASK[place] for place in three), " ".join(SAY[place] for place in three) + " done")
        for three in places
    )
    for first, second in itertools.islice(itertools.permutations(range(len(ASK)), 2), max(0, count - len(ASK) ** 2)):
        yield f"where {ASK[first]} of {ASK[second]}", f"{SAY[first]} from {SAY[second]}"


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_pairs(path, count=300):
    return write_lines(path, ({"query": query, "positive": document} for query, document in sentences(count)))


def write_tokenizer(path):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[UNK]", "[PAD]", "how", "to", "done", "where", "of", "from", *ASK, *SAY]
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(path))
    return path


def write_bert(folder, dropout=0.1):
    """A transformer of two layers with dropout, over the words of ``write_tokenizer``."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder.mkdir(parents=True)
    file = write_tokenizer(folder / "words.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file), unk_token="[UNK]", pad_token="[PAD]")
    tokenizer.model_max_length = 32
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"))
    pooling = Pooling(transformer.get_embedding_dimension())
    model = SentenceTransformer(modules=[transformer, pooling], device="cpu")
    model.save_pretrained(str(folder / "model"), create_model_card=False)
    return folder / "model"


def static(tokenizer, dim=32):
    return f"static:{tokenizer}?dim={dim}"


def nearfar(*arguments):
    """Run a command line in this process; gives its exit code."""
    from nearfar.cli.main import _run  # not above: the first that is imported here must not be nearfar

    return _run([str(argument) for argument in arguments])


def refused(capsys, *arguments, lines=3):
    """The one message, of a few lines, of a command line that must be refused."""
    capsys.readouterr()
    assert nearfar(*arguments) == 2
    shown = capsys.readouterr()
    message = shown.err.strip()
    assert shown.out == ""
    assert message.startswith("nearfar: ")
    assert "Traceback" not in message
    assert len(message.splitlines()) <= lines
    return message


def process(*arguments, start=(sys.executable, "-m", "nearfar")):
    """Start a command line in a process of its own."""
    return subprocess.Popen(
        [*map(str, (*start, *arguments))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
    )


def contents(folder):
    """What a folder holds: a hash for each file."""
    return {
        str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def record(run):
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def scores(run):
    return json.loads((run / "evaluation" / "scores.json").read_text(encoding="utf-8"))


def curve(run):
    lines = (run / "training.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if "step" in entry]
