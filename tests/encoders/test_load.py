"""Opening models, and what is saved with them."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer

from nearfar.encoders.fingerprint import encoder_hash
from nearfar.encoders.load import load
from nearfar.encoders.locate import locate
from nearfar.encoders.protocol import Role, TorchEncoder
from nearfar.errors import ConfigError
from tests.encoders.models import STATIC, TINY, opened

VOCABULARY = 30_522
TEXTS = ["a cat sat on the mat", "dogs", "what is a very long question about something else entirely"]


def table(encoder):
    return encoder.model[0].embedding.weight.detach()


def test_random_static_vectors_come_from_the_seed():
    first, second, other = (load(STATIC, seed=seed, device="cpu") for seed in (3, 3, 4))
    assert torch.equal(table(first), table(second))
    assert not torch.equal(table(first), table(other))
    assert table(first).shape == (VOCABULARY, 16)
    assert table(first).std().item() == pytest.approx(1 / 4, rel=0.01)


def test_loading_leaves_the_global_generator_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    load(STATIC, seed=3, device="cpu")
    load(TINY, seed=3, device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_that_a_folder_lacks_come_from_the_seed():
    first, second, other = (load(TINY, seed=seed, device="cpu") for seed in (0, 0, 1))
    assert encoder_hash(first) == encoder_hash(second)
    assert encoder_hash(first) != encoder_hash(other)  # its pooler is missing, and not used


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_given_static_vectors(tmp_path, kind):
    vectors = np.random.default_rng(0).normal(size=(VOCABULARY + 3, 5)).astype(np.float32)
    path = tmp_path / f"vectors.{kind}"
    if kind == "npy":
        np.save(path, vectors.astype(np.float64))
    else:
        save_file({"anything": torch.from_numpy(vectors), "scale": torch.ones(3)}, path)
    encoder = load(f"static:{TINY}?vectors={path}", device="cpu")
    ids = encoder.model.tokenizer.encode("a cat", add_special_tokens=False).ids
    np.testing.assert_allclose(encoder.encode_queries(["a cat"])[0], vectors[ids].mean(0), atol=1e-6)


def test_static_vectors_that_do_not_fit(tmp_path):
    small, many, broken = tmp_path / "small.npy", tmp_path / "many.safetensors", tmp_path / "broken.npy"
    np.save(small, np.ones((7, 4), dtype=np.float32))
    save_file({"a": torch.ones(2, 2), "b": torch.ones(2, 2)}, many)
    broken.write_bytes(b"no array")
    flat = tmp_path / "flat.npy"
    np.save(flat, np.ones(7))
    words = tmp_path / "words.npy"
    np.save(words, np.array([["a", "b"]]))
    for path, message in (
        (small, f"the tokenizer has {VOCABULARY} tokens, .*small.npy has 7 vectors"),
        (many, "must hold one matrix of token vectors, it holds 2"),
        (flat, "must hold one matrix of token vectors, it holds 0"),
        (broken, "Cannot read token vectors from .*broken.npy .* Give .npy or .safetensors"),
        (words, "Cannot read token vectors from .*words.npy"),
    ):
        with pytest.raises(ConfigError, match=message):
            load(f"static:{TINY}?vectors={path}", device="cpu")


def test_a_tokenizer_that_is_none(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cannot read the tokenizer .*tokenizer.json \("):
        load(f"static:{tmp_path}?dim=4", device="cpu")


@pytest.mark.parametrize("name", [TINY, STATIC])
def test_what_is_saved_opens_with_sentence_transformers_alone(tmp_path, name):
    prompts = {"query": "find: ", "document": "text: "}
    encoder = load(name, prompts=prompts, similarity="dot", device="cpu")
    encoder.save(tmp_path / "model")
    plain = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert plain.prompts == prompts
    assert plain.similarity_fn_name == "dot"
    for ours, theirs in (
        (encoder.encode_queries, plain.encode_query),
        (encoder.encode_documents, plain.encode_document),
    ):
        np.testing.assert_allclose(ours(TEXTS), theirs(TEXTS, show_progress_bar=False), atol=1e-5)
    again = load(str(tmp_path / "model"), device="cpu")
    assert again.similarity == "dot"
    assert [again.prompt(role) for role in Role] == ["find: ", "text: "]
    np.testing.assert_allclose(again.encode_queries(TEXTS), encoder.encode_queries(TEXTS), atol=1e-6)


def test_the_longest_text_is_saved(tmp_path):
    encoder = load(TINY, max_length=8, device="cpu")
    encoder.save(tmp_path / "model")
    plain = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert plain.max_seq_length == 8
    assert encoder.lengths(TEXTS, Role.QUERY) == [8, 3, 8]
    assert encoder.features(TEXTS, Role.QUERY)["input_ids"].shape == (3, 8)
    np.testing.assert_allclose(
        encoder.encode_queries(TEXTS), plain.encode_query(TEXTS, show_progress_bar=False), atol=1e-5
    )


def test_lengths_count_the_prompt():
    plain, prompted = opened(TINY), load(TINY, prompts={"query": "a b c "}, device="cpu")
    assert [length + 3 for length in plain.lengths(TEXTS, Role.QUERY)] == prompted.lengths(TEXTS, Role.QUERY)
    assert plain.lengths(TEXTS, Role.DOCUMENT) == prompted.lengths(TEXTS, Role.DOCUMENT)
    assert plain.lengths([], Role.QUERY) == []
    assert all(length > 0 for length in opened(STATIC).lengths(["", "abc"], Role.QUERY))


def test_two_sides_are_one_way_when_they_are_treated_alike():
    assert opened(TINY).way(Role.QUERY) == opened(TINY).way(Role.DOCUMENT)
    prompted = load(STATIC, prompts={"query": "q: "}, device="cpu")
    assert prompted.way(Role.QUERY) != prompted.way(Role.DOCUMENT)


def test_prompts_of_the_model_are_used_as_sentence_transformers_uses_them(tmp_path):
    opened(STATIC).save(tmp_path / "model")
    path = tmp_path / "model" / "config_sentence_transformers.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    for prompts, default in (
        ({"passage": "p: "}, None),
        ({"corpus": "c: "}, None),
        ({"other": "o: "}, "other"),
        ({"document": "", "passage": "p: "}, None),
        ({}, None),
    ):
        path.write_text(json.dumps({**settings, "prompts": prompts, "default_prompt_name": default}), encoding="utf-8")
        encoder = load(str(tmp_path / "model"), device="cpu")
        plain = SentenceTransformer(str(tmp_path / "model"), device="cpu")
        for ours, theirs in (
            (encoder.encode_queries, plain.encode_query),
            (encoder.encode_documents, plain.encode_document),
        ):
            np.testing.assert_allclose(ours(TEXTS), theirs(TEXTS, show_progress_bar=False), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            TINY,
            {"prompts": {"querry": "q: "}},
            r"Prompts are set for 'query' and 'document', got 'querry'. Did you mean 'query'",
        ),
        (STATIC, {"prompts": {"passage": "p: "}}, "Prompts are set for 'query' and 'document', got 'passage'"),
        (STATIC, {"max_length": 8}, "max_length cannot be set: a StaticEmbedding model takes texts of any length"),
        (STATIC, {"device": "gpu"}, "Cannot use the device 'gpu'.*Try cpu, cuda"),
        (TINY, {"device": "nonsense:0"}, "Cannot use the device 'nonsense:0'"),
    ],
)
def test_options_that_are_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        load(name, **options)


def test_a_model_that_compares_otherwise_is_refused(tmp_path):
    opened(STATIC).save(tmp_path / "model")
    path = tmp_path / "model" / "config_sentence_transformers.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**settings, "similarity_fn_name": "euclidean"}), encoding="utf-8")
    with pytest.raises(ConfigError, match="compares vectors by cosine or dot product; the model asks for 'euclidean'"):
        load(str(tmp_path / "model"), device="cpu")
    assert load(str(tmp_path / "model"), device="cpu", similarity="cosine").similarity == "cosine"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"not weights"),
        ("model.safetensors", None),
        ("config.json", b"{broken"),
        ("config.json", b'{"model_type": "no-such-type"}'),
        ("tokenizer.json", b"{}"),
    ],
)
def test_a_damaged_folder_is_an_error_of_ours(tmp_path, file, content):
    folder = tmp_path / "model"
    shutil.copytree(locate(TINY).folder, folder)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)
    with pytest.raises(ConfigError, match=f"Cannot open the model {folder}: ."):
        load(str(folder), device="cpu")


def test_loading_and_saving_say_nothing(tmp_path, capfd):
    load(TINY, device="cpu").save(tmp_path / "model")
    found = capfd.readouterr()
    assert (found.out, found.err) == ("", "")


def test_an_encoder_is_a_module_and_an_encoder():
    from nearfar.encoders.protocol import Encoder

    encoder = opened(STATIC)
    assert isinstance(encoder, TorchEncoder)
    assert isinstance(encoder, Encoder)
    assert encoder.device == torch.device("cpu")
    assert encoder.similarity == "cosine"


def test_weights_saved_in_half_precision_are_opened_in_full(tmp_path):
    half = load("package:cognition/model").model.bfloat16()
    half.save_pretrained(str(tmp_path / "half"), create_model_card=False)
    assert {weight.dtype for weight in load(str(tmp_path / "half")).parameters()} == {torch.float32}
