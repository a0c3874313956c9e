"""What `bench` is given: a file with a runtime, a run folder, one artefact of it, or a folder with a manifest."""

from dataclasses import replace
from pathlib import Path

from edgefair.errors import DataError, MissingExtra, RecipeError, nearest
from edgefair.files import sha256
from edgefair.log import Log
from edgefair.pipeline.references import split_name
from edgefair.pipeline.run_artefacts import artefact_list
from edgefair.pipeline.run_folder import RunFolder, run_recipe
from edgefair.runtimes import manifest, runtime_class, runtime_names
from edgefair.runtimes.artefact import Artefact, exported
from edgefair.runtimes.targets import is_engine


def bench_artefacts(texts: list[str], runtimes: list[str], log: Log) -> list[Artefact]:
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
    found: list[Artefact] = []
    for text in texts:
        if text in files:
            found += _of_file(text, [pairs[text]] if pairs else runtimes)
        else:
            found += _of_folder(text, log)
    return _named(found)


def unavailable_reason(runtime: str) -> str:
    """Why this machine cannot run it, "" where it can; raises RecipeError for an unknown runtime."""
    try:
        return runtime_class(runtime).run_unavailable_reason()
    except (ImportError, MissingExtra) as error:
        return str(error)


def _of_file(text: str, runtimes: list[str]) -> list[Artefact]:
    path, name = split_name(text)
    if name:
        raise DataError(f"'{text}' names artefact '{name}' of the folder {path}, which does not exist.")
    if not path.is_file():
        raise DataError(f"{path} does not exist. Give a file, a run folder, or RUN:ARTEFACT.")
    known = [entry for entry in manifest.read(path.parent) if entry.file == path.name]
    runtimes = runtimes or list(dict.fromkeys(entry.runtime for entry in known))
    if not runtimes:
        raise RecipeError(f"nothing says what runs {path}; add --runtime, one of {', '.join(runtime_names())}.")
    found = []
    for runtime in runtimes:
        reason = unavailable_reason(runtime)  # first of all, for it refuses an unknown name
        entry = manifest.listed(path) if known or is_engine(runtime) else None  # an engine must be listed
        if reason:
            raise RecipeError(f"runtime '{runtime}' cannot run here: {reason}")
        precision, batch = (entry.precision, entry.batch) if entry else ("unknown", 0)
        found.append(Artefact(path.name, path, runtime, precision, sha256(path), batch=batch))
    return found


def _of_folder(text: str, log: Log) -> list[Artefact]:
    folder, name = split_name(text)
    known = _run(folder) if (folder / "recipe.toml").is_file() else _manifest(folder)
    if name:
        if name not in known:
            raise DataError(f"{folder} has no artefact '{name}'; {nearest(name, known)}")
        if reason := unavailable_reason(known[name].runtime):
            raise RecipeError(f"artefact '{name}' cannot run here: {reason}")
        return [_unchanged(known[name])]
    shipped = [one for one in known.values() if one.name not in ("teacher", "student", "null")]
    blocked = {one.name: reason for one in shipped if (reason := unavailable_reason(one.runtime))}
    for label, reason in blocked.items():
        log.line(f"{label} is left out: {reason}")
    if len(blocked) == len(shipped):
        raise DataError(f"{folder} holds no artefact that this machine can run.")
    return [_unchanged(one) for one in shipped if one.name not in blocked]


def _run(folder: Path) -> dict[str, Artefact]:
    artefacts = artefact_list(RunFolder(folder, run_recipe(folder), Log(quiet=True)))
    return {one.name: one for one in artefacts}


def _manifest(folder: Path) -> dict[str, Artefact]:
    entries = manifest.read(folder)
    if not entries:
        raise DataError(f"{folder} is no run folder and holds no {manifest.NAME}, so nothing says what is in it.")
    return {entry.name: exported(folder, entry) for entry in entries}


def _unchanged(artefact: Artefact) -> Artefact:
    """The artefact with its file's hash; refuses one that is missing or not what the manifest beside it names."""
    return replace(artefact, sha256=manifest.unchanged(artefact.path))


def _named(found: list[Artefact]) -> list[Artefact]:
    """The same with names that differ: by runtime where that tells them apart, then by number."""
    names = [one.name for one in found]
    labels = [f"{one.name} on {one.runtime}" if names.count(one.name) > 1 else one.name for one in found]
    before = [labels[:i].count(label) for i, label in enumerate(labels)]
    numbered = [f"{label} {count + 1}" if count else label for label, count in zip(labels, before, strict=True)]
    return [replace(one, name=name) for one, name in zip(found, numbered, strict=True)]
