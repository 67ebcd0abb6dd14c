import mteb
from datasets import Dataset
from mteb.abstasks import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata

import nearfar
from nearfar.encoders.mteb import as_mteb

PAIRS = [
    {"sentence1": "fix a flat tire", "sentence2": "mend a flat tire", "score": 5},
    {"sentence1": "fix a flat tire", "sentence2": "paint a bike", "score": 1},
    {"sentence1": "plant a tree", "sentence2": "plant some trees", "score": 4},
    {"sentence1": "plant a tree", "sentence2": "fix a bike", "score": 0},
]


class Repairs(AbsTaskSTS):
    metadata = TaskMetadata(
        name="Repairs",
        description="Pairs of our own.",
        type="STS",
        eval_langs=["eng-Latn"],
        main_score="cosine_spearman",
        dataset={"path": "our/own", "revision": "1"},
    )

    def load_data(self, **_):
        self.dataset, self.data_loaded = {"test": Dataset.from_list(PAIRS)}, True


model = nearfar.load_model("static:tokenizer.json?dim=64")
for row in nearfar.evaluate(model, Repairs()).scores["results"]:  # mteb's task here
    print(f"{row['task']} {row['measure']} {row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})")

found = mteb.evaluate(as_mteb(model, name="mine"), Repairs(), cache=None, show_progress_bar=False)  # our model there
print(f"{found.model_name} {found.task_results[0].get_score():.2f}")
