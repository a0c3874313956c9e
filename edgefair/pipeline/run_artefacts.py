"""The artefacts of a run folder, from its manifest."""

from pathlib import Path

from edgefair.pipeline.run_folder import RunFolder
from edgefair.runtimes import manifest
from edgefair.runtimes.artefact import Artefact, exported


def artefact_list(run: RunFolder) -> list[Artefact]:
    """All artefacts of a run, in the order of the report; `blocked` ones were built but cannot be judged here."""
    own = [
        ("teacher", run.path / "teacher" / "teacher.safetensors", "eager", "fp32", "", ""),
        ("student", run.path / "student" / "student.safetensors", "eager", "fp32", "teacher", "no_worse"),
    ]
    folder = run.path / "artefacts"
    null = ("null", folder / "null.txt", "null", "none", "", "")
    first, last = ([_plain(run, *row) for row in rows] for rows in (own, [null]))
    return first + [exported(folder, entry) for entry in manifest.read(folder)] + last


def _plain(run: RunFolder, name: str, path: Path, runtime: str, precision: str, reference: str, claim: str) -> Artefact:
    return Artefact(name, path, runtime, precision, run.hash_of(path), reference, claim)
