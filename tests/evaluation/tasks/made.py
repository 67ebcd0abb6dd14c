"""Encoders and settings for the tests of tasks: the vector of each text is given."""

import numpy as np

from nearfar.data.load import from_records
from nearfar.evaluation.tasks.setting import Embedded, Setting, default_split


class Given:
    """An encoder that knows the vector of each text; documents may have others than queries."""

    def __init__(self, vectors, documents=None, similarity="cosine"):
        self.vectors, self.document_vectors, self.similarity = vectors, documents or vectors, similarity
        self.asked = []

    def encode_queries(self, texts, sink=None):
        self.asked += texts
        return np.stack([self.vectors[text] for text in texts]).astype(np.float32)

    def encode_documents(self, texts, sink=None):
        return np.stack([self.document_vectors[text] for text in texts]).astype(np.float32)


def setting(records, encoder, split=None, resamples=200, **options):
    """A setting on rows in memory."""
    dataset = from_records(records)
    return Setting(
        dataset=dataset,
        split=default_split(dataset) if split is None else split,
        embedded=Embedded(encoder=encoder),
        resamples=resamples,
        **options,
    )


def random_vectors(texts, dim=8, seed=0):
    """A random vector for each distinct text."""
    distinct = list(dict.fromkeys(texts))
    return dict(zip(distinct, np.random.default_rng(seed).normal(size=(len(distinct), dim)), strict=True))


def labelled_records(sizes, seed=0, dim=16, spread=0.6):
    """Rows of ``{text, label, split}`` and vectors around a centre for each label; ``sizes`` is {split: per label}."""
    generator = np.random.default_rng(seed)
    records, vectors = [], {}
    labels = 6
    centres = generator.normal(size=(labels, dim))
    for split, size in sizes.items():
        for label in range(labels):
            for number in range(size):
                text = f"{split} text {number} of label {label}"
                records.append({"text": text, "label": f"label {label}", "split": split})
                vectors[text] = centres[label] + spread * generator.normal(size=dim) * 2
    return records, vectors
