import torch

from nearfar.encoders.dropout import set_dropout
from nearfar.encoders.load import load
from nearfar.encoders.protocol import Role


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_dropout = 0.1
        self.inner = torch.nn.Dropout(0.3)


def test_modules_and_attributes():
    module = torch.nn.Sequential(Attention(), torch.nn.Dropout(0.2), torch.nn.Linear(2, 2))
    set_dropout(module, 0.0)
    assert [module[0].attention_dropout, module[0].inner.p, module[1].p] == [0.0, 0.0, 0.0]


def test_a_transformer_without_dropout_is_the_same_in_training_and_in_use():
    encoder = load("package:cognition/model")
    features = encoder.features(["a text", "a longer text of several words"], Role.QUERY)
    encoder.train()
    set_dropout(encoder, 0.5)
    assert not torch.allclose(encoder(features), encoder(features))
    set_dropout(encoder, 0.0)
    trained = encoder(features)
    torch.testing.assert_close(trained, encoder.eval()(features), atol=1e-5, rtol=0)
