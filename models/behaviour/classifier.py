"""Human or machine by behaviour alone: a calibrated logistic regression over the features, as plain numbers.

It abstains where there is too little behind the features, or where it is not confident.
Source: Platt, "Probabilistic outputs for support vector machines" (1999), for the calibration.
"""

from __future__ import annotations

from math import exp
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from models.behaviour.features import FEATURES, is_enough, vector
from models.behaviour.habits import Habits

MAX_CONTRIBUTORS: Final = 3
LEARNED_TIER: Final = 4


class Regression(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A weight for each standardised feature, and the calibration of their sum."""

    means: list[float]
    scales: list[float]
    weights: list[float]
    bias: float
    slope: float  # probability = 1 / (1 + exp(-(slope * sum + offset)))
    offset: float
    max_spreads: float  # of a standardised feature: none counts for more, however far off it lies
    min_confidence: float  # it abstains unless the probability is this far, or further, on either side


class Contributor(NamedTuple):
    """One feature's part in an opinion."""

    what: str
    value: float
    unit: str
    part: float  # of the sum


class Opinion(NamedTuple):
    """What the model says of one entity."""

    probability: float  # that it is a person
    side: Literal["human", "workload"] | None  # None where it abstains
    contributors: list[Contributor]  # what speaks most for it, the weightiest first


def opinion(model: Regression, habits: Habits) -> Opinion | None:
    """Judge habits; None where there is too little to judge by."""
    if not is_enough(habits):
        return None
    values = vector(habits)
    far = model.max_spreads
    parts = [
        weight * min(max((value - mean) / scale, -far), far)
        for weight, value, mean, scale in zip(model.weights, values, model.means, model.scales, strict=True)
    ]
    probability = _logistic(model.slope * (sum(parts) + model.bias) + model.offset)
    is_sure = max(probability, 1 - probability) >= model.min_confidence
    is_human = probability >= 0.5
    contributors = [
        Contributor(feature.what, value, feature.unit, part)
        for feature, value, part in zip(FEATURES, values, parts, strict=True)
    ]
    contributors.sort(key=lambda each: (-each.part if is_human else each.part, each.what))
    side: Literal["human", "workload"] = "human" if is_human else "workload"
    return Opinion(probability, side if is_sure else None, contributors[:MAX_CONTRIBUTORS])


def _logistic(total: float) -> float:
    if total < 0:
        grown = exp(max(total, -700))
        return grown / (1 + grown)
    return 1 / (1 + exp(-total))
