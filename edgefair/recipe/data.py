"""[data]: which images, what is asked of them, and how they fall into lists. One class a data set.

The readers are the modules of edgefair.data.readers; `name` says which. A data set has the settings that its reader
reads, with its own defaults.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgefair.recipe.base import Positive, Share, Weight
from edgefair.recipe.choice import Choice
from edgefair.recipe.data_base import AgeSettings, DataSettings, ImageFileSettings, ImageSize, StoredSettings


class TrifeatureSettings(DataSettings):
    """Rendered shapes."""

    only = ("shape", "colour")

    name: Literal["trifeature"] = "trifeature"
    image_size: ImageSize = 32
    """Side of the square images, pixels."""
    geometry: Literal["small", "paper"] = "small"
    """Settings made for 32 px, or the papers' geometry: 224 px, template 128 px, texture period 10 px."""
    skew: Share = 0.92
    """Share of a class's training rows that show the class's own colour family; 0.5 is balanced."""
    noise: Weight = 0.1
    """Standard deviation of the pixel noise, as a share of full scale."""
    size_min: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Smallest template side as a share of the image side."""
    size_max: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Largest template side as a share of the image side."""
    texture_period: Positive = 0.15
    """Period of the textures as a share of the image side."""
    texture_contrast: Share = 0.4
    """How much of the colour the texture takes away where it is off; 1 shows the background there."""
    train_rows: Annotated[int, Field(ge=10)] = 8000
    """Number of training rows."""
    meta_rows: Annotated[int, Field(ge=0)] = 400
    """Number of meta rows."""
    validation_rows: Annotated[int, Field(ge=10)] = 2000
    """Number of validation rows."""
    calibration_rows: Annotated[int, Field(ge=20)] = 400
    """Number of calibration rows."""
    gate_rows: Annotated[int, Field(ge=20)] = 8000
    """Number of gate rows, the same number of every shape in every colour family."""

    @model_validator(mode="before")
    @classmethod
    def _papers_geometry(cls, values: Any) -> Any:
        """Settings that were not given follow the geometry."""
        if not isinstance(values, dict) or values.get("geometry") != "paper":
            return values
        side = 128 / 224
        paper = {"image_size": 224, "size_min": side, "size_max": side, "noise": 0.0}
        return {**paper, "texture_period": 10 / 224, "texture_contrast": 1.0, **values}

    @model_validator(mode="after")
    def _sizes_in_order(self) -> "TrifeatureSettings":
        if self.size_min > self.size_max:
            raise ValueError(f"data.size_min {self.size_min} is larger than data.size_max {self.size_max}.")
        return self


class CifarSettings(StoredSettings):
    """CIFAR's batches."""

    image_size: ImageSize = 32
    """Side of the square images, pixels."""


class Cifar10Settings(CifarSettings):
    """CIFAR-10, without groups."""

    only = ("class", "")

    name: Literal["cifar10"] = "cifar10"


class Cifar100Settings(CifarSettings):
    """CIFAR-100, without groups."""

    only = ("class", "")

    name: Literal["cifar100"] = "cifar100"
    label_set: Literal["fine", "coarse"] = "fine"
    """The 100 classes, or their 20 superclasses."""


class SkewedCifarSettings(CifarSettings):
    """CIFAR-10 with grey training images, more of them in some classes."""

    only = ("class", "colour")

    skew: Share = 0.95
    """Share of a class's training rows that show the class's own group; 0.5 is balanced."""
    mask_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """Seed that decides which training images are grey; the published one (42, mfd: 0) where not given."""


class Cifar10sSettings(SkewedCifarSettings):
    """CIFAR-10S as Wang et al. made it."""

    name: Literal["cifar10s"] = "cifar10s"


class Cifar10sMfdSettings(SkewedCifarSettings):
    """CIFAR-10S as Jung et al. made it."""

    name: Literal["cifar10s-mfd"] = "cifar10s-mfd"
    skew: Share = 0.8
    """Share of a class's training rows that show the class's own group; 0.5 is balanced."""


