"""The finished runs below some folders, and what was left out with its reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgefair.errors import DataError, RunFolderError, nearest
from edgefair.files import digest, flat
from edgefair.pipeline.summarize import artefacts_of, read_report, settings_of


class Found(NamedTuple):
    """Reports of finished runs, in the order of their folders, and {"folder", "why"} of what was left out."""

    reports: list[dict]
    left_out: list[dict[str, str]]


def load_sweep(places: list[Path], artefact: str) -> Found:
    """The reports below `places` that have the artefact, each recipe and seed once.

    A run that is unfinished, cannot be read, or stands twice is left out and named. Raises RunFolderError where no
    finished run is left, and DataError where none has the artefact.
    """
    reports, left_out, known = [], [], {}
    for folder in dict.fromkeys(run for place in places for run in run_folders(place)):
        if not (folder / "report.json").is_file():
            left_out.append({"folder": str(folder), "why": "not finished: it has no report.json"})
            continue
        try:
            report = read_report(folder)
        except RunFolderError as error:
            left_out.append({"folder": str(folder), "why": str(error)})
            continue
        same = known.setdefault(digest([point_settings(report), report["recipe"]["seed"]]), folder)
        if same != folder:
            left_out.append({"folder": str(folder), "why": f"the same settings and seed as {same}"})
        else:
            reports.append(report)
    if not reports:
        raise RunFolderError(_nothing(places, left_out))
    return Found(*_with_artefact(reports, left_out, artefact))


def run_folders(place: Path) -> Iterator[Path]:
    """The run folders in `place`, itself or at any depth; nothing inside a run, a store of teachers or a hidden folder.

    A run folder holds recipe.toml or report.json. Links are followed, and each folder is visited once.
    """
    seen: set[Path] = set()
    waiting = [Path(place)]
    while waiting:
        folder = waiting.pop(0)
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        if any((folder / name).is_file() for name in ("recipe.toml", "report.json")):
            yield folder
            continue
        try:
            below = sorted(path for path in folder.iterdir() if path.is_dir())
        except OSError as error:
            raise RunFolderError(f"{folder} cannot be read: {error.strerror}. Give a folder of run folders.") from None
        store = {"teachers"} if (folder / "grid.toml").is_file() else set()
        waiting[:0] = [path for path in below if not path.name.startswith(".") and path.name not in store]


def point_settings(report: dict) -> dict:
    """What makes a point: all settings but the seed and where files lie. A plain run reads no lambda."""
    settings = settings_of(report) | data_settings(report)
    if report["recipe"]["strategy"]["name"] == "plain":
        settings.pop("strategy.lam")
    return settings


def data_settings(report: dict) -> dict:
    """What makes a data set: its settings and declared names, and of its path the last part alone."""
    fields = {f"data.{name}": value for name, value in flat(report["recipe"]["data"]).items()}
    if fields.get("data.path"):
        fields["data.path"] = Path(str(fields["data.path"])).name
    return fields | {name: report["data"][name] for name in ("class_names", "group_names")}


def _with_artefact(reports: list[dict], left_out: list[dict], artefact: str) -> tuple[list[dict], list[dict]]:
    kept = [report for report in reports if artefact in artefacts_of(report)]
    if not kept:
        names = dict.fromkeys(name for report in reports for name in artefacts_of(report))
        raise DataError(f"--artefact {artefact}: no run has it; {nearest(artefact, names)}")
    lacking = [report["folder"] for report in reports if artefact not in artefacts_of(report)]
    return kept, left_out + [{"folder": folder, "why": f"it has no artefact {artefact}"} for folder in lacking]


def _nothing(places: list[Path], left_out: list[dict]) -> str:
    where = ", ".join(map(str, places))
    why = "".join(f"\n  {one['folder']}: {one['why']}" for one in left_out)
    return f"{where} has no finished run that can be read.{why}\n" + (
        "Give a folder of run folders that edgefair distill-and-export or edgefair sweep has finished."
    )
