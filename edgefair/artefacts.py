"""What a run judges: teacher and student in PyTorch, each exported file on its runtime, and the null runtime."""

from dataclasses import dataclass
from pathlib import Path

from edgefair.recipe import Recipe
from edgefair.runfolder import RunFolder


@dataclass(frozen=True)
class Artefact:
    """One file on one runtime; `reference` names the artefact it is compared with, `claim` what is asked of it."""

    name: str
    path: Path
    runtime: str
    precision: str
    sha256: str
    reference: str = ""
    claim: str = ""

    def about(self) -> dict:
        """What identifies it, as JSON values."""
        return {
            "artefact": self.name,
            "file": self.path.name,
            "sha256": self.sha256,
            "precision": self.precision,
            "bytes": self.path.stat().st_size,
        }


def artefact_list(run: RunFolder, recipe: Recipe) -> list[Artefact]:
    """All artefacts of a run, in the order of the report."""
    folder = run.path / "artefacts"
    rows = [
        ("teacher", run.path / "teacher" / "teacher.safetensors", "eager", "fp32", "", ""),
        ("student", run.path / "student" / "student.safetensors", "eager", "fp32", "teacher", "no_worse"),
    ]
    files = {"fp32": "student.onnx", "int8": "student.int8.onnx"}
    rows += [
        (f"ort-{precision}", folder / files[precision], "ort", precision, "student", "same")
        for precision in recipe.quantize.precisions
    ]
    rows.append(("null", folder / "null.txt", "null", "none", "", ""))
    return [
        Artefact(name, path, runtime, precision, run.hashes(path.parent.name)[path.name], ref, claim)
        for name, path, runtime, precision, ref, claim in rows
    ]
