"""What data sets share in [data]: rendered ones, those on disk, those of encoded images, those of faces with ages."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgefair.recipe.base import Section, Share

ImageSize = Annotated[int, Field(ge=8, le=1024)]


class DataSettings(Section):
    """What every data set has."""

    only: ClassVar[tuple[str, str] | None] = None
    """Where there is no choice: what is predicted, and the protected attribute ("" where there is none)."""

    name: str
    image_size: ImageSize = 64
    """Side of the square images, pixels."""
    task: str = ""
    """The attribute or column that is predicted; empty means the data set's own."""
    group: str = ""
    """The protected attribute or column; several joined by `+`, such as gender+race, are intersected."""


class StoredSettings(DataSettings):
    """A data set on disk."""

    path: str = ""
    """Folder or file of a data set on disk; for hf the name on the hub, or a folder."""
    max_rows: Annotated[int, Field(ge=0)] = 0
    """Use at most this many rows of each list that a data set on disk names, drawn by seed; 0 means all.

    Where it names no lists, this many in all. CIFAR draws as many of every class, and takes validation, calibration and
    meta images out of the training rows."""
    meta_share: Share = 0.05
    """Share of the training rows set aside for meta steps, where the data set does not say."""
    validation_share: Share = 0.1
    """Share of the training rows set aside for choosing models, where the data set does not say."""
    calibration_share: Share = 0.05
    """Share of the training rows set aside for calibrating quantisation, where the data set does not say."""


class ImageFileSettings(StoredSettings):
    """Encoded images, in files or tables."""

    skip_broken: bool = False
    """Go on without images that cannot be read, and count them; otherwise the first one is an error."""
    classes: tuple[str, ...] = ()
    """Data without names of their own: the declared classes, in order; empty means those found, sorted."""
    groups: tuple[str, ...] = ()
    """Data without names of their own: the declared groups, in order; empty means those found, sorted."""
    gate_share: Share = 0.25
    """Share of all rows set aside for the verdict, where the data set does not say."""
    skew: Share = 0.0
    """Share of a class's training rows that show the class's own group, by leaving out others; 0 leaves them as is.

    1 / (number of groups) is balanced. Class c, counted from 0, owns group c modulo the number of groups; the others
    share the rest of the class evenly. Meta, validation, calibration and gate rows stay as they are."""


class AgeSettings(ImageFileSettings):
    """Faces with ages."""

    task: str = "age"
    """The attribute that is predicted: age, gender or race."""
    age_buckets: Literal[3, 9] = 3
    """The nine published age buckets, or three (under 20, 20 to 39, 40 and over)."""
