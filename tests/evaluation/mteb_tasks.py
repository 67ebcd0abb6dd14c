"""Tasks of mteb on rows in memory: no hub is asked."""

from datasets import Dataset, DatasetDict
from mteb.abstasks import (
    AbsTaskBitextMining,
    AbsTaskClassification,
    AbsTaskClustering,
    AbsTaskPairClassification,
    AbsTaskRetrieval,
    AbsTaskSTS,
)
from mteb.abstasks.task_metadata import TaskMetadata

KINDS = {
    "STS": (AbsTaskSTS, "cosine_spearman"),
    "PairClassification": (AbsTaskPairClassification, "max_ap"),
    "Classification": (AbsTaskClassification, "accuracy"),
    "Clustering": (AbsTaskClustering, "v_measure"),
    "BitextMining": (AbsTaskBitextMining, "f1"),
    "Retrieval": (AbsTaskRetrieval, "ndcg_at_10"),
}


def metadata(kind, subsets, splits):
    langs = ["eng-Latn"] if subsets == ["default"] else {subset: ["eng-Latn"] for subset in subsets}
    return TaskMetadata(
        name=f"Local{kind}",
        description="Rows in memory.",
        type=kind,
        eval_langs=langs,
        eval_splits=splits,
        main_score=KINDS[kind][1],
        dataset={"path": "local/none", "revision": "1"},
    )


def local_task(kind, rows, **attributes):
    """A task on ``{split: rows}``, or on ``{subset: {split: rows}}``; for retrieval see ``retrieval_split``."""
    subsets = rows if kind != "Retrieval" and isinstance(next(iter(rows.values())), dict) else {"default": rows}
    splits = [split for split in next(iter(subsets.values())) if split != "train"]

    def load_data(self, **_):
        tables = {
            subset: (
                found
                if kind == "Retrieval"
                else DatasetDict({split: Dataset.from_list(listed) for split, listed in found.items()})
            )
            for subset, found in subsets.items()
        }
        one = kind != "Retrieval" and list(subsets) == ["default"]
        self.dataset, self.data_loaded = (tables["default"] if one else tables), True

    described = {"metadata": metadata(kind, list(subsets), splits), "load_data": load_data}
    return type(f"Local{kind}", (KINDS[kind][0],), {**described, **attributes})()


def retrieval_split(queries, documents, judged):
    """What a retrieval task holds for a split, from ``{id: text}`` twice and ``{query id: {document id: grade}}``."""
    return {
        "queries": Dataset.from_list([{"id": name, "text": text} for name, text in queries.items()]),
        "corpus": Dataset.from_list([{"id": name, "title": "", "text": text} for name, text in documents.items()]),
        "relevant_docs": judged,
        "top_ranked": None,
    }
