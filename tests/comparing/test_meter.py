import torch

from nearfar.comparing.meter import counted, memory_watched, timed
from nearfar.encoders.load import load
from nearfar.encoders.protocol import Role
from tests import runs


def test_what_goes_through_in_training_is_counted(tmp_path):
    encoder = load(runs.static(runs.write_tokenizer(tmp_path / "tokenizer.json")), device="cpu")
    texts = ["how to borak", "where bolim of casot lim"]
    with counted(encoder) as passed:
        encoder.eval()
        encoder(encoder.features(texts, Role.QUERY))
        assert (passed.texts, passed.tokens) == (0, 0)
        encoder.train()
        encoder(encoder.features(texts, Role.QUERY))
        encoder(encoder.features(texts[:1], Role.DOCUMENT))
    encoder(encoder.features(texts, Role.QUERY))
    assert (passed.texts, passed.tokens) == (3, 3 + 5 + 3)


def test_memory_and_time():
    with timed() as spent, memory_watched() as peak:
        before = peak()
        filled = torch.ones(16 << 20, dtype=torch.uint8)
        grown = peak()
    assert spent.seconds > 0 < spent.cpu_seconds
    assert filled.sum() > 0
    assert (before is None) == (grown is None)
    assert before is None or grown - before > 12 << 20
