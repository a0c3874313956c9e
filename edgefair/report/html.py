"""The report as one HTML file that needs no network; report.json stays the record."""

import base64
import hashlib
import json
from importlib.resources import files

import tomli_w

from edgefair.errors import require
from edgefair.report.charts import build_charts
from edgefair.report.plot import colours

NONE = "undefined"
MOST_NAMED = 60
# What a browser may do with the page: draw it. It cannot reach any other address, whatever stands in it.
POLICY = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"

SYMBOLS = {"pass": "✓", "fail": "✕", "inconclusive": "?"}
CHECKS = {
    "accuracy_drop": "Loss of accuracy",
    "worst_group_drop": "Loss of accuracy of the group that lost most",
    "mean_drift": "Change of the mean recall gap; bound of how far the gaps moved",
    "max_drift": "Change of the largest recall gap; bound of how far any gap moved",
    "flip_rate": "Predictions that differ from the reference",
    "collapse": "Collapse guard: variety of the predicted classes",
    "latency_p90_ms": "Latency, 90th percentile",
    "size_mb": "File size",
}
UNITS = {"points": "points", "percent": "%", "ratio": "", "latency_p90_ms": "ms", "size_mb": "MB"}
SCORES = {
    "accuracy": ("Accuracy", "share of the rows that are predicted right"),
    "macro_precision": (
        "Macro precision",
        "of the rows predicted as a class, the share that is right; mean over classes",
    ),
    "macro_recall": ("Macro recall", "of the rows of a class, the share that is recognised; mean over classes"),
    "macro_f1": ("Macro F1", "harmonic mean of precision and recall; mean over classes"),
    "auroc": (
        "AUROC",
        "chance that a row of a class scores higher for it than a row of another class; 50 % is guessing",
    ),
}
DISPARITIES = {
    "mean_abs_disparity": ("Mean absolute disparity", "recall of the best minus the worst group; mean over classes"),
    "deo_mean": ("DEO mean", "difference in equalised opportunity: the same number under its other name"),
    "deo_max": ("DEO max", "the same gap for the class where it is largest"),
    "demographic_parity_difference": ("Demographic parity", "how unequally often a class is predicted; worst class"),
    "equalized_odds_difference": ("Equalised odds", "larger gap of true and of false positive rate; worst class"),
    "accuracy_gap": ("Accuracy gap", "accuracy of the best minus the worst group"),
}  # fmt: skip
MEANING = {
    "pass": "Every judged model keeps within the tolerances fixed before the run, on images like these.",
    "fail": "Not fit to ship by the tolerances fixed before the run: {fail} broke at least one.",
    "inconclusive": "No tolerance was broken, but there is not enough evidence that {inconclusive} kept within them. "
    "This is not a pass.",
}


def render_html(report: dict, gallery: dict) -> str:
    """The whole page; `report` is build_report's with NaN as None, `gallery` is gallery()'s or empty.

    Names, ids and paths are the user's: the template escapes them, and the page's policy runs the two scripts made here
    and no other, nor does it load anything.
    Raises MissingExtra without plotly and jinja2.
    """
    jinja2 = require("jinja2", "report", "the HTML report")
    markup = require("markupsafe", "report", "the HTML report").Markup
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= FILTERS
    charts = build_charts(report)
    library = require("plotly.offline", "report", "the HTML report").get_plotlyjs().replace("\r", "")
    drawing = DRAW.replace("FIGURES", script_json({chart.id: chart.figure for chart in charts}))
    template = environment.from_string(files("edgefair.report").joinpath("report.html.j2").read_text("utf-8"))
    return template.render(
        **_view(report, gallery),
        charts=charts,
        policy=f"{POLICY} script-src {_fingerprint(library)} {_fingerprint(drawing)}",
        library=markup(library),
        drawing=markup(drawing),
    )


