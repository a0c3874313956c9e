"""Write report.json, report.html and MODEL_CARD.md into the run folder."""

from pathlib import Path

import numpy as np

from edgefair.files import finite, write_bytes, write_record
from edgefair.report.gallery import gallery
from edgefair.report.html import render_html
from edgefair.report.model_card import render_card
from edgefair.report.records import Report


def write_report(report: dict, samples: dict, images: np.ndarray, folder: Path) -> None:
    """report.json is the record; report.html shows it, with sample images, in one file that needs no network.

    report: what `build_report` returns. samples, images: the rows to show (`sample_rows`), and all images, uint8
    [N, 3, S, S]. folder: the run folder.
    """
    write_record(folder / "report.json", Report, report)
    page = render_html(finite(report), gallery(samples, images))
    write_bytes(folder / "report.html", page.encode())
    write_bytes(folder / "MODEL_CARD.md", render_card(finite(report)).encode())
