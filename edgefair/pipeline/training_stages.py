"""The stages of a run folder that train: data, teacher, student; the main job and trials of a search share them."""

from pathlib import Path

from edgefair.data import Examples
from edgefair.data.records import DataRecord
from edgefair.files import digest, write_json, write_record
from edgefair.log import Log
from edgefair.pipeline.judge_run import teacher_warnings
from edgefair.pipeline.records import Strength
from edgefair.pipeline.run_folder import RunFolder
from edgefair.pipeline.teacher_store import copy_shared_teacher
from edgefair.recipe import Recipe
from edgefair.training.records import History


def training_stages(
    run: RunFolder, examples: Examples, data: dict, teachers: Path | None = None, trained: Path | None = None
) -> dict:
    """Make what is missing of data, teacher and student; returns what every stage of this run is made from.

    data: `examples.describe()`. teachers: folder of teachers that runs share. trained: stage of a student of the same
    recipe with strategy plain, for a strategy that acts after training. Raises RunFolderError where the data
    changed since the run was begun, TrainingError where training cannot go on.
    """
    recipe, settings = run.recipe, run.recipe.model_dump(mode="json")
    run.check_data(data)
    made_from = {"seed": recipe.seed, "device": recipe.device, "data": digest(data)}
    if recipe.threads:
        made_from["threads"] = recipe.threads
    run.stage("data", {"data": digest(data)}, lambda folder: _write_data(examples, data, folder))
    _teacher_stage(run, made_from | {"teacher": settings["teacher"]}, examples, teachers)
    how = {name: settings[name] for name in ("student", "loss", "strategy", "train")}
    run.stage(
        "student",
        made_from | how | run.hashes("teacher"),
        lambda folder: _student(recipe, examples, run, folder, trained),
    )
    return made_from


def _write_data(examples: Examples, data: dict, folder: Path) -> None:
    write_record(folder / "data.json", DataRecord, {"schema": 1, **data})
    write_json(folder / "ids.json", {name: examples.ids[rows] for name, rows in examples.rows.items()})


def _teacher_stage(run: RunFolder, made_from: dict, examples: Examples, teachers: Path | None) -> None:
    def train(folder: Path) -> None:
        _teacher(run.recipe, examples, folder, run.log)

    def copy(folder: Path) -> None:
        copy_shared_teacher(teachers, made_from, train, folder, run.recipe, run.log)

    run.stage("teacher", made_from, copy if teachers else train)


def _teacher(recipe: Recipe, examples: Examples, folder: Path, log: Log) -> None:
    from edgefair.models import save_weights
    from edgefair.training.stages import train_teacher

    model, history = train_teacher(recipe, examples, folder, log)
    save_weights(model, folder / "teacher.safetensors", len(examples.class_names))
    write_record(folder / "history.json", History, history)
    for warning in teacher_warnings(history, len(examples.class_names)):
        log.line(f"warning: {warning}")


def _student(recipe: Recipe, examples: Examples, run: RunFolder, folder: Path, trained: Path | None) -> None:
    from edgefair.models import create, save_weights
    from edgefair.training.stages import distil_student, training_device

    classes = len(examples.class_names)
    teacher = create(f"file:{run.path / 'teacher' / 'teacher.safetensors'}", classes, 0).to(training_device(recipe))
    model, history, meaning = distil_student(recipe, examples, teacher, folder, run.log, trained)
    save_weights(model, folder / "student.safetensors", classes)
    write_record(folder / "history.json", History, history)
    write_record(folder / "lambda.json", Strength, {"value": recipe.strategy.lam, "meaning": meaning})
