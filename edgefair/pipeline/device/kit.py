"""The kit: a folder or archive with everything a device needs to build, predict and measure, and nothing else.

kit.json            what it was made from, and the SHA-256 of every file
manifest.json       the ONNX files, for the builders and runtimes
student*.onnx       one file a precision and dialect
gate.npz            the gate rows
latency/*.png       images of calibration rows, to measure with
recipe.toml         the settings of the engines
run_on_device.sh    does all of it; README.md says how
"""

import shutil
import tarfile
import tempfile
from importlib import resources
from pathlib import Path

import numpy as np
import tomli_w
from PIL import Image

from edgefair import __version__
from edgefair.data import load_examples
from edgefair.data.gate_rows import GateRows
from edgefair.errors import ArtefactError, DataError, RunFolderError
from edgefair.files import atomic_folder, atomic_path, read_record, sha256, write_bytes, write_record
from edgefair.log import Log
from edgefair.pipeline.build_artefacts import built_entry, file_name
from edgefair.pipeline.records import Kit
from edgefair.pipeline.references import run_artefacts
from edgefair.pipeline.run_folder import RunFolder
from edgefair.predictions import Predictions
from edgefair.recipe import Recipe
from edgefair.runtimes import Built, manifest
from edgefair.runtimes.records import ManifestEntry
from edgefair.runtimes.targets import TARGETS

NAME = "kit.json"
SCHEMA = 1
SCRIPT = "run_on_device.sh"


def bundle(run: Path, out: Path, log: Log) -> int:
    """Write the kit of a finished run to `out`, a new folder or a .tar.gz, atomically; returns its bytes.

    Raises RunFolderError where the run is not finished or `out` exists, ArtefactError where an exported file was
    changed, DataError where the data is no longer what the run predicted.
    """
    if out.exists():
        raise RunFolderError(f"{out} exists. Choose another place with --out, or remove it.")
    recipe, _ = run_artefacts(run)
    folder = RunFolder(run, recipe, log)
    files = _onnx_files(folder)
    examples = load_examples(recipe.data, recipe.seed, log)
    gate = GateRows.of(examples)
    _check_rows(gate, run)
    latency = examples.images[examples.rows["calibration"][: max(recipe.bench.batches)]]
    made_from = {"edgefair": __version__, "recipe_sha256": recipe.hash, "student": folder.hashes("student")}

    def fill(place: Path) -> None:
        _write(place, files, gate, latency, recipe, made_from, run.resolve().name)

    if not out.name.endswith(".tar.gz"):
        with atomic_folder(out) as temporary:
            fill(temporary)
        return sum(path.stat().st_size for path in _files(out))
    with atomic_path(out) as part, tempfile.TemporaryDirectory(dir=out.parent) as temporary:
        place = Path(temporary) / out.name.removesuffix(".tar.gz")
        place.mkdir()
        fill(place)
        with tarfile.open(part, "w:gz") as packed:
            packed.add(place, place.name, filter=_strip_owner)
    return out.stat().st_size


def _strip_owner(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names of the people of this machine."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _onnx_files(run: RunFolder) -> list[Path]:
    """The ONNX files that some target is built from, as the run wrote them."""
    known = run.hashes("artefacts")
    names = {file_name(target, precision) for target, row in TARGETS.items() for precision in row.precisions}
    files = [run.path / "artefacts" / name for name in sorted(names & set(known))]
    for path in files:
        if not path.is_file() or sha256(path) != known[path.name]:
            raise ArtefactError(
                f"{path} is missing or not the file that its run wrote. Run edgefair distill-and-export with the same "
                "settings again."
            )
    return files


def _check_rows(gate: GateRows, run: Path) -> None:
    """A device must predict what the host did: the same rows, with the same pixels."""
    about = Predictions.load(run / "predictions" / "student.npz").about
    for what in ("rows_sha256", "data_sha256"):
        if about.get(what) != getattr(gate, what):
            raise DataError(
                f"the gate rows of {run} are no longer those of its data ({what} was {str(about.get(what))[:12]}, is "
                f"{getattr(gate, what)[:12]}): the data changed after the run. Make the run again in a new folder."
            )


def _write(
    place: Path, files: list[Path], gate: GateRows, latency: np.ndarray, recipe: Recipe, made_from: dict, run: str
) -> None:
    for path in files:
        shutil.copyfile(path, place / path.name)
    manifest.write(place, _executable(place))
    gate.save(place / "gate.npz")
    (place / "latency").mkdir()
    for number, image in enumerate(latency):
        Image.fromarray(image.transpose(1, 2, 0)).save(place / "latency" / f"{number:04d}.png")
    settings = recipe.model_dump(mode="json", exclude_none=True, include={"deploy"})
    write_bytes(place / "recipe.toml", tomli_w.dumps(settings).encode())
    script = resources.files("edgefair.pipeline.device") / SCRIPT
    write_bytes(place / SCRIPT, script.read_bytes())
    (place / SCRIPT).chmod(0o755)
    write_bytes(place / "README.md", _readme(run, files).encode())
    written = {path.relative_to(place).as_posix(): sha256(path) for path in _files(place)}
    write_record(place / NAME, Kit, {"schema": SCHEMA, **made_from, "files": written})


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _executable(place: Path) -> list[ManifestEntry]:
    """Entries of the ONNX files that a runtime executes as they are; what is built of them is added on the device."""
    return [
        built_entry(Built(place / file_name(target, precision)), target, precision)
        for target, row in TARGETS.items()
        if row.executes_onnx
        for precision in row.precisions
        if (place / file_name(target, precision)).is_file()
    ]


def _readme(run: str, files: list[Path]) -> str:
    return f"""# Device kit of the run {run}

On the device, with edgefair installed (`pip install edgefair`, torch is not needed; TensorRT comes with JetPack):

    ./{SCRIPT} . --runtime tensorrt

or from the host, over ssh:

    ./{SCRIPT} KIT --runtime tensorrt --host user@device

It builds an engine of every precision, predicts the gate rows, measures latency, and writes `results/`. The device
judges nothing. On the host:

    edgefair verify {run} KIT/results/*.npz

Runtimes: {", ".join(row.runtime for row in TARGETS.values())}. Models: {", ".join(path.name for path in files)}.
`gate.npz` and `latency` hold images of the data set: treat them as the data set itself.
"""


def check(folder: Path) -> None:
    """Raise ArtefactError unless every file of a kit is there and is the one that was packed.

    manifest.json is not compared: building on the device adds to it.
    """
    if not (folder / NAME).is_file():
        raise ArtefactError(f"{folder} is no device kit: {NAME} is missing. Make one with edgefair bundle.")
    files = read_record(folder / NAME, Kit, "Make the kit again with edgefair bundle.", ArtefactError).files
    missing = [name for name in files if not (folder / name).is_file()]
    changed = [n for n in files if n not in missing and n != manifest.NAME and sha256(folder / n) != files[n]]
    if missing or changed:
        faults = [f"{', '.join(names)} {what}" for names, what in ((missing, "missing"), (changed, "changed")) if names]
        raise ArtefactError(f"the kit {folder} is incomplete or changed: {'; '.join(faults)}. Copy it again.")
