"""Human or machine by behaviour alone: a calibrated logistic model over the features, as plain numbers.

It is made by `rolehawk train` and read as JSON: nothing of scikit-learn is needed to score, and no pickle is ever
loaded. It abstains where there is too little behind the features, or where it is not confident.
Source: Platt, "Probabilistic outputs for support vector machines" (1999), for the calibration.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from math import exp
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from models.behaviour.features import FEATURES, is_enough, vector
from models.behaviour.habits import Habits

FORMAT: Final = 1
MAX_BYTES: Final = 1_048_576
MAX_CONTRIBUTORS: Final = 3
_NAMES: Final = [each.name for each in FEATURES]


class ModelError(ValueError):
    """A model that cannot be used: says what is wrong with it."""


class PeopleModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A logistic model: a weight for each standardised feature, then a calibration of the sum."""

    format: int
    made_by: str  # the version of rolehawk that trained it
    features: list[str]
    features_hash: str  # of names, units and ranges: another definition is another model
    data_hash: str  # of what it was trained on
    data: dict[str, Any]  # what that was, in words and numbers
    metrics: dict[str, float]  # on organisations left out of the training
    means: list[float]
    scales: list[float]
    weights: list[float]
    bias: float
    slope: float  # of the calibration: probability = 1 / (1 + exp(-(slope * sum + offset)))
    offset: float
    min_confidence: float  # it abstains unless the probability is this far, or further, on either side


class Opinion(NamedTuple):
    """What the model says of one entity."""

    probability: float  # that it is a person
    side: Literal["human", "workload"] | None  # None where it abstains
    contributors: list[tuple[str, float, float]]  # feature, its value, its part of the sum; the weightiest first


def opinion(model: PeopleModel, habits: Habits) -> Opinion | None:
    """Judge habits; None where there is too little to judge by."""
    if not is_enough(habits):
        return None
    values = vector(habits)
    parts = [
        weight * (value - mean) / scale
        for weight, value, mean, scale in zip(model.weights, values, model.means, model.scales, strict=True)
    ]
    probability = _logistic(model.slope * (sum(parts) + model.bias) + model.offset)
    is_sure = max(probability, 1 - probability) >= model.min_confidence
    is_human = probability >= 0.5
    towards = sorted(
        zip(_NAMES, values, parts, strict=True), key=lambda each: (-each[2] if is_human else each[2], each[0])
    )
    side: Literal["human", "workload"] = "human" if is_human else "workload"
    return Opinion(probability, side if is_sure else None, towards[:MAX_CONTRIBUTORS])


def read_model(data: bytes) -> PeopleModel:
    """Read a model from JSON; raises ModelError that says what does not fit."""
    if len(data) > MAX_BYTES:
        raise ModelError(f"larger than {MAX_BYTES:,} bytes")
    try:
        model = msgspec.json.decode(data, type=PeopleModel)
    except msgspec.MsgspecError as error:
        raise ModelError(str(error)) from None
    if model.format != FORMAT:
        raise ModelError(f"format {model.format}, this is for format {FORMAT}")
    if model.features != _NAMES:
        odd = sorted(set(model.features) ^ set(_NAMES))
        raise ModelError(f"made for other features: {', '.join(odd[:5]) or 'in another order'}")
    if model.features_hash != features_hash():
        raise ModelError("made for features that were defined otherwise")
    numbers = (model.means, model.scales, model.weights)
    if any(len(each) != len(_NAMES) for each in numbers):
        raise ModelError(f"means, scales and weights must have {len(_NAMES)} numbers each")
    if any(scale <= 0 for scale in model.scales):
        raise ModelError("scales must be positive")
    return model


@cache
def shipped_model() -> PeopleModel:
    """Read the model that ships with rolehawk."""
    return read_model(files("models.behaviour").joinpath("data", "people.json").read_bytes())


def features_hash() -> str:
    """Hash what the features are: names, units, ranges and definitions in words."""
    told = [(each.name, each.unit, each.low, each.high, each.what) for each in FEATURES]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]


def _logistic(total: float) -> float:
    if total < 0:
        grown = exp(max(total, -700))
        return grown / (1 + grown)
    return 1 / (1 + exp(-total))
