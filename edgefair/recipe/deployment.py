"""The sections of a recipe that make and judge the artefacts: [export] [deploy] [quantize] [gate] [bench]."""

from typing import Annotated, Literal

from pydantic import Field

from edgefair.recipe.base import Count, Positive, Section


class ExportRecipe(Section):
    """How the student becomes an ONNX file."""

    opset: Annotated[int, Field(ge=18, le=23)] = 18
    """ONNX operator set; 18 is the newest that every supported runtime reads, TensorRT 10.3 included."""
    parity: Positive = 1e-4
    """Largest allowed difference between ONNX Runtime's and PyTorch's logits, as a share of the largest logit."""
    parity_fp16: Positive = 5e-3
    """The same of the fp16 file against PyTorch in fp32."""


class DeployRecipe(Section):
    """Which files are made of the student, and for what."""

    targets: tuple[Literal["ort-cpu", "ort-cuda", "openvino", "tensorrt", "tensorrt-rtx"], ...] = ()
    """What the files are for; where none is given, everything that this machine can run."""
    precisions: tuple[Literal["fp32", "fp16", "int8", "fp8"], ...] = ()
    """Number formats of the files; where none is given, all that a target executes well, fp8 excepted."""
    max_batch: Annotated[int, Field(ge=1, le=1024)] = 64
    """Engines: the largest batch of the engine that is evaluated; the one for latency takes single images."""
    optimization_level: Annotated[int, Field(ge=0, le=5)] = 3
    """Engines: how long the builder searches for fast kernels; 5 is longest."""
    workspace_mb: Count = 1024
    """Engines: scratch memory that a kernel may use, 2^20 bytes."""
    tf32: bool = False
    """Engines: let fp32 products be rounded to TF32; off keeps fp32 what it says."""


class QuantizeRecipe(Section):
    """How the INT8 and FP8 artefacts are made."""

    method: Literal["auto", "minmax", "entropy", "percentile"] = "auto"
    """How activation ranges are chosen; auto: percentile for SiLU or squeeze-excitation, else min-max."""
    percentile: Annotated[float, Field(gt=50, le=100)] = 99.99
    """Percentile: share of a tensor's values that its range keeps, percent."""
    keep_float: Literal["auto", "none"] | tuple[str, ...] = "auto"
    """Nodes that stay in float; auto: squeeze-excitation, and the head of a network that has it."""
    rows_per_cell: Literal["auto"] | Count = "auto"
    """Calibration rows of every (class, group) cell; auto: 10, or all of a cell that has fewer, which is then named."""
    reduce_range: Literal["auto"] | bool = "auto"
    """CPU targets: 7-bit weights, without which sums overflow on x86 lacking VNNI; auto: if this processor does."""


class GateRecipe(Section):
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


class BenchRecipe(Section):
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