class ManifestSettings(ImageFileSettings):
    """A CSV or Parquet list of your own images."""

    name: Literal["manifest"] = "manifest"
    task: str = "label"
    """The column that is predicted."""
    group: str = "group"
    """The protected column; several joined by `+`, such as gender+race, are intersected."""


class FairfaceSettings(AgeSettings):
    """FairFace as published."""

    name: Literal["fairface"] = "fairface"
    group: str = "gender"
    """The protected attribute; several joined by `+`, such as gender+race, are intersected."""


class CelebaSettings(ImageFileSettings):
    """CelebA as published."""

    name: Literal["celeba"] = "celeba"
    task: str = "Attractive"
    """The attribute that is predicted."""
    group: str = "Male"
    """The protected attribute; several joined by `+`, such as Male+Young, are intersected."""
    balanced_test: bool = False
    """Gate rows hold as many images of every (group, class) cell, as in the papers."""


class UtkfaceSettings(AgeSettings):
    """UTKFace as published."""

    name: Literal["utkface"] = "utkface"
    group: str = "race"
    """The protected attribute; several joined by `+`, such as gender+race, are intersected."""
    balanced_test: bool = True
    """Gate rows hold as many images of every (group, class) cell, as in the papers."""


class WiderSettings(ImageFileSettings):
    """WIDER Attribute as published."""

    name: Literal["wider"] = "wider"
    task: str = "cluster"
    """The attribute that is predicted: cluster, scene or gender."""
    group: str = "gender"
    """The protected attribute."""


class WaterbirdsSettings(ImageFileSettings):
    """Waterbirds as published."""

    name: Literal["waterbirds"] = "waterbirds"
    task: str = "y"
    """The attribute that is predicted."""
    group: str = "place"
    """The protected attribute."""


class SvhnSettings(ImageFileSettings):
    """SVHN's digits, without groups."""

    only = ("class", "")

    name: Literal["svhn"] = "svhn"
    image_size: ImageSize = 32
    """Side of the square images, pixels."""


class TinyImagenetSettings(ImageFileSettings):
    """Tiny ImageNet, without groups."""

    only = ("class", "")

    name: Literal["tinyimagenet"] = "tinyimagenet"


class ImagenetSettings(ImageFileSettings):
    """ImageNet, without groups."""

    only = ("class", "")

    name: Literal["imagenet"] = "imagenet"


class HuggingFaceSettings(ImageFileSettings):
    """A data set of the Hugging Face hub, or a folder of one."""

    name: Literal["hf"] = "hf"
    task: str = "label"
    """The column that is predicted."""
    subset: str = ""
    """The configuration, for data sets that have several."""


class WebdatasetSettings(ImageFileSettings):
    """Shards in the format of webdataset."""

    name: Literal["webdataset"] = "webdataset"
    task: str = "cls"
    """The member of a sample that is predicted."""


class ImagefolderSettings(ImageFileSettings):
    """Folders of classes."""

    name: Literal["imagefolder"] = "imagefolder"


AnyData = Annotated[
    TrifeatureSettings
    | Cifar10Settings
    | Cifar100Settings
    | Cifar10sSettings
    | Cifar10sMfdSettings
    | ManifestSettings
    | FairfaceSettings
    | CelebaSettings
    | UtkfaceSettings
    | WiderSettings
    | WaterbirdsSettings
    | SvhnSettings
    | TinyImagenetSettings
    | ImagenetSettings
    | HuggingFaceSettings
    | WebdatasetSettings
    | ImagefolderSettings,
    Field(discriminator="name"),
]
DATA = Choice.of(AnyData, "data set", "data sets")


def without_groups(data: dict[str, Any]) -> bool:
    """Whether a data set with these settings declares no groups, so that there is nothing to debias."""
    settings = DATA.classes.get(str(data.get("name", "trifeature")))
    if settings is None or not issubclass(settings, DataSettings):
        return False
    fixed = settings.only[1] if settings.only else ""
    return not fixed and not data.get("group", settings.model_fields["group"].default)
