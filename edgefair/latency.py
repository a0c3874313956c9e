"""Latency: warmed up, interleaved between artefacts, reported as percentiles of single calls."""

import time

import numpy as np

from edgefair.runtimes import Runtime

ROUNDS = 10
PERCENTILES = (50, 90, 99)


def measure(
    runtimes: dict[str, Runtime], images: np.ndarray, batches: tuple[int, ...], warmup: int, repeats: int, advance
) -> dict:
    """Time `predict` of each runtime at each batch size: {name: {batch: {p50_ms, p90_ms, p99_ms, mean_ms, calls}}}.

    Calls come in rounds, every runtime in each round, so that a disturbance of the machine hits all of them; the first
    call of a round refills the caches and is not counted.
    """
    result: dict[str, dict] = {name: {} for name in runtimes}
    for batch in batches:
        part = np.ascontiguousarray(np.resize(images, (batch, *images.shape[1:])))
        for runtime in runtimes.values():
            for _ in range(warmup):
                runtime.predict(part)
        samples: dict[str, list[float]] = {name: [] for name in runtimes}
        for _ in range(ROUNDS):
            for name, runtime in runtimes.items():
                samples[name] += _round(runtime, part, -(-repeats // ROUNDS))
                advance(1)
        for name, values in samples.items():
            result[name][str(batch)] = summary(np.array(values))
    return result


def _round(runtime: Runtime, images: np.ndarray, calls: int) -> list[float]:
    """Milliseconds of each of `calls` calls, after one that is not counted."""
    runtime.predict(images)
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        runtime.predict(images)
        times.append((time.perf_counter() - start) * 1e3)
    return times


def summary(times_ms: np.ndarray) -> dict[str, float]:
    """Percentiles and mean of call times."""
    values = {f"p{q}_ms": float(np.percentile(times_ms, q)) for q in PERCENTILES}
    return {**values, "mean_ms": float(times_ms.mean()), "calls": len(times_ms)}
