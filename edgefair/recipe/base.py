"""Sections of a recipe: every setting, validated, with one sentence each.

[data] in data.py and data_base.py, [teacher] [student] [train] in training.py, [loss] in losses.py, [strategy] in
strategies.py, [export] [deploy] [quantize] in deployment.py, [gate] [bench] in evaluation.py.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Section(BaseModel):
    """A part of the recipe: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
