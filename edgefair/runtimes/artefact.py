"""What a run judges: teacher and student in PyTorch, each exported file on its runtime, and the null runtime."""

from dataclasses import dataclass, field
from pathlib import Path

from edgefair.pipeline.run_folder import RunFolder
from edgefair.runtimes import manifest


@dataclass(frozen=True)
class Artefact:
    """One file on one runtime; `reference` names the artefact it is compared with, `claim` what is asked of it.

    batch: the only batch size it takes, 0 where any. blocked: why it could not be run on the machine that built it.
    facts: what its builder recorded.
    """

    name: str
    path: Path
    runtime: str
    precision: str
    sha256: str
    reference: str = ""
    claim: str = ""
    target: str = ""
    batch: int = 0
    blocked: str = ""
    facts: dict = field(default_factory=dict)

    def about(self) -> dict:
        """What identifies it, as JSON values."""
        return {
            "artefact": self.name,
            "file": self.path.name,
            "sha256": self.sha256,
            "precision": self.precision,
            "target": self.target,
            "bytes": self.path.stat().st_size,
        }


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


def exported(folder: Path, entry: dict) -> Artefact:
    """An entry of the manifest as an artefact that must be the same as the student."""
    fields = {
        name: entry[name] for name in ("name", "runtime", "precision", "sha256", "target", "batch", "blocked", "facts")
    }
    return Artefact(**fields, path=folder / entry["file"], reference="student", claim="same")


def _plain(run: RunFolder, name: str, path: Path, runtime: str, precision: str, reference: str, claim: str) -> Artefact:
    return Artefact(name, path, runtime, precision, run.hashes(path.parent.name)[path.name], reference, claim)
