"""A finished run as the quantiser finds it: its recipe, its data again, the target that is asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgefair.data import Examples, load_examples
from edgefair.errors import RecipeError, RunFolderError, nearest
from edgefair.log import Log
from edgefair.pipeline.run_folder import RunFolder, run_recipe, stage_record
from edgefair.recipe import Recipe
from edgefair.runtimes import manifest
from edgefair.runtimes.targets import TARGETS


@dataclass(frozen=True)
class QuantizeRequest:
    """The options of `edgefair quantize`, see its help; a target or cost of "" is chosen by the run."""

    target: str = ""
    until_pass: bool = False
    cost: str = ""
    rank: str = "worst-group"
    max_float: int | None = None
    finetune_epochs: int = 0


@contextmanager
def opened(folder: Path, log: Log) -> Iterator[tuple[RunFolder, Examples]]:
    """(run, examples) of a finished run folder, locked.

    Raises RunFolderError where it is none, or not finished, or where the data are not what the run saw.
    """
    recipe = finished_recipe(folder)
    with RunFolder.open(folder, recipe, log) as run:
        examples = load_examples(recipe.data, recipe.seed, log)
        run.check_data(examples.describe())
        yield run, examples


def finished_recipe(folder: Path) -> Recipe:
    """The recipe of a run that has a student, artefacts and predictions; the folder is only read."""
    folder, recipe = Path(folder), run_recipe(folder)
    for stage in ("student", "artefacts", "predictions"):
        if not stage_record(folder / stage).finished:
            raise RunFolderError(
                f"the run folder {folder} has no finished {stage}. Run edgefair distill-and-export with the same "
                "settings again; it goes on where it stopped."
            )
    return recipe


def check_student(folder: Path) -> None:
    """Raise ArtefactError or RunFolderError where the student's ONNX file is not the one that the run exported."""
    artefacts = Path(folder) / "artefacts"
    file = artefacts / "student.onnx"
    now, known = manifest.unchanged(file), stage_record(artefacts).files.get(file.name)
    if known and now != known:  # a run for engines alone has no such file in its manifest
        raise RunFolderError(
            f"{file} is not the file that was exported: its SHA-256 is {now[:12]}, stage.json says {known[:12]}. It "
            "was edited, cut off or replaced; run edgefair distill-and-export with the same settings again."
        )


def chosen_target(folder: Path, asked: str) -> str:
    """The target that is asked for, else that of the run's first INT8 file; raises RecipeError where there is none."""
    able = [name for name, target in TARGETS.items() if "int8" in target.precisions]
    if asked:
        if asked not in able:
            raise RecipeError(f"unknown target '{asked}'; {nearest(asked, able)}")
        return asked
    made = [entry for entry in manifest.read(Path(folder) / "artefacts") if entry.precision == "int8"]
    if not made:
        raise RecipeError(
            f"the run {folder} has no INT8 file, so it does not say what to quantise for; name it with --target "
            f"({', '.join(able)})."
        )
    return made[0].target
