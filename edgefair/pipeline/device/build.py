"""Build what a runtime executes, on the device that will run it, from ONNX files that came from elsewhere."""

import shutil
from dataclasses import replace
from pathlib import Path

from edgefair.errors import ArtefactError, EdgefairError, RunFolderError
from edgefair.files import atomic_path
from edgefair.log import Log
from edgefair.pipeline.build_artefacts import built_entry, file_name
from edgefair.pipeline.device import kit
from edgefair.recipe import DeploySettings
from edgefair.runtimes import Built, manifest, runtime_class
from edgefair.runtimes.onnx_inspect import census, narrowest
from edgefair.runtimes.records import ManifestEntry
from edgefair.runtimes.targets import ON_REQUEST, TARGETS, target_of


def build(
    source: Path, runtime: str, folder: Path | None, settings: DeploySettings, precisions: tuple[str, ...], log: Log
) -> list[ManifestEntry]:
    """Build every precision of a kit, or one ONNX file, into `folder`; returns the entries added to its manifest.

    folder: beside the source where None. precisions: which files of a kit; where empty, all but those on request.
    Raises ArtefactError where a file was changed, is not there, or the builder refuses it.
    """
    target, builder = target_of(runtime), runtime_class(runtime)
    if reason := builder.build_unavailable_reason():
        raise ArtefactError(f"files for the runtime '{runtime}' cannot be built here: {reason}")
    source = Path(source)
    sources = _of_kit(source, target, precisions) if source.is_dir() else _of_file(source, precisions)
    folder = Path(folder) if folder else (source if source.is_dir() else source.parent)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"cannot write into {folder}: {error.strerror}. Choose another with --out.") from None
    entries = []
    for path, precision in sources:
        log.line(f"building {precision} for {target} from {path.name}")
        facts = {"source": path.name, "source_sha256": manifest.unchanged(path)}
        usual = path.name == file_name(target, precision)
        name = f"student.{precision}.{target}" if usual else f"{path.stem}.{target}"
        for built in builder.build(path, folder, name, settings):
            entry = built_entry(_into(built, folder), target, precision)
            label = entry.name if usual else f"{path.stem}-{entry.name}"
            entries.append(entry.model_copy(update={"name": label, "facts": entry.facts | facts}))
    manifest.add(folder, entries)
    return entries


def _into(built: Built, folder: Path) -> Built:
    """What was built, in the folder of its manifest: a runtime that executes ONNX gives the source back."""
    if built.path.parent.resolve() == folder.resolve():
        return built
    with atomic_path(folder / built.path.name) as part:
        shutil.copyfile(built.path, part)
    return replace(built, path=folder / built.path.name)


def _of_kit(folder: Path, target: str, precisions: tuple[str, ...]) -> list[tuple[Path, str]]:
    """The ONNX files of a whole kit that this target builds from, each with its precision."""
    kit.check(folder)
    offered = [p for p in TARGETS[target].precisions if (p in precisions if precisions else p not in ON_REQUEST)]
    needed = {precision: folder / file_name(target, precision) for precision in offered}
    missing = [path.name for precision, path in needed.items() if precision in precisions and not path.is_file()]
    found = [(path, precision) for precision, path in needed.items() if path.is_file()]
    if missing or not found:
        wanted = ", ".join(missing or [path.name for path in needed.values()] or precisions)
        raise ArtefactError(
            f"the kit {folder} has no {wanted} for the target '{target}', which takes "
            f"{', '.join(TARGETS[target].precisions)}. Make the run with --target {target} (on a host without TensorRT "
            "--target tensorrt-rtx: the ONNX files are the same) and the kit again."
        )
    return found


def _of_file(path: Path, precisions: tuple[str, ...]) -> list[tuple[Path, str]]:
    manifest.unchanged(path)
    if (path.parent / kit.NAME).is_file():
        kit.check(path.parent)
    try:
        precision = narrowest(census(path)) or "unknown"
    except EdgefairError:
        raise
    except Exception as error:  # protobuf's and onnx's own classes share no public base
        raise ArtefactError(f"{path} is no readable ONNX file ({type(error).__name__}). Export it again.") from error
    if precisions and precision not in precisions:
        raise ArtefactError(f"{path} holds {precision}; requested: {', '.join(precisions)}.")
    return [(path, precision)]
