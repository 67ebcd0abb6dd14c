"""The page of a diagnosis, from what its file holds."""

from nearfar.reports.diagnosis import headline, number, range_of, render


def sign(**changes):
    content = {"name": "loss <b>", "value": 0.5, "usual": 0.0, "limit": 0.1, "low": 0.2, "high": 0.7, "strength": 2.0}
    content |= {"sentence": "It was half.", "numbers": {}, "examples": [], "excuse": "", "speaks": True}
    return content | changes


def cause(name, state="not found", *signs, **changes):
    content = {"cause": name, "title": f"The {name}", "state": state, "why": "", "behind": "", "signs": list(signs)}
    content |= {"measured": "How.", "limit": "Where from.", "advice": "Do this.", "page": f"page#{name}"}
    return content | changes


def page(*causes, changes=None, notes=()):
    return render({"run": {"name": "first"}, "notes": list(notes), "causes": list(causes), "changes": changes})


def test_a_named_cause_has_its_numbers_its_advice_and_its_texts():
    texts = [{"query": "who <script>", "answer": "me"}]
    made = page(
        cause("leak", "named", sign(examples=texts)),
        cause("rate", "named", sign(), behind="leak"),
        cause("length", "not measured", why="There is no data."),
        notes=["Not whole."],
    )
    assert "The leak, and 1 more." in made
    assert "0.2 to 0.7" in made
    assert "Probably a consequence of" in made
    assert "There is no data." in made
    assert "Not whole." in made
    assert "who &lt;script&gt;" in made
    assert "loss &lt;b&gt;" in made
    assert '"hovertext":["loss \\u003cb\\u003e: 0.5, named from 0.1"' in made


def test_an_excuse_is_told_where_it_counts():
    excused = sign(speaks=False, excuse="dev rose")
    assert "Not named all the same: dev rose." in page(cause("rate", "not found", excused))
    assert "dev rose" not in page(cause("rate", "not found", {**excused, "strength": 0.4}))


def test_what_changed():
    listed = [{"name": "batches.size", "before": 64, "now": None}]
    found = {"mean": -0.1, "low": -0.2, "high": -0.05, "n": 90}
    changes = {"run": "before", "settings": listed, "measurements": [], "measure": "nDCG@10", "difference": found}
    made = page(cause("rate"), changes=changes)
    assert "Against before" in made
    assert "batches.size" in made
    assert "No measurement differs." in made
    assert "nDCG@10 over 90 queries" in made
    assert "their scores are not compared" in page(cause("rate"), changes={**changes, "difference": None})


def test_words():
    assert headline([cause("rate")]) == "No cause of trouble was found in what could be measured."
    assert headline([cause("rate", "named", sign())]) == "The rate."
    assert [number(value) for value in (None, -0.12345, "InfoNCE", 12)] == ["\u2013", "\u22120.123", "InfoNCE", "12"]
    assert range_of(sign(low=None)) == ""