def script_json(value) -> str:
    """JSON that can stand inside a <script>: no character of it ends the script or a line."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _fingerprint(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _view(report: dict, gallery: dict) -> dict:
    """All that the template needs beside the charts."""
    shown = [entry for entry in report["artefacts"] if entry["runtime"] != "null"]
    null = next((entry for entry in report["artefacts"] if entry["runtime"] == "null"), None)
    judged = [entry for entry in shown if "verdict" in entry]
    return {
        "report": report,
        "recipe": report["recipe"],
        "data": report["data"],
        "shown": shown,
        "null": null,
        "judged": judged,
        "colours": colours(shown),
        "batch": str(report["recipe"]["bench"]["batches"][0]),
        "meaning": _meaning(report["outcome"], judged),
        "small_cells": sorted({cell for entry in judged for cell in entry["verdict"]["numbers"]["small_cells"]}),
        "recipe_toml": _toml(report["recipe"]),
        "cells": gallery.get("cells", []),
        "changed": gallery.get("changed", []),
        "words": {"checks": CHECKS, "scores": SCORES, "disparities": DISPARITIES, "symbols": SYMBOLS},
        "most": MOST_NAMED,
    }


def _meaning(outcome: str, judged: list[dict]) -> str:
    """One plain sentence of what the outcome means, naming the models it rests on."""
    names = {o: " and ".join(e["artefact"] for e in judged if e["outcome"] == o) for o in SYMBOLS}
    text = MEANING[outcome].format(**names)
    if outcome == "fail" and names["inconclusive"]:
        text += f" Not enough evidence about: {names['inconclusive']}."
    return text


def _toml(recipe: dict) -> str:
    return tomli_w.dumps({name: _given(value) for name, value in recipe.items() if value is not None})


def _given(value):
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def hundredths(share: float | None, digits: int = 1) -> str:
    """A share of one as percent or points, without the unit."""
    return NONE if share is None else f"{round(100 * share, digits) + 0.0:.{digits}f}"  # no "-0.0"


def significant(value: float | None, digits: int = 3) -> str:
    """Three significant digits, without an exponent; whole thousands with a comma."""
    if value is None:
        return NONE
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.{digits}g}".rstrip(".") if abs(value) >= 1e-4 else f"{value:.1g}"


def interval(ends: list | None) -> str:
    """Both ends of an interval of shares, in percent."""
    return "" if not ends or None in ends else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def chance(p: float | None) -> str:
    """A permutation p-value; it cannot be smaller than one over the number of draws."""
    return NONE if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def measured(value: float | None, unit: str) -> str:
    """A check's number with its unit."""
    if value is None:
        return NONE
    digits = 3 if unit in ("latency_p90_ms", "size_mb") else 2
    number = significant(value) if digits == 3 else f"{round(value, 2) + 0.0:.2f}"
    return f"{number}\u00a0{UNITS.get(unit, '')}".rstrip("\u00a0")


def worst_group(groups: list[dict]) -> str:
    """The lowest group accuracy, in percent; undefined where a declared group has no rows."""
    rates = [group["accuracy"] for group in groups]
    return NONE if not rates or None in rates else f"{100 * min(rates):.1f}"


def flips(entry: dict) -> str:
    """The share of changed predictions beside the reference, in percent; a dash for what has no reference."""
    checks = entry["verdict"]["checks"] if "verdict" in entry else []
    return next((hundredths_of(check["value"]) for check in checks if check["name"] == "flip_rate"), "–")


def hundredths_of(percent: float | None) -> str:
    """A number that already is in percent."""
    return NONE if percent is None else f"{percent:.1f}"


def machine(about: dict) -> str:
    """The machine in one line."""
    known = {
        "processor": "{}",
        "cores": "{} cores",
        "system": "{}",
        "python": "Python {}",
        "instructions": "instructions {}",
    }
    texts = {k: " + ".join(v) if isinstance(v, list) else str(v) for k, v in about.items() if v not in ("", [], None)}
    return ", ".join(known.get(key, key.replace("_", " ") + " {}").format(text) for key, text in texts.items())


def moment(text: str) -> str:
    """An ISO time as date and minute."""
    return text[:16].replace("T", " ") + (" UTC" if text.endswith(("+00:00", "Z")) else text[19:])


def became(item: dict) -> str:
    """What a changed prediction did: right before, right after or neither."""
    return "lost" if item["before"] == item["true"] else "won" if item["after"] == item["true"] else "still wrong"


FILTERS = {
    "hundredths": hundredths,
    "significant": significant,
    "interval": interval,
    "chance": chance,
    "measured": measured,
    "worst_group": worst_group,
    "flips": flips,
    "machine": machine,
    "moment": moment,
    "became": became,
}

DRAW = """
const figures = FIGURES;
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const config = {responsive: true, displaylogo: false, modeBarButtons: [["toImage", "resetScale2d"]]};
function draw() {
  for (const [id, {data, layout}] of Object.entries(figures)) {
    layout.font.color = colour("--text");
    for (const axis of [layout.xaxis, layout.yaxis])
      Object.assign(axis, {gridcolor: colour("--line"), zerolinecolor: colour("--muted"), linecolor: colour("--line")});
    layout.modebar = {bgcolor: "rgba(0,0,0,0)", color: colour("--line"), activecolor: colour("--muted")};
    layout.hoverlabel = {bgcolor: colour("--card"), font: {color: colour("--text")}};
    Plotly.react("chart-" + id, data, layout, config);
  }
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
"""
