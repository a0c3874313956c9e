"""The sections of a recipe that make and judge the artefacts: [export] [deploy] [quantize] [gate] [bench]."""

from typing import Annotated, Literal

from pydantic import Field

from edgefair.recipe.base import Count, Positive, Section
from edgefair.recipe.targets import Precision, TargetName


class ExportSettings(Section):
    """How the student becomes an ONNX file."""

    opset: Annotated[int, Field(ge=18, le=23)] = 18
    """ONNX operator set; 18 is the newest that every supported runtime reads, TensorRT 10.3 included."""
    parity: Positive = 1e-4
    """Largest allowed difference between ONNX Runtime's and PyTorch's logits, as a share of the largest logit."""
    parity_fp16: Positive = 5e-3
    """The same of the fp16 file against PyTorch in fp32."""


class DeploySettings(Section):
    """Which files are made of the student, and for what."""

    targets: tuple[TargetName, ...] = ()
    """What the files are for; where none is given, everything that this machine can run."""
    precisions: tuple[Precision, ...] = ()
    """Number formats of the files; where none is given, all that a target executes well, fp8 excepted."""
    max_batch: Annotated[int, Field(ge=1, le=1024)] = 64
    """Engines: the largest batch of the engine that is evaluated; the one for latency takes single images."""
    optimization_level: Annotated[int, Field(ge=0, le=5)] = 3
    """Engines: how long the builder searches for fast kernels; 5 is longest."""
    workspace_mb: Count = 1024
    """Engines: scratch memory that a kernel may use, 2^20 bytes."""
    tf32: bool = False
    """Engines: let fp32 products be rounded to TF32; off keeps fp32 what it says."""


class QuantizeSettings(Section):
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
