# SPDX-License-Identifier: Apache-2.0
"""How fast a noisy series grows at least.

Sen, "Estimates of the regression coefficient based on Kendall's tau" (1968): the slopes
between each two points are put in order, and the slope of the series lies between two
of them, which the number of points gives. No form of the noise is assumed, and few
outliers change nothing: an allocator gives megabytes back at one moment, and takes them
again at the next.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final

CERTAINTY: Final = 3.0
"""Standard deviations: noise alone has a bound above 0 once in 700 series."""

FEWEST: Final = 8
"""Points of which no two are at the same place that have a bound at all."""


def least_slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope that a series has at least.

    That is minus infinity for points too few to tell (`FEWEST`).
    """
    count = len(points)
    slopes = sorted(
        (y2 - y1) / (x2 - x1)
        for (x1, y1), (x2, y2) in itertools.combinations(points, 2)
        if x1 != x2
    )
    deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    rank = math.floor((len(slopes) - CERTAINTY * deviation) / 2)
    return slopes[rank - 1] if rank > 0 else -math.inf
