"""Run one artefact on the gate rows: what the main job does for each, and what a device does for the host."""

from pathlib import Path

from edgefair.data.gate_rows import GateRows
from edgefair.errors import DataError
from edgefair.log import Log
from edgefair.predictions import Predictions
from edgefair.runtimes import load_runtime, manifest, predict_rows
from edgefair.runtimes.artefact import Artefact, exported
from edgefair.runtimes.base import Runtime
from edgefair.runtimes.machine import describe_machine
from edgefair.runtimes.onnx_inspect import narrowest

BATCH = 64


def predict(
    artefact: Artefact,
    gate: GateRows,
    log: Log,
    threads: int = 0,
    runtime: Runtime | None = None,
    part: tuple[int, int] | None = None,
) -> Predictions:
    """Logits of the gate rows with what made them: the file, its runtime, this machine.

    part: the rows first .. end - 1 alone, to be merged with the others (pipeline/merge.py); None for all. runtime: what
    executes it instead of the artefact's own, such as a simulator of one that is not here; its owner closes it. Else
    the artefact's own is loaded here and closed again. Raises ArtefactError where the file does not load or run,
    DataError where it has another number of classes.
    """
    if runtime is None:
        with load_runtime(artefact.runtime, artefact.path, threads) as loaded:
            return predict(artefact, gate, log, runtime=loaded, part=part)
    if runtime.num_classes != len(gate.class_names):
        raise DataError(
            f"{artefact.path} returns {runtime.num_classes} logits, the gate rows are of {len(gate.class_names)} "
            f"classes ({', '.join(gate.class_names[:4])} ...). Give the gate rows of the run that made the file."
        )
    first, end = part or (0, len(gate.rows))
    # A row keeps the neighbours that it has in a batch of the whole: they can touch the last bits of its logits.
    size = artefact.batch or BATCH
    start = first // size * size
    rows = gate.rows[start : -(-end // size) * size]
    with log.progress(f"predicting with {artefact.name}", len(rows)) as advance:
        logits = predict_rows(runtime, gate.images, rows, advance, size)[first - start : end - start]
    about = {**artefact.about(), **runtime.describe(), "machine": describe_machine()}
    about["precision"] = artefact.precision or narrowest(about.get("formats", {}))
    if part is None:
        return gate.predictions(logits, about)
    about["part"] = {"first": first, "end": end, "of": len(gate.rows)}
    about["part"] |= {"rows_sha256": gate.rows_sha256, "data_sha256": gate.data_sha256}
    return gate.part(first, end).predictions(logits, about)


def artefact_from_file(path: Path, runtime: str) -> Artefact:
    """The artefact that the manifest beside a file makes of it for this runtime; else the file under its own name."""
    path = Path(path)
    sha256 = manifest.unchanged(path)
    for entry in manifest.read(path.parent):
        if entry.file == path.name and entry.runtime == runtime:
            return exported(path.parent, entry)
    return Artefact(path.stem, path, runtime, "", sha256)
