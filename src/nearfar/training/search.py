"""Searching the documents of a finished run with the model before and after."""

import numpy as np

from nearfar.config.run import RunConfig
from nearfar.data.content import data_hash
from nearfar.data.tables import Dataset
from nearfar.encoders.fingerprint import encoder_hash
from nearfar.encoders.load import load
from nearfar.encoders.protocol import TorchEncoder
from nearfar.errors import ConfigError
from nearfar.evaluation.evaluate import BASE, TUNED
from nearfar.evaluation.retrieve import Corpus
from nearfar.retrieval.dense import search
from nearfar.training.folder import RunFolder
from nearfar.types import Hits


def search_run(folder: RunFolder, dataset: Dataset, options: RunConfig, query: str, k: int) -> dict[str, Hits]:
    """The best documents for one query by the base and the tuned model of a run; hits of one row.

    The document vectors are those that the run kept. The base model is opened by its name again.

    Raises:
        ConfigError: when data or base model are no longer what the run was made with.
    """
    record = folder.read_record()
    if data_hash(dataset) != record["data_hash"]:
        raise ConfigError(f"The data in {record['data']} has changed since the run in {folder.path}.")
    settings = options.model.model_dump(exclude={"adapter"})  # that is in the tuned model
    base = load(record["model"], **settings, seed=options.training.seed)
    if encoder_hash(base) != record["base_hash"]:
        raise ConfigError(f"The model {record['model']} has changed since the run in {folder.path}.")
    tuned = load(str(folder.model), device=options.model.device)
    corpus = Corpus.of(dataset)
    return {
        system: _search(encoder, system, folder, corpus, query, k) for system, encoder in ((BASE, base), (TUNED, tuned))
    }


def _search(encoder: TorchEncoder, system: str, folder: RunFolder, corpus: Corpus, query: str, k: int) -> Hits:
    documents = np.load(folder.evaluation / f"{system}.documents.npy", mmap_mode="r")
    vector = encoder.encode_queries([query])
    return corpus.on_table(
        search(vector, documents, min(k, len(documents)), tie_order=corpus.tie_order, similarity=encoder.similarity)
    )
