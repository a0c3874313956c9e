"""The section [data] of a recipe: which images, what is asked of them, and how they fall into lists."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgefair.recipe.base import Positive, Section, Share, Weight

# What a data set asks by default, where a setting is not given; image_size is 64 for what is not named here.
FITTING: dict[str, dict[str, Any]] = {
    "trifeature": {"image_size": 32},
    "cifar10": {"image_size": 32},
    "cifar100": {"image_size": 32},
    "cifar10s": {"image_size": 32, "skew": 0.95},
    "cifar10s-mfd": {"image_size": 32, "skew": 0.8},
    "svhn": {"image_size": 32},
    "fairface": {"task": "age", "group": "gender"},
    "celeba": {"task": "Attractive", "group": "Male"},
    "utkface": {"task": "age", "group": "race", "balanced_test": True},
    "wider": {"task": "cluster", "group": "gender"},
    "waterbirds": {"task": "y", "group": "place"},
    "manifest": {"task": "label", "group": "group"},
    "hf": {"task": "label"},
    "webdataset": {"task": "cls"},
}
# Data sets that leave no choice: what is predicted, and the protected attribute ("" where there is none).
FIXED = {
    "trifeature": ("shape", "colour"),
    **dict.fromkeys(("cifar10s", "cifar10s-mfd"), ("class", "colour")),
    **dict.fromkeys(("cifar10", "cifar100", "svhn", "tinyimagenet", "imagenet"), ("class", "")),
}


def without_groups(data: dict) -> bool:
    """Whether a data set with these settings declares no groups, so that there is nothing to debias."""
    name = str(data.get("name", "trifeature"))
    own = FIXED.get(name, ("", ""))[1]
    return not own and not {**FITTING.get(name, {}), **data}.get("group")


class DataRecipe(Section):
    """Which images, what is asked of them, and how they fall into the five lists."""

    name: str = "trifeature"
    """trifeature, which is rendered, or a data set on disk: celeba, utkface, fairface, wider, ..., manifest, hf."""
    path: str = ""
    """Folder or file of a data set on disk; for hf the name on the hub, or a folder."""
    image_size: Annotated[int, Field(ge=8, le=1024)] = 32
    """Side of the square images, pixels; 32 for trifeature, CIFAR and SVHN, else 64 where it is not given."""
    task: str = ""
    """The attribute or column that is predicted; the data set's own where it is not given (Attractive, age, ...)."""
    group: str = ""
    """The protected attribute or column; several joined by `+`, such as gender+race, are intersected."""
    balanced_test: bool = False
    """CelebA, UTKFace: gate rows hold as many images of every (group, class) cell, as in the papers (UTKFace: yes)."""
    subset: str = ""
    """Hugging Face: the configuration, for data sets that have several."""
    age_buckets: Literal[3, 9] = 3
    """FairFace, UTKFace: the nine published age buckets, or three (under 20, 20 to 39, 40 and over)."""
    label_set: Literal["fine", "coarse"] = "fine"
    """CIFAR-100: the 100 classes, or their 20 superclasses."""
    mask_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """CIFAR-10S: seed that decides which training images are grey; the published one (42, mfd: 0) where not given."""
    classes: tuple[str, ...] = ()
    """Data without names of their own: the declared classes, in order; empty means those found, sorted."""
    groups: tuple[str, ...] = ()
    """Data without names of their own: the declared groups, in order; empty means those found, sorted."""
    max_rows: Annotated[int, Field(ge=0)] = 0
    """Use at most this many rows of each list that a data set on disk names, drawn by seed; 0 means all.

    Where it names no lists, this many in all. CIFAR draws as many of every class, and takes validation, calibration and
    meta images out of the training rows."""
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
        return {"image_size": 64, **FITTING.get(str(values.get("name", "trifeature")), {}), **values}

    @model_validator(mode="after")
    def _sizes_in_order(self):
        if self.size_min > self.size_max:
            raise ValueError(f"data.size_min {self.size_min} is larger than data.size_max {self.size_max}.")
        return self
