"""Latency and size against their limits: facts of one file, judged alike by report, `verify` and `bench`."""

import math

from edgefair.gate.checks import Check, outcome_of


def latency_check(row: dict, batch: str, limit: float, quiet: bool | None = None, where: str = "") -> Check:
    """p90 of one batch size: fails as observed, passes on the 99 % upper estimate, else inconclusive.

    row: {} where nothing was measured; its p90_upper_ms is None where the calls were too few for an estimate. quiet:
    False where the machine was too noisy to say; where: what it was measured on, in words.
    """
    value = row.get("p90_ms", math.nan)
    bound = row.get("p90_upper_ms", value)
    bound = math.nan if bound is None else bound
    outcome = "inconclusive" if quiet is False else outcome_of(value, bound, limit)
    said = "was not measured" if math.isnan(value) else f"is {value:.3g} ms"
    if "p90_upper_ms" in row:
        said += " (too few calls for an estimate)" if math.isnan(bound) else f" (99 % upper estimate {bound:.3g} ms)"
    said += f" {where}" if where else ""
    said += ", on a machine too noisy to say" if quiet is False else ""
    return _check("latency_p90_ms", f"p90 latency at batch {batch} {said}", value, bound, limit, "ms", outcome)


def size_check(size_bytes: int | None, limit: float) -> Check:
    """File size in 10^6 bytes."""
    value = size_bytes / 1e6 if isinstance(size_bytes, int | float) else math.nan
    said = "was not measured" if math.isnan(value) else f"is {value:.3g} MB"
    return _check("size_mb", f"file size {said}", value, value, limit, "MB", outcome_of(value, value, limit))


def _check(name: str, said: str, value: float, bound: float, limit: float, unit: str, outcome: str) -> Check:
    return Check(name, value, bound, limit, unit, outcome, f"{said}; allowed are {limit:g} {unit}: {outcome}.")
