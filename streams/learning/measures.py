"""How good probabilities are: calibration and ranking, as plain numbers."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 10


def calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """Compute the expected calibration error: how far probabilities lie from what came true, over ten equal bins.

    Source: Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning" (2015).
    """
    if not len(labels):
        return 0.0
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    error = 0.0
    for number in range(BINS):
        inside = bins == number
        if inside.any():
            error += float(abs(probabilities[inside].mean() - labels[inside].mean()) * inside.mean())
    return error
