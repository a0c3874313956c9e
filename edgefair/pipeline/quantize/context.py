"""A run that is being quantised for a target, and what every stage needs of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edgefair.data import Examples
from edgefair.data.calibration import calibration_images
from edgefair.export.mixed_precision.ranking_rows import RankingRows, ranking_rows
from edgefair.export.mixed_precision.simulate import Variants, run
from edgefair.export.quantization.calibration import calibrate
from edgefair.log import Log
from edgefair.pipeline.run_folder import RunFolder
from edgefair.recipe import Recipe
from edgefair.runtimes import runtime_class
from edgefair.runtimes.targets import TARGETS

NUM_RANKING_ROWS = 600
"""Rows that rank; all of the ranking rows, up to 2,000, then decide."""


@dataclass(frozen=True)
class QuantizeContext:
    """A run that is quantised for a target, and what every stage needs of it."""

    run: RunFolder
    examples: Examples
    target: str
    log: Log

    @property
    def recipe(self) -> Recipe:
        """The run's own recipe."""
        return self.run.recipe

    @property
    def dialect(self) -> str:
        """The target's dialect of Q/DQ."""
        return TARGETS[self.target].dialect

    @property
    def source(self) -> Path:
        """The student as an ONNX file in float."""
        return self.run.path / "artefacts" / "student.onnx"

    @property
    def blocked(self) -> str:
        """Why the target cannot run here; "" where it can."""
        return runtime_class(TARGETS[self.target].runtime).run_unavailable_reason()

    @property
    def data(self) -> str:
        """SHA-256 of what the run says of its data."""
        return self.run.hash_of(self.run.path / "data" / "data.json")

    @cached_property
    def calibration(self) -> tuple[np.ndarray, int]:
        """(images, rows of a batch) that set the ranges: those of the run."""
        return calibration_images(self.recipe, self.examples)

    @cached_property
    def rows(self) -> RankingRows:
        """The ranking rows beside what the student's ONNX file says of them."""
        return ranking_rows(self.examples, lambda images: run(str(self.source), images, optimised=True))

    @cached_property
    def few(self) -> RankingRows:
        """Some of them: a ranking runs the rows once for every unit."""
        return self.rows.spread(NUM_RANKING_ROWS)

    def variants(self, source: Path) -> Variants:
        """Quantised forms of a file, with ranges from the calibration rows, which are kept beside what needs them."""
        cache = self.run.path / "quantized" / self.target / "ranking" if source == self.source else source.parent
        images, batch = self.calibration
        ranges = calibrate(source, images, self.recipe.quantize, batch, cache=cache)
        return Variants(source, self.dialect, self.recipe.quantize, ranges)

    def stage(self, name: str, made_from: dict, make: Callable[[Path], None]) -> Path:
        """Do a stage of this target where it is not done yet; `make` writes its files into a folder."""
        return self.run.stage(f"quantized/{self.target}/{name}", made_from, make)

    def hashes(self, name: str) -> dict[str, str]:
        """SHA-256 of the files of a finished stage, by "stage/file"."""
        return {f"{name}/{file}": value for file, value in self.run.hashes(f"quantized/{self.target}/{name}").items()}

    def made_from(self) -> dict:
        """What the ranking depends on."""
        student = self.run.hash_of(self.source)
        return {"student": student, "data": self.data, "quantize": self.recipe.quantize.model_dump(mode="json")}
