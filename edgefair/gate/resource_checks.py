"""Latency and size against their limits: facts of one file, judged alike by report, `verify` and `bench`."""

import math
from typing import Any

from edgefair.gate.checks import Check, outcome_of, sentence_of


def latency_check(row: dict[str, Any], batch: str, limit: float, quiet: bool | None = None, where: str = "") -> Check:
    """p90 of one batch size: fails as observed, passes on the 99 % upper estimate, else inconclusive.

    row: {} where nothing was measured; its p90_upper_ms is None where the calls were too few for an estimate. batch:
    the size that the row is of. limit: in milliseconds. quiet: False where the machine was too noisy to say. where:
    what it was measured on, in words.
    """
    value = row.get("p90_ms", math.nan)
    bound = row.get("p90_upper_ms", value)
    bound = math.nan if bound is None else bound
    outcome = "inconclusive" if quiet is False else outcome_of(value, bound, limit)
    fact = f"p90 latency at batch {batch} {'was not measured' if math.isnan(value) else f'is {value:.3g} ms'}"
    fact += f" {where}" if where else ""
    fact += ", on a machine too noisy to say" if quiet is False else ""
    estimate = ""
    if "p90_upper_ms" in row:
        estimate = "too few calls for an upper estimate" if math.isnan(bound) else f"99 % upper estimate {bound:.3g} ms"
    text = sentence_of(outcome, fact, [estimate, f"limit {limit:g} ms"])
    return Check("latency_p90_ms", value, bound, limit, "ms", outcome, text)


def size_check(size_bytes: int | None, limit: float) -> Check:
    """File size in 10^6 bytes."""
    value = size_bytes / 1e6 if isinstance(size_bytes, int | float) else math.nan
    outcome = outcome_of(value, value, limit)
    fact = f"file size {'was not measured' if math.isnan(value) else f'is {value:.3g} MB'}"
    return Check("size_mb", value, value, limit, "MB", outcome, sentence_of(outcome, fact, [f"limit {limit:g} MB"]))
