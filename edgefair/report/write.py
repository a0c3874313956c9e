"""Write report.json and report.html into the run folder."""

from edgefair.artefacts import Artefact
from edgefair.data import Examples
from edgefair.files import finite, write_bytes, write_json
from edgefair.report.gallery import gallery
from edgefair.report.html import render_html
from edgefair.runfolder import RunFolder


def write_report(report: dict, artefacts: list[Artefact], run: RunFolder, examples: Examples) -> None:
    """report.json is the record; report.html shows it, with sample images, in one file that needs no network."""
    write_json(run.path / "report.json", report)
    page = render_html(finite(report), gallery(run, artefacts, examples))
    write_bytes(run.path / "report.html", page.encode())
