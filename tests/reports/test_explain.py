import json
import re

import pytest

from nearfar.errors import ResourceError
from nearfar.objectives import parse
from nearfar.objectives.explain import Curve
from nearfar.reports.explain import MARK, RunPairs, mathematics, notes, paragraphs, render, write_explanation

from .test_page import Elements
from .test_weight_figures import pairs

SEVERAL = [parse(text) for text in ("InfoNCE", "MarginMSE", "Alignment", "CLIP")]


@pytest.fixture(scope="module")
def page():
    run = RunPairs(name="<b>run", model="a model", batches=2, size=8, pairs={str(one): pairs() for one in SEVERAL})
    return render(SEVERAL, run, seeds=(0,))


def test_every_objective_has_what_is_known_about_it(page):
    elements = Elements(page)
    for part in (
        "What InfoNCE, MarginMSE, Alignment and CLIP do",
        "Softmax cross-entropy of each positive against the negatives of its row.",
        "Composition(criterion=Softmax(own=true), logits=[Temperature(temperature=0.05)])",
        "teacher , a teacher's score for each pair",
        "LearnedTemperature trains",
        "Representation Learning with Contrastive Predictive Coding",
        "arXiv 1807.03748",
        "divides the similarities; above 0.",
        "read in the paper or its code",
    ):
        assert part in elements.text
    assert page.count("<math ") == len(SEVERAL)
    headings = [int(tag[1]) for tag, _ in elements.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(headings, headings[1:], strict=False))  # noqa: RUF007


def test_figures(page):
    elements = Elements(page)
    named = [attributes["data-figure"] for _, attributes in elements.tags if "data-figure" in attributes]
    drawn = json.loads(re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)[1])
    assert set(named) == set(drawn)
    assert len(named) == 4 + 3 * len(SEVERAL)
    assert "NaN" not in json.dumps(drawn)
    alone = render(SEVERAL[:1], seeds=(0,))
    assert set(re.findall('data-figure="([^"]+)"', alone)) == {"positive-absolute", "negative-absolute"}
    assert 'name="scale"' not in alone
    assert 'id="run"' not in alone


def test_nothing_is_loaded_from_elsewhere_and_texts_stay_texts(page):
    elements = Elements(page)
    for tag, attributes in elements.tags:
        for name in ("src", "href", "action", "data", "srcset"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")) or (tag == "a" and value.startswith("https://arxiv.org/abs/"))
    policy = next(a["content"] for tag, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "In the batches of <b>run" in elements.text
    assert len(page) < 3_000_000


def test_curves_far_apart_are_shown_relative_at_first():
    far = render([parse("InfoNCE(temperature=0.01)"), parse("InfoNCE(temperature=1.0)")], seeds=(0,))
    near = render([parse("InfoNCE(temperature=0.1)"), parse("InfoNCE(temperature=0.08)")], seeds=(0,))
    assert 'id="as-relative" checked' in far
    assert 'id="as-absolute" checked' in near


def test_the_page_replaces_only_one_of_its_own(tmp_path):
    page, other = tmp_path / "sub" / "explain.html", tmp_path / "mine.html"
    assert write_explanation(SEVERAL[:1], page, seeds=(0,)) == page
    first = page.read_bytes()
    assert MARK.encode() in first
    write_explanation([*SEVERAL[:1], *SEVERAL[:1]], page, seeds=(0,))
    assert page.read_bytes() == first
    other.write_text("<html>mine</html>")
    with pytest.raises(ResourceError, match=r"mine\.html is there already and was not written by nearfar explain"):
        write_explanation(SEVERAL[:1], other, seeds=(0,))
    assert other.read_text() == "<html>mine</html>"
    with pytest.raises(ResourceError, match="is a folder"):
        write_explanation(SEVERAL[:1], tmp_path, seeds=(0,))


def test_equations_that_cannot_be_translated_are_code():
    assert mathematics("") == ""
    assert "<msub>" in mathematics("a_i")
    assert mathematics("a_b_c < 1") == "<pre><code>a_b_c &lt; 1</code></pre>"


def test_paragraphs_and_lists():
    assert paragraphs("One <b>\nmore `x < 1`.\n\n- first\n  line\n- second") == (
        "<p>One &lt;b&gt;\nmore <code>x &lt; 1</code>.</p><ul><li>first line</li><li>second</li></ul>"
    )
    assert paragraphs("") == ""


def test_notes_say_what_a_curve_hides():
    curve = Curve(name="x", similarity=(0.0, 1.0), positive=(1.0, None), negative=(0.0, 0.0), kind="path")
    told = " ".join(notes(curve))
    assert "along the way" in told
    assert "the negative that moves has no weight" in told
    assert "the positive that moves" not in told
