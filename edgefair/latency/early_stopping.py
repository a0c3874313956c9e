"""MLPerf's early-stopping estimate: an upper bound of a latency percentile that assumes nothing of the distribution."""

import functools
import math

import numpy as np

from edgefair.metrics.bisection import last_holding
from edgefair.metrics.distributions import regularised_beta

PERCENTILE, CONFIDENCE = 0.9, 0.99  # MLPerf Inference rules, single stream


@functools.lru_cache(maxsize=256)
def allowed_over(queries: int, percentile: float = PERCENTILE, confidence: float = CONFIDENCE) -> int:
    """The largest t with I_p(q - t, t + 1) <= 1 - c, -1 where there is none.

    That is P(at most t of q queries are slower than the true percentile): were the percentile above the (t + 1)-th
    slowest query, no more than t would have been slower. MLPerf Inference rules, appendix "Early stopping", with
    tolerance 0; LoadGen discards t - 1 queries and needs t >= 1: 64 queries for the 90th percentile, 662 for the 99th.
    """

    def holds(t: int) -> bool:
        return t < queries and regularised_beta(queries - t, t + 1, percentile) <= 1 - confidence

    return last_holding(holds, -1, queries)


def upper_estimate(times: np.ndarray, percentile: float = PERCENTILE, confidence: float = CONFIDENCE) -> float:
    """A number that the percentile of latency is below with the given confidence; NaN where the queries are too few.

    The t - 1 slowest of `times` are discarded, the slowest of the rest is reported, in the unit of `times`.
    """
    over = allowed_over(len(times), percentile, confidence)
    if over < 1:
        return math.nan
    return float(np.partition(times, len(times) - over)[len(times) - over])
