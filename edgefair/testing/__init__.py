"""Fairness regression tests of exported engines, for pytest or any other runner.

    from edgefair.testing import assert_fair, predict_engine

    def test_int8_is_as_fair_as_the_model(images, labels, groups):
        student, int8 = (predict_engine(path, images, labels, groups, CLASSES, GROUPS) for path in (FP32, INT8))
        assert_fair(student, int8)

The pytest plugin (`edgefair.testing.plugin`) adds the fixtures `fairness_baseline` and `edgefair_gate`. This module is
loaded with it in every test suite of an environment, so it imports nothing heavy before it is used.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from edgefair.gate import Tolerance, Verdict
    from edgefair.predictions import Predictions

__all__ = ["Inconclusive", "Unfair", "assert_fair", "predict_engine"]


class Unfair(AssertionError):
    """The engine lost more than the tolerance or the baseline allows."""


class Inconclusive(Exception):
    """There are too few rows to know. Never a pass; the plugin reports it as an outcome of its own."""


def assert_fair(
    reference: "Predictions | Path | str",
    candidate: "Predictions | Path | str",
    tolerance: "Tolerance | None" = None,
    *,
    claim: str = "same",
    seed: int = 0,
) -> "Verdict":
    """Judge the candidate beside the reference on the same rows; returns the verdict if it passes.

    reference, candidate: predictions, or the path of a predictions file. tolerance: what may be lost, by default
    `Tolerance()`. claim: "same" for a file made from the reference, "no_worse" for a network trained anew. seed: of the
    resampled bounds. Raises Unfair where a check fails, Inconclusive where the rows do not
    suffice, DataError where the two cannot be compared.
    """
    from edgefair.gate import Tolerance, judge_artefact
    from edgefair.gate.limits import Limits

    __tracebackhide__ = True  # a failing test shows the user's line, not ours
    limits = Limits(claim, tolerance or Tolerance())
    verdict = judge_artefact(_loaded(reference), _loaded(candidate), limits, seed=seed).verdict
    if verdict.outcome == "fail":
        raise Unfair(verdict.sentence)
    if verdict.outcome != "pass":
        raise Inconclusive(verdict.sentence)
    return verdict


def predict_engine(
    path: Path | str,
    images: "np.ndarray",
    labels: "np.ndarray",
    groups: "np.ndarray",
    class_names: Sequence[str],
    group_names: Sequence[str],
    *,
    ids: Sequence[str] | None = None,
    runtime: str = "ort",
    threads: int = 0,
) -> "Predictions":
    """Run an exported file on labelled rows: images uint8 [N, 3, S, S], labels and groups int [N], -1 for no group.

    path: the file. class_names, group_names: what labels and groups index. ids name the rows, by default after their
    place. runtime is a key of `edgefair.runtimes.RUNTIMES`; threads 0 leaves
    their number to it.
    """
    import numpy as np

    from edgefair.files import sha256
    from edgefair.predictions import Predictions
    from edgefair.runtimes import load_runtime, predict_rows
    from edgefair.runtimes.machine import describe_machine

    with load_runtime(runtime, Path(path), threads) as engine:
        logits = predict_rows(engine, images, np.arange(len(images)), lambda _: None)
        description = engine.describe()
    identity = {"artefact": Path(path).name, "sha256": sha256(Path(path)), "bytes": Path(path).stat().st_size}
    return Predictions(
        ids=np.asarray(ids if ids is not None else [f"row-{index:06d}" for index in range(len(images))], dtype=np.str_),
        labels=np.asarray(labels),
        groups=np.asarray(groups),
        logits=logits,
        class_names=tuple(class_names),
        group_names=tuple(group_names),
        about={**identity, **description, "machine": describe_machine()},
    )


def _loaded(what: "Predictions | Path | str") -> "Predictions":
    from edgefair.predictions import Predictions

    return Predictions.load(Path(what)) if isinstance(what, str | Path) else what
