"""The limits of `edgefair bench`: pass, fail or inconclusive for each artefact but the null runtime."""

import math
from dataclasses import asdict

from edgefair.gate.checks import Check
from edgefair.gate.resource_checks import latency_check
from edgefair.latency.rules import headline


def judge_bench(record: dict, batch: int, max_p90_ms: float | None, min_speedup: float | None) -> list[dict]:
    """Every check as JSON values with its artefact, in the order of the record; batch: the size a limit is for."""
    found = []
    for name, file in record["files"].items():
        if file["runtime"] == "null":
            continue
        key = str(file["batch"] or batch)
        row = record["artefacts"][name].get(key, {})
        control = record["control"].get(key, {})
        if max_p90_ms is not None:
            found.append((name, latency_check(row, key, max_p90_ms, control.get("quiet"))))
        if min_speedup is not None and name != control.get("of"):
            found.append((name, _speedup_check(row, key, min_speedup, control.get("quiet"), record["scenario"])))
    return [{"artefact": name, **asdict(check)} for name, check in found]


def _speedup_check(row: dict, batch: str, limit: float, quiet: bool | None, scenario: str) -> Check:
    """Passes where the whole interval is above the limit, fails where it is below, else inconclusive."""
    if "speedup" not in row:
        message = f"at batch {batch} it has no ratio, for the first artefact was not timed at this batch size"
        return _check(math.nan, math.nan, limit, message, "inconclusive")
    what = headline(scenario)
    found = row["speedup"][what]
    low, high = found["interval"]
    outcome = "pass" if low >= limit else "fail" if high < limit else "inconclusive"
    message = f"at batch {batch} it is {found['ratio']:.2f} times as fast as {row['speedup']['to']} by {WORDS[what]}"
    message += f" (95 % interval {low:.2f} to {high:.2f})"
    if quiet is False:
        outcome, message = "inconclusive", f"{message}, on a machine too noisy to say"
    return _check(found["ratio"], low, limit, message, outcome)


WORDS = {"p50": "median", "mean": "throughput"}


def _check(value: float, bound: float, limit: float, message: str, outcome: str) -> Check:
    return Check("speedup", value, bound, limit, "times", outcome, f"{message}; needed are {limit:g}: {outcome}.")
