"""Hard negatives among the candidates."""

from dataclasses import replace

import pytest
import torch

from nearfar.errors import ConfigError
from nearfar.objectives.masking.beside import HardBeside
from nearfar.objectives.memory import Memory
from nearfar.types import Origin
from tests.objectives.relations import relation
from tests.oracles.cases import scored

ORIGINS = [Origin.IN_BATCH, Origin.IN_BATCH, Origin.HARD, Origin.HARD]
KNOWN = relation([[1, None, 0, None], [None, 1, None, 0]], origins=ORIGINS)


@pytest.mark.parametrize(
    ("keep", "left"),
    [
        ("others", [[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]),
        ("nobody", [[0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]),
    ],
)
def test_whom_a_candidate_meets(keep, left):
    strangers = ~torch.eye(4, dtype=torch.bool)
    problem = replace(scored(torch.zeros(2, 4), KNOWN), among_candidates=strangers)
    found = HardBeside(keep=keep).apply(problem, Memory({}))
    assert found.among_candidates.int().tolist() == left
    assert torch.equal(found.valid, problem.valid)


def test_without_candidates_among_themselves_there_is_nothing_to_do():
    problem = scored(torch.zeros(2, 4), KNOWN)
    assert HardBeside().apply(problem, Memory({})) is problem


@pytest.mark.usefixtures("without_annotation_checks")
def test_what_is_refused():
    with pytest.raises(ConfigError, match="HardBeside: keep must be others or nobody, got 'all'"):
        HardBeside(keep="all")
