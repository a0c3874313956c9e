"""The report as one HTML file that needs no network; report.json stays the record."""

import base64
import functools
import hashlib
from importlib.resources import files

import tomli_w

from edgefair.errors import require
from edgefair.report import wording as words
from edgefair.report.charts import build_charts, place
from edgefair.report.confusion_tables import confusion_view
from edgefair.report.formatting import FILTERS, visible
from edgefair.report.outcomes import OUTCOMES, check_name
from edgefair.report.svg import mark, tag

MOST_NAMED = 60
FIND_FROM = 20  # tables of more classes get a field to find one
# What a browser may do with the page: draw it. It cannot reach any other address, whatever stands in it.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; script-src"


def render_html(report: dict, gallery: dict) -> str:
    """The whole page; `report` is build_report's with NaN as None, `gallery` is gallery()'s or empty.

    Names, ids and paths are the user's: the template escapes them, and the page's policy runs the script made here and
    no other, nor does it load anything. Raises MissingExtra without jinja2.
    """
    environment = templates(autoescape=True)
    markup = require("markupsafe", "report", "the HTML report").Markup
    folder = files("edgefair.report") / "templates"
    script, style = (markup((folder / name).read_text("utf-8")) for name in ("page.js", "page.css"))
    charts = [
        chart._replace(svg=markup(chart.svg), legend=[(markup(sample), name) for sample, name in chart.legend])
        for chart in build_charts(report)
    ]
    page = environment.get_template("page.html.j2").render(
        **_view(report, gallery),
        charts=charts,
        swatch=lambda series: markup(swatch(series)),
        policy=f"{POLICY} {fingerprint(script)}",
        script=script,
        style=style,
    )
    return visible(page)


@functools.cache
def templates(autoescape: bool):
    """The report's templates with its filters; raises MissingExtra without jinja2."""
    jinja2 = require("jinja2", "report", "the report")
    loader = jinja2.PackageLoader("edgefair.report")
    environment = jinja2.Environment(loader=loader, autoescape=autoescape, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= FILTERS
    environment.globals |= {"words": words, "outcomes": OUTCOMES, "check_name": check_name}
    return environment


def swatch(series: int) -> str:
    """The mark of a series beside its name; the name says it all to a screen reader."""
    return tag("svg", mark(series, 9, 9), viewBox="0 0 18 18", class_="swatch", aria_hidden="true")


def fingerprint(script: str) -> str:
    """What the page's policy knows the one script by that may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _view(report: dict, gallery: dict) -> dict:
    """All that the template needs beside the charts."""
    data = report["data"]
    shown = [entry for entry in report["artefacts"] if entry["runtime"] != "null"]
    by_name = {entry["artefact"]: entry for entry in shown}
    judged = [entry for entry in shown if "verdict" in entry]
    return {
        "report": report,
        "recipe": report["recipe"],
        "data": data,
        "shown": shown,
        "null": next((entry for entry in report["artefacts"] if entry["runtime"] == "null"), None),
        "judged": judged,
        "series": {entry["artefact"]: i for i, entry in enumerate(shown)},
        "in_words": {e["artefact"]: words.verdict_in_words(e, by_name[e["reference"]]) for e in judged},
        "batch": str(report["recipe"]["bench"]["batches"][0]),
        "unverified": report.get("unverified", []),
        "meaning": words.meaning(report, judged),
        "objective": [objective(entry, report["lambda"]["value"]) for entry in shown],
        "confusions": [confusion_view(entry, data["class_names"], data["group_names"]) for entry in shown],
        "small_cells": sorted({cell for entry in judged for cell in entry["verdict"]["numbers"]["small_cells"]}),
        "recipe_toml": recipe_toml(report["recipe"]),
        "cells": gallery.get("cells", []),
        "path": gallery.get("path", []),
        "flips": gallery.get("flips", []),
        "most": MOST_NAMED,
        "find_from": FIND_FROM,
    }


def objective(entry: dict, lam: float) -> dict:
    """A - lambda * D in points (Bang et al., section 2), None where undefined."""
    accuracy, disparity, *_ = place(entry["metrics"])
    defined = None not in (accuracy, disparity)
    value = accuracy - lam * disparity if defined else None
    return {"artefact": entry["artefact"], "accuracy": accuracy, "disparity": disparity, "value": value}


def recipe_toml(recipe: dict) -> str:
    """The recipe as TOML text that repeats the run."""
    return tomli_w.dumps({name: _given(value) for name, value in recipe.items() if value is not None})


def _given(value):
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value
