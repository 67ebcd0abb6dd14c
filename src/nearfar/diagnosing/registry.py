"""Every cause that is looked for, those that explain others first."""

from nearfar.diagnosing.cause import Cause
from nearfar.diagnosing.causes import (
    broken,
    collapse,
    false_negatives,
    few_negatives,
    leak,
    length,
    overfitting,
    prompts,
    rate,
    temperature,
)

CAUSES: tuple[Cause, ...] = (
    broken.CAUSE,
    collapse.CAUSE,
    leak.CAUSE,
    false_negatives.CAUSE,
    length.CAUSE,
    prompts.CAUSE,
    temperature.CAUSE,
    few_negatives.CAUSE,
    rate.CAUSE,
    overfitting.CAUSE,
)
