"""What a run judges: teacher and student in PyTorch, each exported file on its runtime, and the null runtime."""

from dataclasses import dataclass, field
from pathlib import Path

from edgefair.runtimes.records import ManifestEntry


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


def exported(folder: Path, entry: ManifestEntry) -> Artefact:
    """An entry of the manifest as an artefact that must be the same as the student."""
    names = ("name", "runtime", "precision", "sha256", "target", "batch", "blocked", "facts")
    fields = {name: getattr(entry, name) for name in names}
    return Artefact(**fields, path=folder / entry.file, reference="student", claim="same")
