"""Write report.json, report.html and MODEL_CARD.md into the run folder."""

from pathlib import Path

from edgefair.data import Examples
from edgefair.files import finite, write_bytes, write_record
from edgefair.predictions import Predictions
from edgefair.report.gallery import gallery
from edgefair.report.html import render_html
from edgefair.report.model_card import render_card
from edgefair.report.records import Report
from edgefair.runtimes.artefact import Artefact


def write_report(
    report: dict, artefacts: list[Artefact], predictions: dict[str, Predictions], folder: Path, examples: Examples
) -> None:
    """report.json is the record; report.html shows it, with sample images, in one file that needs no network."""
    write_record(folder / "report.json", Report, report)
    page = render_html(finite(report), gallery(artefacts, predictions, examples))
    write_bytes(folder / "report.html", page.encode())
    write_bytes(folder / "MODEL_CARD.md", render_card(finite(report)).encode())
