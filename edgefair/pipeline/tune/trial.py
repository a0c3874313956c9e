"""One trial: a run folder that trains a student by the main job's own code, and says what it makes of validation rows.

TRIALS/NAME/recipe.toml, data/, teacher/, student/    as in a run folder
TRIALS/NAME/validation/validation.npz                 predictions of the student on the validation rows
TRIALS/NAME/failed.json                               in their place: why it cannot be trained
"""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgefair.data import Examples
from edgefair.errors import RecipeError, RunFolderError, TrainingError
from edgefair.files import atomic_folder, read_record, write_record
from edgefair.log import Log
from edgefair.pipeline.run_folder import AGAIN, RunFolder
from edgefair.pipeline.training_stages import training_stages
from edgefair.pipeline.tune_record import Failed
from edgefair.predictions import Predictions
from edgefair.recipe import Recipe

STAGES = ("data", "teacher", "student")


class Bench(NamedTuple):
    """What all trials of a search share: images loaded once, a folder of teachers, one of trials, and the log."""

    examples: Examples
    data: dict
    folder: Path
    teachers: Path
    log: Log

    def place(self, recipe: Recipe) -> Path:
        """The folder of a recipe's trial: the same recipe is trained once, whoever asks for it."""
        strategy, loss = recipe.strategy.name, recipe.loss.name
        return self.folder / "trials" / f"{loss}-{strategy}-{recipe.train.epochs}epochs-{recipe.hash[:10]}"


class TrialLog(Log):
    """Says what is new while a teacher is trained, and of students nothing but the bar: there are many of them."""

    def __init__(self, log: Log):
        super().__init__(log.console, log.quiet)

    def line(self, text: str) -> None:
        if re.match(r"(warning: the )?teacher\b(?!: (started|already|finished))", text):
            super().line(text)


def run_trial(bench: Bench, recipe: Recipe, trained: Recipe | None = None) -> Predictions | str:
    """Train what is not trained yet; returns the student's predictions of validation rows, or why there is none.

    trained: the same recipe with strategy plain, whose trial is done, for a strategy that acts after training.
    """
    place = bench.place(recipe)
    if (place / "failed.json").exists():
        return read_record(place / "failed.json", Failed, AGAIN, RunFolderError).why
    try:
        with RunFolder.open(place, recipe, TrialLog(bench.log)) as run:
            training_stages(
                run, bench.examples, bench.data, bench.teachers, trained and bench.place(trained) / "student"
            )
            stage = run.stage("validation", run.hashes("student"), lambda folder: _predict(bench, run, folder))
            return Predictions.load(stage / "validation.npz")
    except TrainingError as error:
        why = f"training runs away: {str(error).partition('. ')[0]}"
    except RecipeError as error:
        why = f"does not fit: {str(error).partition('. ')[0]}"
    write_record(place / "failed.json", Failed, {"schema": 1, "why": why})
    return why


def _predict(bench: Bench, run: RunFolder, folder: Path) -> None:
    from edgefair.models import create
    from edgefair.training.stages import training_device
    from edgefair.training.teacher import outputs

    examples, device = bench.examples, training_device(run.recipe)
    model = create(f"file:{run.path / 'student' / 'student.safetensors'}", len(examples.class_names), 0).to(device)
    rows = examples.rows["validation"]
    logits = outputs(model, examples.images, rows, device).logits.numpy()
    known = np.isfinite(logits).all()
    if not known:
        raise TrainingError("the student's logits are not finite on validation rows.")
    Predictions(logits=logits, **examples.columns(rows)).save(folder / "validation.npz")


def adopt(bench: Bench, recipe: Recipe, out: Path) -> None:
    """Make `out` a run folder of the recipe in which data, teacher and student are those of its trial, bit for bit."""
    with RunFolder.open(out, recipe, bench.log):
        for name in STAGES:
            if not (out / name / "stage.json").exists():
                shutil.rmtree(out / name, ignore_errors=True)
                with atomic_folder(out / name) as copy:
                    shutil.copytree(bench.place(recipe) / name, copy, dirs_exist_ok=True)
