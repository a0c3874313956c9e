"""The sections of a recipe that make the student: every setting, validated, with one sentence each.

[data] [teacher] [student] [loss] [strategy] [train] here; [export] [deploy] [quantize] [gate] [bench] in
deploy_sections.py.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


# Defaults that follow the data set where it is not photographs in files.
_FITTING = {"trifeature": {}, "cifar10": {}, "cifar100": {}, "cifar10s": {"skew": 0.95}, "cifar10s-mfd": {"skew": 0.8}}


class Section(BaseModel):
    """A part of the recipe: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DataRecipe(Section):
    """Which images, what is asked of them, and how they fall into the five lists."""

    name: str = "trifeature"
    """A name in the DATASETS table."""
    path: str = ""
    """Folder or CSV file of a data set on disk."""
    image_size: Annotated[int, Field(ge=8, le=1024)] = 32
    """Side of the square images, pixels; 64 where it is not given for a manifest or FairFace."""
    task: str = "age"
    """FairFace: the column that is predicted (age, gender or race)."""
    group: str = "gender"
    """FairFace: the protected attribute (gender, race or age)."""
    age_buckets: Literal[3, 9] = 3
    """FairFace: the nine published age buckets, or three (under 20, 20 to 39, 40 and over)."""
    label_set: Literal["fine", "coarse"] = "fine"
    """CIFAR-100: the 100 classes, or their 20 superclasses."""
    mask_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """CIFAR-10S: seed that decides which training images are grey; the published one (42, mfd: 0) where not given."""
    classes: tuple[str, ...] = ()
    """Manifest: the declared classes, in order; empty means those found, sorted."""
    groups: tuple[str, ...] = ()
    """Manifest: the declared groups, in order; empty means those found, sorted."""
    max_rows: Annotated[int, Field(ge=0)] = 0
    """Use at most this many training rows and as many gate rows of a data set on disk, drawn by seed; 0 means all.

    CIFAR draws as many of every class, and takes validation, calibration and meta images out of the training rows."""
    skip_broken: bool = False
    """Go on without images that cannot be read, and count them; otherwise the first one is an error."""
    meta_share: Share = 0.05
    """Share of the training rows set aside for meta steps, where the data set does not say."""
    validation_share: Share = 0.1
    """Share of the training rows set aside for choosing models, where the data set does not say."""
    calibration_share: Share = 0.05
    """Share of the training rows set aside for calibrating quantisation, where the data set does not say."""
    gate_share: Share = 0.25
    """Share of all rows set aside for the verdict, where the data set does not say."""
    geometry: Literal["small", "paper"] = "small"
    """Trifeature: settings made for 32 px, or the papers' geometry: 224 px, template 128 px, texture period 10 px."""
    skew: Share = 0.92
    """Share of a class's training rows that show the class's own group (trifeature: colour family); 0.5 is balanced.

    Where it is not given: trifeature 0.92, cifar10s 0.95, cifar10s-mfd 0.8; other data sets have what they have."""
    noise: Weight = 0.1
    """Trifeature: standard deviation of the pixel noise, as a share of full scale."""
    size_min: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Trifeature: smallest template side as a share of the image side."""
    size_max: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Trifeature: largest template side as a share of the image side."""
    texture_period: Positive = 0.15
    """Trifeature: period of the textures as a share of the image side."""
    texture_contrast: Share = 0.4
    """Trifeature: how much of the colour the texture takes away where it is off; 1 shows the background there."""
    train_rows: Annotated[int, Field(ge=10)] = 8000
    """Trifeature: number of training rows."""
    meta_rows: Annotated[int, Field(ge=0)] = 400
    """Trifeature: number of meta rows."""
    validation_rows: Annotated[int, Field(ge=10)] = 2000
    """Trifeature: number of validation rows."""
    calibration_rows: Annotated[int, Field(ge=20)] = 400
    """Trifeature: number of calibration rows."""
    gate_rows: Annotated[int, Field(ge=20)] = 8000
    """Trifeature: number of gate rows, the same number of every shape in every colour family."""

    @model_validator(mode="before")
    @classmethod
    def _fitting_defaults(cls, values: Any) -> Any:
        """Settings that were not given follow the geometry, or the data set's kind."""
        if not isinstance(values, dict):
            return values
        if values.get("geometry") == "paper":
            side = 128 / 224
            paper = {"image_size": 224, "size_min": side, "size_max": side, "noise": 0.0}
            return {**paper, "texture_period": 10 / 224, "texture_contrast": 1.0, **values}
        return {**_FITTING.get(str(values.get("name", "trifeature")), {"image_size": 64}), **values}

    @model_validator(mode="after")
    def _sizes_in_order(self):
        if self.size_min > self.size_max:
            raise ValueError(f"data.size_min {self.size_min} is larger than data.size_max {self.size_max}.")
        return self


class TrainRecipe(Section):
    """How a network is trained; data sets on disk get 15 epochs of AdamW at 0.002 with crop-flip by default."""

    epochs: Annotated[int, Field(ge=0)] = 8
    """Passes over the training rows; 0 uses the network as it is."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Rows in a step; a last batch of one row is left out, since batch normalisation needs two."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum 0.9, or AdamW."""
    lr: Positive = 0.1
    """Peak learning rate: linear warm-up over the first tenth of the steps, then a cosine to zero."""
    weight_decay: Weight = 5e-4
    """Decay of weights of two or more dimensions; biases and normalisation are not decayed."""
    label_smoothing: Share = 0.0
    """Smoothing of the cross-entropy's target."""
    augment: Literal["none", "flip", "crop-flip"] = "none"
    """Random horizontal flip, or shift by up to an eighth of the side and flip (the default for data sets on disk)."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of forward and backward passes; bf16 means autocast, and is the default on a GPU."""
    select: Literal["last", "accuracy", "balanced"] = "balanced"
    """Which epoch is kept, by validation rows: the last, the most accurate, or the best mean recall of the cells."""


