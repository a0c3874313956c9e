"""[train] [teacher] [student]: how networks are trained, and which ones; every setting with one sentence."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from edgefair.recipe.base import Count, Positive, Section, Share, Weight
from edgefair.recipe.strategies import AnyStrategy, PlainSettings

Shares = tuple[Share, ...]


class TrainSettings(Section):
    """How a network is trained; data sets on disk get 15 epochs, crop-flip, and AdamW at a rate for the network."""

    epochs: Annotated[int, Field(ge=0)] = 8
    """Passes over the training rows; 0 uses the network as it is."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Rows in a step; a last batch of one row is left out, since batch normalisation needs two."""
    accumulate: Count = 1
    """Batches whose gradients are averaged before a step is taken: a larger batch for the memory of a small one."""
    sampling: Literal["shuffle", "class", "group", "cell", "within-class"] = "shuffle"
    """Every row once an epoch, or rows drawn with replacement so that classes, groups or their cells come equally, or
    the groups of each class, whose share stays."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum 0.9, or AdamW."""
    lr: Positive = 0.1
    """Peak learning rate, reached after the warm-up; `edgefair lr-find` suggests one."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    """After the warm-up the learning rate falls along a cosine to zero, falls at milestones, or stays."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps in which the learning rate grows linearly to its peak; 0 begins there."""
    milestones: Shares = (0.5, 0.75)
    """Schedule step: shares of all steps at which the learning rate is multiplied by `step_factor`."""
    step_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Schedule step: what the learning rate is multiplied by at each milestone."""
    weight_decay: Weight = 5e-4
    """Decay of weights of two or more dimensions; biases and normalisation are not decayed."""
    label_smoothing: Share = 0.0
    """Smoothing of the cross-entropy's target."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of an exponential moving average of the weights, which is what is judged and kept; 0 is none."""
    augment: Literal["none", "flip", "crop-flip", "crop-flip-jitter"] = "none"
    """Random horizontal flip; a shift of up to an eighth of the side and flip (the default for data sets on disk); or
    these and random brightness, contrast and saturation."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of forward and backward passes; bf16 means autocast, and is the default on a GPU."""
    select: Literal["last", "accuracy", "balanced", "worst"] = "balanced"
    """Which epoch is kept, by validation rows: the last, the most accurate, the best mean recall of the cells, or the
    best recall of the worst cell."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Stop after this many epochs in which what `select` names was not better than ever before; 0 never stops."""

    @model_validator(mode="after")
    def _patience_has_a_figure(self) -> "TrainSettings":
        if self.patience and self.select == "last":
            raise ValueError(
                f"patience is {self.patience}, but select is 'last', which no epoch can miss; set select to "
                "'accuracy', 'balanced' or 'worst', or patience to 0."
            )
        return self


class NetworkSettings(Section):
    """Which network, and what its weights start from."""

    spec: str
    """`cifar:resnet20`, `timm:NAME`, `torchvision:NAME`, `shufflenet_v2`, or `file:PATH.safetensors`."""
    pretrained: bool = False
    """Start a published network from its published weights, out of its library's cache or by a download."""
    weights: str = ""
    """Local file of published weights to start from (safetensors, or .pth of tensors alone), instead of a download."""


class TeacherSettings(TrainSettings, NetworkSettings):
    """The network that is learned from."""

    epochs: Annotated[int, Field(ge=0)] = 5
    """Passes over the training rows; 0 uses the network as it is."""
    spec: str = "cifar:resnet20"
    """As for the student, or `clip:vit_b_32`, `flava:NAME` or `onnx:PATH`; `file:` and `onnx:` are used as they are."""
    freeze: bool = False
    """Train the last layer alone; the backbone keeps its weights and batch statistics."""
    logits_output: str = ""
    """ONNX: the output that holds the logits; empty means the only one with as many columns as there are classes."""
    features_output: str = ""
    """ONNX: the tensor that holds the features [B, D]; empty means what the last linear layer reads."""
    input_mean: tuple[float, ...] = ()
    """ONNX that takes floats: mean of each channel, for pixels in 0 .. 1."""
    input_std: tuple[Positive, ...] = ()
    """ONNX that takes floats: standard deviation of each channel, for pixels in 0 .. 1."""
    strategy: AnyStrategy = PlainSettings()
    """How the teacher is kept fair: a name, or a table as `[strategy]`; a biased teacher passes its gaps on."""

    @field_validator("strategy", mode="before")
    @classmethod
    def _strategy_by_name(cls, value: Any) -> Any:
        """A bare name stands for its table; a table without a name is that of plain."""
        if isinstance(value, str):
            return {"name": value}
        return {"name": "plain", **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _strategy_can_train_it(self) -> "TeacherSettings":
        name = self.strategy.name
        if self.strategy.needs_teacher:
            raise ValueError(
                f"strategy '{name}' gates what a teacher says, and the teacher has no teacher; set "
                "teacher.strategy.meta to false for its regulariser alone, or choose another strategy."
            )
        if self.spec.startswith("onnx:") and name != "plain":
            raise ValueError(
                f"strategy '{name}' cannot change an ONNX file ('{self.spec}'); set teacher.strategy to 'plain', or "
                "give the teacher as file:PATH.safetensors."
            )
        if self.spec.startswith("file:") and name != "plain" and not self.strategy.post_hoc:
            raise ValueError(
                f"strategy '{name}' acts while a network is trained, and '{self.spec}' is used as it is; set "
                "teacher.strategy to 'plain' or to one that acts afterwards, or name a teacher to train."
            )
        return self


class StudentSettings(NetworkSettings):
    """The network that ships."""

    spec: str = "cifar:resnet8"
    """`cifar:resnet8`, `timm:NAME`, `torchvision:NAME`, or `file:PATH`, whose weights training starts from."""
