import numpy as np
import pytest

from nearfar.errors import DataError
from nearfar.statistics.values import same_queries


def test_values_come_in_one_order():
    queries, values = same_queries({"old": {"q2": 0.5, "q1": 1.0}, "new": {"q1": 0.0, "q2": 0.25}})
    assert queries == ("q1", "q2")
    assert list(values) == ["old", "new"]
    assert values["old"].tolist() == [1.0, 0.5]
    assert values["new"].tolist() == [0.0, 0.25]
    assert values["new"].dtype == np.float64


def test_different_queries_are_refused_with_the_difference():
    old = {f"q{number}": 0.5 for number in range(9)}
    new = {"q0": 0.5, "q1": 0.5, "extra": 1.0}
    with pytest.raises(DataError, match="'old' and 'new' were measured on different queries") as refused:
        same_queries({"old": old, "new": new})
    assert "only 'old' has 7 (q2, q3, q4, q5, q6, ... (2 more)); only 'new' has 1 (extra)" in str(refused.value)
    with pytest.raises(DataError, match=r"only 'old' has 0; only 'new' has 1 \(b\)"):
        same_queries({"old": {"a": 1.0}, "same": {"a": 1.0}, "new": {"a": 1.0, "b": 1.0}})


def test_nothing_and_values_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match="no system"):
        same_queries({})
    with pytest.raises(DataError, match="at least one query"):
        same_queries({"old": {}, "new": {}})
    with pytest.raises(DataError, match="'new' has others at the queries b, c"):
        same_queries({"old": dict.fromkeys("abc", 0.0), "new": {"a": 0.0, "b": float("nan"), "c": float("inf")}})
