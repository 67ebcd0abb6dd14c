"""Any torch module as an encoder."""

import jaxtyping
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from nearfar.encoders.module import ModuleEncoder
from nearfar.encoders.protocol import Role
from nearfar.engine import Step, prepare_step
from nearfar.errors import ShapeError
from nearfar.objectives import InfoNCE
from nearfar.types import Batch
from tests.objectives.relations import diagonal


class Letters(nn.Module):
    """The sum of the vectors of a text's letters."""

    def __init__(self, dim=4):
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(128, dim, padding_idx=0)

    def forward(self, features):
        return self.table(features["letters"]).sum(1)


def letters(texts, role):
    width = max(len(text) for text in texts)
    shift = 1 if role is Role.QUERY else 0
    return {
        "letters": torch.tensor([[ord(c) % 120 + shift for c in text] + [0] * (width - len(text)) for text in texts])
    }


def test_it_encodes_each_side_its_way_and_in_order():
    encoder = ModuleEncoder(Letters(), letters, length=len, similarity="dot")
    encoder.inference_tokens = 4
    texts = ["abc", "z", "de", "abcd"]
    for role, encode in ((Role.QUERY, encoder.encode_queries), (Role.DOCUMENT, encoder.encode_documents)):
        expected = [encoder.module(letters([text], role))[0].tolist() for text in texts]
        np.testing.assert_allclose(encode(texts), expected, atol=1e-6)
    assert encoder.similarity == "dot"
    assert encoder.way(Role.QUERY) != encoder.way(Role.DOCUMENT)
    assert encoder.lengths(texts, Role.QUERY) == [3, 1, 2, 4]
    assert ModuleEncoder(Letters(), letters).lengths(["", "a" * 8], Role.QUERY) == [1, 3]


def test_it_trains():
    encoder = ModuleEncoder(Letters(), letters)
    step = Step(encoder, InfoNCE())
    batch = Batch(["ab", "cd"], ["xy", "vw"], diagonal(2))
    optimiser = torch.optim.SGD(step.parameters(), lr=0.1)
    before = step(prepare_step(encoder, batch, 3))
    before.backward()
    optimiser.step()
    assert step(prepare_step(encoder, batch, 3)) < before


def test_its_weights_are_saved(tmp_path):
    module = Letters()
    ModuleEncoder(module, letters).save(tmp_path / "a" / "b")
    assert torch.equal(load_file(tmp_path / "a" / "b" / "model.safetensors")["table.weight"], module.table.weight)


@pytest.mark.usefixtures("without_annotation_checks")
@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda vectors: vectors[0], r"Odd must return a \(text, dim\) tensor, got \(4,\)"),
        (lambda vectors: (vectors,), r"Odd must return a \(text, dim\) tensor, got tuple"),
        (lambda vectors: {"a": vectors}, "got dict"),
    ],
)
def test_a_module_that_returns_something_else(give, message):
    class Odd(Letters):
        def forward(self, features):
            return give(super().forward(features))

    with pytest.raises(ShapeError, match=message):
        ModuleEncoder(Odd(), letters).encode_queries(["ab"])
    assert jaxtyping.config.jaxtyping_disable