class TeacherRecipe(TrainRecipe):
    """The network that is learned from."""

    epochs: Annotated[int, Field(ge=0)] = 5
    """Passes over the training rows; 0 uses the network as it is."""
    spec: str = "cifar:resnet20"
    """`cifar:resnet20`, `timm:NAME` or `file:PATH.safetensors`; a file is used as it is."""
    pretrained: bool = False
    """Start a `timm:` network from its published weights (timm's cache or a download)."""


class StudentRecipe(Section):
    """The network that ships."""

    spec: str = "cifar:resnet8"
    """`cifar:resnet8`, `timm:NAME` or `file:PATH.safetensors`; a file's weights are where training starts."""
    pretrained: bool = False
    """Start a `timm:` network from its published weights (timm's cache or a download)."""


class LossRecipe(Section):
    """What the student learns from the teacher."""

    name: str = "rkd"
    """A name in the LOSSES table."""
    alpha: Share = 0.9
    """CKD: weight of the soft target term; the cross-entropy gets 1 - alpha."""
    temperature: Positive = 4.0
    """CKD: temperature of both softmaxes."""
    distance_weight: Weight = 25.0
    """RKD: weight of the distance term."""
    angle_weight: Weight = 50.0
    """RKD: weight of the angle term."""

    schedule: Literal["learned", "attenuated"] = "learned"
    """CTKD: a learned temperature against a growing gradient reversal, or `temperature` falling by a fixed rule."""
    temperature_span: Positive = 20.0
    """CTKD: the learned temperature lies between 1 and 1 + this."""
    curriculum_epochs: Count = 10
    """CTKD: epochs until the gradient reversal has its full strength."""
    attenuation: Weight = 0.1
    """CTKD, attenuated: the temperature is divided by 1 + this * (epoch - 1)."""
    kd_weight: Weight = 1.0
    """KD++: weight of the soft target term."""
    nd_weight: Weight = 2.0
    """KD++: weight of the norm-and-direction term."""
    kd_warmup_epochs: Annotated[int, Field(ge=0)] = 20
    """KD++: epochs over which the soft target term grows from 0 to its weight."""
    hint_stage: int = 1
    """FitNet: stage whose maps are compared, counted from 0; -1 is the last."""
    hint_weight: Weight = 100.0
    """FitNet: weight of the hint term."""
    at_weight: Weight = 1000.0
    """AT: weight of the attention term; 1000 belongs to the form "code"."""
    at_form: Literal["code", "paper"] = "code"
    """AT: the squared form of the authors' program, or the norm of their paper."""
    mfd_weight: Weight = 3.0
    """MFD: weight of the group MMD; half of it multiplies the sum over cells."""
    sigma: Positive = 1.0
    """MFD: factor of the kernel's bandwidth."""
    plus_ckd: Weight = 0.0
    """Adds this times T^2 KL(teacher || student) at `temperature` to any loss."""


class StrategyRecipe(Section):
    """How one training step keeps the student fair."""

    name: str = "adversarial"
    """A name in the STRATEGIES table."""
    lam: Weight = 0.5
    """Strength of the debiasing (`--lambda`); its meaning is the strategy's, and the report prints it."""
    conditional: bool = True
    """Adversarial: the adversary knows the class (equalised odds) rather than not (demographic parity)."""
    adversary_input: Literal["features", "logits"] = "logits"
    """Adversarial: what the adversary sees."""
    form: Literal["reversal", "projection", "confusion"] = "reversal"
    """Adversarial: gradient reversal, Zhang et al.'s projection, or Wang et al.'s confusion loss."""
    target: Literal["group", "soft_group"] = "group"
    """Adversarial: what the adversary guesses: the group, or a continuous attribute in 0 .. 1 (column `soft_group`)."""
    class_weights: dict[str, Weight] = {}
    """Adversarial: weight of a class in the adversary's loss, 1 unless named: the classes that matter first."""
    adversary_hidden: Count = 64
    """Adversarial, intra: width of the adversary's or critic's hidden layers."""
    adversary_lr: Positive = 3e-3
    """Adversarial, intra: learning rate of the adversary's or critic's Adam."""
    adversary_steps: Count = 3
    """Adversarial, intra: steps of the adversary or critic for every step of the student."""
    epsilon: Weight = 0.05
    """Intra: predicted disparity that is let pass."""
    margin: Weight = 0.01
    """Intra: what is kept clear of epsilon (delta)."""
    inner_lr: Positive = 0.1
    """BIRD: size of the imagined step of the student (mu_1)."""
    meta_lr: Positive = 1.0
    """BIRD: size of the gate's step (mu_2)."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 1
    """BIRD: epochs before the gate begins to move."""
    gate_start: float = 2.0
    """BIRD: phi at the start; sigmoid(2) lets 88 % of every teacher feature through."""
    meta: bool = True
    """BIRD: move the gate; off leaves the regulariser alone (the paper's ablation)."""
