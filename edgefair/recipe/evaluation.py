"""[gate] and [bench]: what may change, and how latency is measured."""

from typing import Annotated

from pydantic import Field

from edgefair.recipe.base import Count, Positive, Section


class GateSettings(Section):
    """Tolerances of the verdict, fixed before the run."""

    mean_drift_points: Positive = 2.0
    """Artefact against student: allowed worsening of the mean absolute disparity, percentage points."""
    max_drift_points: Positive | None = None
    """The same for the class where it is largest; where not given, 5 if the cells are large enough to show that."""
    accuracy_drop_points: Positive = 1.0
    """Artefact against student: allowed loss of accuracy, percentage points."""
    worst_group_drop_points: Positive = 2.0
    """Artefact against student: allowed loss of accuracy of any group, percentage points."""
    flip_percent: Positive = 10.0
    """Artefact against student: allowed share of rows whose predicted class changes, percent."""
    teacher_mean_drift_points: Positive = 2.0
    """Student against teacher: allowed worsening of the mean absolute disparity, percentage points."""
    teacher_accuracy_drop_points: Positive = 5.0
    """Student against teacher: allowed loss of accuracy, percentage points."""
    teacher_worst_group_drop_points: Positive = 5.0
    """Student against teacher: allowed loss of accuracy of any group, percentage points."""
    min_cell: Count = 30
    """Cells of (group, class) with fewer gate rows are named in the verdict as not covered by it."""
    replicates: Annotated[int, Field(ge=100)] = 2000
    """Draws behind every bound and noise floor."""
    max_latency_p90_ms: Positive | None = None
    """Largest allowed 90th percentile of the batch-1 latency of an artefact, milliseconds."""
    max_size_mb: Positive | None = None
    """Largest allowed artefact file, 10^6 bytes."""


class BenchSettings(Section):
    """How latency is measured."""

    batches: tuple[Count, ...] = (1, 32)
    """Batch sizes; the first is the one a limit applies to."""
    warmup: Count = 10
    """Calls before timing starts."""
    repeats: Annotated[int, Field(ge=20)] = 200
    """Least number of timed calls of each artefact and batch size; under 64 no limit on latency can be passed."""
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """Least time of each artefact and batch size, seconds; MLPerf's rules ask for 600."""
    threads: Count = 1
    """Threads of the runtime during timing."""
