"""What `bench` is given: a file with a runtime, a run folder, one artefact of it, or a folder with a manifest."""

from dataclasses import dataclass, replace
from pathlib import Path

from edgefair.errors import DataError, MissingExtra, RecipeError, RunFolderError, nearest
from edgefair.log import Log
from edgefair.pipeline.references import split_name
from edgefair.pipeline.run_artefacts import artefact_list
from edgefair.pipeline.run_folder import RunFolder
from edgefair.recipe import parse, read
from edgefair.runtimes import RUNTIMES, manifest, runtime_class

ENGINES = ("tensorrt", "tensorrt-rtx")


@dataclass(frozen=True)
class Entrant:
    """One file on one runtime; batch is the only batch size it takes, 0 where any."""

    name: str
    path: Path
    runtime: str
    batch: int = 0
    precision: str = "unknown"


def entrants(texts: list[str], runtimes: list[str], log) -> list[Entrant]:
    """All that the texts name, each name once; the first is what the others are compared with.

    One runtime is for all files, several for one file mean that file on each, as many as files mean one each. What a
    whole folder holds and this machine cannot run is left out and logged. Raises EdgefairError for all else.
    """
    files = [text for text in texts if not split_name(text)[0].is_dir()]
    if len(runtimes) > 1 and len(files) not in (1, len(runtimes)):
        raise RecipeError(
            f"{len(runtimes)} runtimes for {len(files)} files; give one for all, or one each, or one file for several."
        )
    if runtimes and not files:
        raise RecipeError("--runtime is for files; a run folder or manifest says itself what runs its artefacts.")
    pairs = dict(zip(files, runtimes, strict=True)) if len(files) == len(runtimes) > 1 else {}
    found: list[Entrant] = []
    for text in texts:
        if text in files:
            found += _of_file(text, [pairs[text]] if pairs else runtimes)
        else:
            found += _of_folder(text, log)
    return _named(found)


def why_not(runtime: str) -> str:
    """Why this machine cannot run it, "" where it can; raises RecipeError for an unknown runtime."""
    try:
        return getattr(runtime_class(runtime), "why_not_run", str)()
    except (ImportError, MissingExtra) as error:
        return str(error)


def _of_file(text: str, runtimes: list[str]) -> list[Entrant]:
    path, name = split_name(text)
    if name:
        raise DataError(f"'{text}' names artefact '{name}' of the folder {path}, which does not exist.")
    if not path.is_file():
        raise DataError(f"{path} does not exist. Give a file, a run folder, or RUN:ARTEFACT.")
    known = [entry for entry in manifest.read(path.parent) if entry.file == path.name]
    runtimes = runtimes or list(dict.fromkeys(entry.runtime for entry in known))
    if not runtimes:
        raise RecipeError(f"nothing says what runs {path}; add --runtime, one of {', '.join(RUNTIMES)}.")
    found = []
    for runtime in runtimes:
        reason = why_not(runtime)  # first of all, for it refuses an unknown name
        about = manifest.listed(path) if known or runtime in ENGINES else None  # an engine must be listed
        if reason:
            raise RecipeError(f"runtime '{runtime}' cannot run here: {reason}")
        facts = (about.batch, about.precision) if about else ()
        found.append(Entrant(path.name, path, runtime, *facts))
    return found


def _of_folder(text: str, log) -> list[Entrant]:
    folder, name = split_name(text)
    known = _run(folder) if (folder / "recipe.toml").is_file() else _manifest(folder)
    if name:
        if name not in known:
            raise DataError(f"{folder} has no artefact '{name}'; {nearest(name, known)}")
        if reason := why_not(known[name].runtime):
            raise RecipeError(f"artefact '{name}' cannot run here: {reason}")
        return [_unchanged(known[name])]
    shipped = [one for one in known.values() if one.name not in ("teacher", "student", "null")]
    blocked = {one.name: reason for one in shipped if (reason := why_not(one.runtime))}
    for label, reason in blocked.items():
        log.line(f"{label} is left out: {reason}")
    if len(blocked) == len(shipped):
        raise DataError(f"{folder} holds no artefact that this machine can run.")
    return [_unchanged(one) for one in shipped if one.name not in blocked]


def _run(folder: Path) -> dict[str, Entrant]:
    run = RunFolder(folder, parse(read(folder / "recipe.toml")), Log(quiet=True))
    try:
        artefacts = artefact_list(run)
    except KeyError:
        raise RunFolderError(
            f"the run folder {folder} has no finished artefacts. Run edgefair distill-and-export again with the same "
            "settings; it goes on where it stopped."
        ) from None
    return {one.name: Entrant(one.name, one.path, one.runtime, one.batch, one.precision) for one in artefacts}


def _manifest(folder: Path) -> dict[str, Entrant]:
    entries = manifest.read(folder)
    if not entries:
        raise DataError(f"{folder} is no run folder and holds no {manifest.NAME}, so nothing says what is in it.")
    return {one.name: Entrant(one.name, folder / one.file, one.runtime, one.batch, one.precision) for one in entries}


def _unchanged(entrant: Entrant) -> Entrant:
    """Refuse a file that is missing or not what the manifest beside it names."""
    manifest.unchanged(entrant.path)
    return entrant


def _named(found: list[Entrant]) -> list[Entrant]:
    """The same with names that differ: by runtime where that tells them apart, then by number."""
    names = [one.name for one in found]
    labels = [f"{one.name} on {one.runtime}" if names.count(one.name) > 1 else one.name for one in found]
    before = [labels[:i].count(label) for i, label in enumerate(labels)]
    numbered = [f"{label} {count + 1}" if count else label for label, count in zip(labels, before, strict=True)]
    return [replace(one, name=name) for one, name in zip(found, numbered, strict=True)]
