"""What was learned, as it is kept: parameters in JSON, made by `rolehawk train`, read without scikit-learn.

No pickle is ever loaded. A model names the features that it was made for; for others it is refused.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec
from msgspec import Struct

from models.behaviour.classifier import Regression
from models.behaviour.features import FEATURES
from models.behaviour.surprise import AGES, Calibration

FORMAT: Final = 2
MAX_BYTES: Final = 1_048_576


class ModelError(ValueError):
    """A model that cannot be used: says what is wrong with it."""


class Learned(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Both models, what they were made of, and how good they were on organisations left out."""

    format: int
    made_by: str  # the version of rolehawk that trained it
    features: list[str]
    features_hash: str  # of names, units, ranges and definitions in words
    data_hash: str  # of what it was trained on
    data: dict[str, Any]
    metrics: dict[str, float]
    people: Regression
    surprise: Calibration


def read_model(data: bytes) -> Learned:
    """Read a model from JSON; raises ModelError that says what does not fit."""
    if len(data) > MAX_BYTES:
        raise ModelError(f"larger than {MAX_BYTES:,} bytes")
    try:
        learned = msgspec.json.decode(data, type=Learned)
    except msgspec.MsgspecError as error:
        raise ModelError(str(error)) from None
    if learned.format != FORMAT:
        raise ModelError(f"format {learned.format}, this is for format {FORMAT}")
    names = [each.name for each in FEATURES]
    if learned.features != names:
        odd = sorted(set(learned.features) ^ set(names))
        raise ModelError(f"made for other features: {', '.join(odd[:5]) or 'in another order'}")
    if learned.features_hash != features_hash():
        raise ModelError("made for features that were defined otherwise")
    people, surprise = learned.people, learned.surprise
    if any(len(each) != len(names) for each in (people.means, people.scales, people.weights)):
        raise ModelError(f"means, scales and weights must have {len(names)} numbers each")
    if any(len(each) != len(AGES) for each in (surprise.starts, surprise.scales)):
        raise ModelError(f"starts and scales must have {len(AGES)} numbers each")
    if any(scale <= 0 for scale in (*people.scales, people.max_spreads, *surprise.scales)):
        raise ModelError("scales and max_spreads must be positive")
    return learned


@cache
def shipped_model() -> Learned:
    """Read the model that ships with rolehawk."""
    return read_model(files("models.behaviour").joinpath("data", "learned.json").read_bytes())


def features_hash() -> str:
    """Hash what the features are, in words and numbers."""
    told = [(each.name, each.unit, each.low, each.high, each.what) for each in FEATURES]
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]
