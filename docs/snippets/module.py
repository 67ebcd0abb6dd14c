import torch
from torch import nn

import nearfar
from nearfar.encoders.module import ModuleEncoder


class CharacterCounts(nn.Module):
    """Weighs how often each letter occurs."""

    def __init__(self):
        super().__init__()
        self.weights = nn.Linear(26, 32)

    def forward(self, features):
        return self.weights(features["counts"])


def tokenise(texts, role):
    letters = "abcdefghijklmnopqrstuvwxyz"
    return {"counts": torch.tensor([[float(text.lower().count(letter)) for letter in letters] for text in texts])}


encoder = ModuleEncoder(CharacterCounts(), tokenise)
result = nearfar.train("pairs.jsonl", model=encoder, out="runs/letters", settings=["training.learning_rate=0.01"])
print(result.scores["systems"]["tuned"])
