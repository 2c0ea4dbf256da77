"""Training: a logistic regression for people and machines, and the tails of how unusual ordinary hours are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # comes without types
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from models.behaviour.classifier import Regression
from models.behaviour.features import FEATURES
from models.behaviour.learned import FORMAT, Learned, features_hash
from models.behaviour.surprise import AGES, Calibration
from streams.learning.dataset import Sample
from streams.learning.manners import AS_THEY_ARE
from streams.learning.measures import calibration_error
from streams.version import installed

MIN_ORGANISATIONS: Final = 3  # fewer leave nothing to calibrate and measure on
MIN_OF_A_KIND: Final = 20
MIN_CONFIDENCE: Final = 0.8
MIN_HOURS: Final = 500  # of an age, to know its tail
TAIL: Final = 0.005  # of the hours are in it
MIN_TAIL_SCALE: Final = 0.3
MIN_SCALE: Final = 0.05  # of a feature that hardly varies
MAX_SPREADS: Final = 2.0  # from a feature's mean, beyond which it counts for no more
REGULARISATION: Final = 0.1
_DIGITS: Final = 6

Matrix = NDArray[np.float64]


class TooLittleError(ValueError):
    """There is not enough to train on: says what is missing."""


@dataclass(frozen=True)
class Fitted:
    """Means, scales and weights of one fit."""

    means: Matrix
    scales: Matrix
    weights: Matrix
    bias: float

    def sums(self, vectors: Matrix) -> Matrix:
        """Compute the weighted sums, before calibration."""
        found: Matrix = _standardised(vectors, self.means, self.scales) @ self.weights + self.bias
        return found


def train(samples: Sequence[Sample]) -> Learned:
    """Fit on all organisations; calibrate and measure on each in turn by a model that never saw it.

    Raises TooLittleError where there are too few organisations, people, machines or hours.
    """
    with_people = [each for each in samples if each.examples]
    known = [each for sample in with_people for each in sample.examples if each.manner == AS_THEY_ARE]
    people = sum(each.is_human for each in known)
    machines = len(known) - people
    if len(with_people) < MIN_ORGANISATIONS:
        raise TooLittleError(
            f"{len(with_people)} organisations with principals that AWS vouches for; {MIN_ORGANISATIONS} are needed"
        )
    if min(people, machines) < MIN_OF_A_KIND:
        raise TooLittleError(f"{people} people and {machines} machines are known; {MIN_OF_A_KIND} of each are needed")
    sums, labels = _held_out(with_people)
    slope, offset = _calibration(sums, labels)
    probabilities = 1 / (1 + np.exp(-(slope * sums + offset)))
    fitted = fit(*_arrays(with_people))
    hours = [[nats for sample in samples for nats in sample.hours[age]] for age in range(len(AGES))]
    return Learned(
        format=FORMAT,
        made_by=f"rolehawk {installed() or 'unknown'}",
        features=[each.name for each in FEATURES],
        features_hash=features_hash(),
        data_hash=hashlib.sha256("".join(each.digest for each in samples).encode()).hexdigest()[:16],
        data={
            "organisations": [each.name for each in samples],
            "eras": sorted({each.era for each in samples}),
            "events": sum(each.events for each in samples),
            "people": people,
            "machines": machines,
            "in_other_manners": sum(len(each.examples) for each in with_people) - len(known),
            "too_few_events": sum(each.too_few for each in samples),
            "hours": [len(each) for each in hours],
        },
        metrics={
            "held_out_roc_auc": round(float(roc_auc_score(labels, probabilities)), _DIGITS),
            "held_out_calibration_error": round(calibration_error(probabilities, labels), _DIGITS),
            "held_out_abstained": round(
                float(np.mean(np.maximum(probabilities, 1 - probabilities) < MIN_CONFIDENCE)), _DIGITS
            ),
        },
        people=Regression(
            means=_rounded(fitted.means),
            scales=_rounded(fitted.scales),
            weights=_rounded(fitted.weights),
            bias=round(fitted.bias, _DIGITS),
            slope=round(slope, _DIGITS),
            offset=round(offset, _DIGITS),
            max_spreads=MAX_SPREADS,
            min_confidence=MIN_CONFIDENCE,
        ),
        surprise=tails(hours),
    )


def encoded(learned: Learned) -> str:
    """Write a model as JSON that a person can read and compare."""
    return msgspec.json.format(msgspec.json.encode(learned), indent=1).decode() + "\n"


def tails(hours: Sequence[Sequence[float]]) -> Calibration:
    """Fit an exponential tail to how unusual ordinary hours are, for each age; raises TooLittleError.

    An age with too few hours takes the tail of the one before.
    """
    starts: list[float] = []
    scales: list[float] = []
    for age, nats in enumerate(hours):
        if len(nats) < MIN_HOURS:
            if not starts:
                raise TooLittleError(
                    f"{len(nats)} hours of entities known for {AGES[age]} hours; {MIN_HOURS} are needed"
                )
            starts.append(starts[-1])
            scales.append(scales[-1])
            continue
        start = float(np.quantile(nats, 1 - TAIL))
        above = [each - start for each in nats if each > start]
        starts.append(round(start, _DIGITS))
        scales.append(round(max(float(np.mean(above)) if above else MIN_TAIL_SCALE, MIN_TAIL_SCALE), _DIGITS))
    return Calibration(tail=TAIL, starts=starts, scales=scales)


def _held_out(samples: Sequence[Sample]) -> tuple[Matrix, Matrix]:
    """Judge each organisation's principals by a model that was fitted on the others."""
    sums, known = [], []
    for number, sample in enumerate(samples):
        others = [each for place, each in enumerate(samples) if place != number]
        vectors, labels = _arrays([sample])
        sums.append(fit(*_arrays(others)).sums(vectors))
        known.append(labels)
    return np.concatenate(sums), np.concatenate(known)


def fit(vectors: Matrix, labels: Matrix) -> Fitted:
    """Fit a logistic regression, people and machines weighed alike, however many there are of each."""
    means = vectors.mean(axis=0)
    scales = np.maximum(vectors.std(axis=0), MIN_SCALE)
    regression = LogisticRegression(C=REGULARISATION, max_iter=5_000, class_weight="balanced")
    regression.fit(_standardised(vectors, means, scales), labels)
    return Fitted(means, scales, regression.coef_[0], float(regression.intercept_[0]))


def _standardised(vectors: Matrix, means: Matrix, scales: Matrix) -> Matrix:
    found: Matrix = np.clip((vectors - means) / scales, -MAX_SPREADS, MAX_SPREADS)
    return found


def _calibration(sums: Matrix, labels: Matrix) -> tuple[float, float]:
    """Fit Platt's line to what came true in organisations that were left out."""
    regression = LogisticRegression(C=1.0, max_iter=5_000)
    regression.fit(sums.reshape(-1, 1), labels)
    return float(regression.coef_[0][0]), float(regression.intercept_[0])


def _arrays(samples: Sequence[Sample]) -> tuple[Matrix, Matrix]:
    examples = [each for sample in samples for each in sample.examples]
    return np.array([each.vector for each in examples]), np.array([float(each.is_human) for each in examples])


def _rounded(numbers: Matrix) -> list[float]:
    return [round(float(each), _DIGITS) for each in numbers]
