"""What the data of a run were (data.json), and the JSON files of the cache of prepared images."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, model_validator

from edgefair.files import RECORD

Names = Annotated[list[str], Field(min_length=1)]
Rows = Annotated[int, Field(ge=0, lt=2**53)]
Position = Annotated[str, Field(pattern="^[0-9]{1,15}$")]
"""The index of an image, as JSON has it for a key."""


class DataRecord(BaseModel):
    """data.json: names, counts and hashes of the rows; every data set adds where it comes from and what it was asked.

    cells: rows by split, group and class. content_hashes: of pixels, labels and all else of a row.
    """

    WHAT: ClassVar[str] = "description of the data"
    model_config = RECORD | {"extra": "allow"}

    schema_version: Literal[1] = Field(1, alias="schema")
    class_names: Names
    group_names: Names
    image_size: Rows
    rows: dict[str, Rows]
    cells: dict[str, list[list[Rows]]]
    id_hashes: dict[str, str]
    content_hashes: dict[str, str]


class IndexEntry(BaseModel):
    """seen-*.json: the key of the array that was made of these files."""

    WHAT: ClassVar[str] = "index entry of prepared images"
    model_config = RECORD

    schema_version: Literal[1] = Field(1, alias="schema")
    content: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Prepared(BaseModel):
    """files-*.json: how many images an array was made of, the key of their sizes, and why some could not be read."""

    WHAT: ClassVar[str] = "description of prepared images"
    model_config = RECORD

    schema_version: Literal[1] = Field(1, alias="schema")
    images: Rows
    sizes: str
    broken: dict[Position, str]

    @model_validator(mode="after")
    def _broken_are_of_them(self) -> "Prepared":
        if beyond := [at for at in self.broken if int(at) >= self.images]:
            raise ValueError(f"broken has {beyond[0]}; numbers of the {self.images} images are needed")
        return self


class ShardEnd(BaseModel):
    """What stands behind the images of a shard: the digest of each chunk, and why some images could not be read."""

    WHAT: ClassVar[str] = "shard of prepared images"
    model_config = RECORD

    digests: list[str]
    broken: dict[Position, str]
