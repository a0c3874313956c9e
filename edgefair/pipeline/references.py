"""What `verify` and `compare` are given: a predictions file, a run folder, or one artefact of a run (`RUN:NAME`)."""

from pathlib import Path

from edgefair.errors import ArtefactError, DataError, RunFolderError, nearest
from edgefair.files import read_record, sha256
from edgefair.gate.verification import Source
from edgefair.latency.records import LatencyRecord
from edgefair.log import Log
from edgefair.pipeline.run_artefacts import artefact_list
from edgefair.pipeline.run_folder import AGAIN, RunFolder, run_recipe, stage_record
from edgefair.predictions import Predictions
from edgefair.recipe import Recipe
from edgefair.runtimes.artefact import Artefact

STUDENT = "student"


def reference_source(text: str) -> Source:
    """The reference that `text` names; a whole run folder stands for its student."""
    place, name = split_name(text)
    return _load_one(place, name or STUDENT) if place.is_dir() else _from_file(place, name)


def candidate_names(text: str) -> list[str]:
    """The candidates that `text` stands for: all exported artefacts of a run folder, else the one it names."""
    place, name = split_name(text)
    if name or not place.is_dir():
        return [text]
    exported = [
        f"{text.rstrip('/')}:{artefact.name}" for artefact in run_artefacts(place)[1] if artefact.claim == "same"
    ]
    if not exported:
        raise DataError(f"the run folder {text} has no exported artefact to judge; see deploy.targets.")
    return exported


def single_source(text: str) -> Source:
    """The one source that `text` names; raises DataError where a run folder has several exported artefacts."""
    names = candidate_names(text)
    if len(names) != 1:
        raise DataError(f"{text} holds {len(names)} exported artefacts: name one of {', '.join(names)}.")
    return reference_source(names[0])


def split_name(text: str) -> tuple[Path, str]:
    """`RUN:NAME` in two, unless a file or folder of the whole text exists."""
    place, colon, name = text.rpartition(":")
    if not colon or Path(text).exists():
        return Path(text), ""
    return Path(place), name


def _from_file(path: Path, name: str) -> Source:
    if name:
        state = "is a file" if path.exists() else "does not exist"
        raise DataError(f"'{path}:{name}' names artefact '{name}' of the run folder {path}, which {state}.")
    if not path.exists():
        raise DataError(f"{path} does not exist. Give a predictions file (.npz), a run folder, or RUN:ARTEFACT.")
    predictions = Predictions.load(path)
    if part := predictions.about.get("part"):
        raise DataError(
            f"{path} holds rows {part['first']}:{part['end']} of {part['of']}. Put all parts together first: edgefair "
            "merge PART... --out FILE."
        )
    return Source(str(path), predictions)


def run_artefacts(folder: Path) -> tuple[Recipe, list[Artefact]]:
    """Recipe and artefacts of a run whose predictions are finished; the folder is only read."""
    recipe = run_recipe(folder)
    if not stage_record(folder / "predictions").finished:
        raise RunFolderError(
            f"the run folder {folder} has no finished predictions. Run edgefair distill-and-export with the same "
            "settings again; it goes on where it stopped."
        )
    return recipe, artefact_list(RunFolder(folder, recipe, Log(quiet=True)))


def _load_one(folder: Path, name: str) -> Source:
    recipe, artefacts = run_artefacts(folder)
    known = {artefact.name: artefact for artefact in artefacts}
    if name not in known:
        raise DataError(f"the run folder {folder} has no artefact '{name}'; {nearest(name, known)}")
    if known[name].blocked:
        raise ArtefactError(
            f"{folder}:{name} was built but not verified on a device ({known[name].blocked}) Take it to one with "
            "edgefair bundle, and judge the predictions file that comes back."
        )
    path = folder / "predictions" / f"{name}.npz"
    predictions = Predictions.load(path)
    _check_not_stale(known[name], predictions, path)
    return Source(f"{folder}:{name}", predictions, recipe, *_latency(folder / "latency", known[name]))


def _latency(folder: Path, artefact: Artefact) -> tuple[dict, dict]:
    """What the run measured on this very file, and its control; nothing where unfinished or of another file."""
    stage = stage_record(folder)
    if not stage.finished or stage.made_from.get(artefact.name) != artefact.sha256:
        return {}, {}
    record = read_record(folder / "latency.json", LatencyRecord, AGAIN, RunFolderError)
    return record.rows(artefact.name), record.controls()


def _check_not_stale(artefact: Artefact, predictions: Predictions, path: Path) -> None:
    """Predictions speak of one file: the one that was predicted with, the one the run made, the one that is there."""
    if not artefact.path.is_file():
        raise ArtefactError(f"{artefact.path} is missing, so its predictions {path} speak of nothing. Export it again.")
    made, there = predictions.about.get("sha256"), sha256(artefact.path)
    if made != there:
        raise ArtefactError(
            f"stale predictions: {path} was made with a file of SHA-256 {str(made)[:12]}, but {artefact.path} is now "
            f"{there[:12]}. Predict again: run edgefair distill-and-export with the same settings."
        )
    stored = stage_record(path.parent).files.get(path.name)
    if stored != sha256(path):
        raise ArtefactError(
            f"{path} is not the file that its run wrote (SHA-256 in stage.json: {str(stored)[:12]}). "
            "Predict again: run edgefair distill-and-export with the same settings."
        )
