"""Several seeds as one HTML page without a script: a drawing and a table a metric, tests, and what may be said."""

from importlib.resources import files

from edgefair.errors import require
from edgefair.report.chart import largest, points, short
from edgefair.report.formatting import visible
from edgefair.report.html import POLICY, templates
from edgefair.report.svg import Axis, bottom_axis, drawing, line, mark, tag, text
from edgefair.report.terminal.summary import bias_sentence, called, claims


def render_seeds(result: dict) -> str:
    """The page of `edgefair summarize`, its numbers with NaN as None. Raises MissingExtra without jinja2."""
    markup = require("markupsafe", "report", "the HTML page").Markup
    sides = {"runs": result["summary"]} | ({"against": result["against"]} if "against" in result else {})
    metrics = list(next(iter(result["summary"]["artefacts"].values())))
    page = (
        templates(autoescape=True)
        .get_template("seeds.html.j2")
        .render(
            result=result,
            sides=sides,
            metrics=[(metric, called(metric), markup(seeds_chart(metric, sides))) for metric in metrics],
            legend=[(markup(mark(i, 9, 9)), name) for i, name in enumerate(sides)],
            said=claims(result["comparison"]) if "comparison" in result else [],
            bias=[bias_sentence(name, found) for name, found in result["class_bias"].items()],
            called=called,
            style=markup((files("edgefair.report") / "templates" / "page.css").read_text("utf-8")),
            policy=f"{POLICY} 'none'",
        )
    )
    return visible(page)


def seeds_chart(metric: str, sides: dict[str, dict]) -> str:
    """One line an artefact and side: its seeds as dots, their mean as a mark with the t-interval, the noise floor."""
    rows = [
        (series, name, spread[metric])
        for name in sides["runs"]["artefacts"]
        for series, side in enumerate(sides.values())
        if (spread := side["artefacts"].get(name))
    ]
    # An interval over two seeds may reach beyond what a rate can be; the drawing ends at 0 and 100.
    known = [points(v) for _, _, s in rows for v in (*s["values"], *s["interval"], s.get("floor")) if v is not None]
    low, high = min(known, default=0.0), largest(known, 1e-6)
    low, high = max(0.0, low), min(100.0, high)
    room = max(1.0, 0.05 * (high - low))
    axis, bottom = Axis(max(0.0, low - room), min(100.0, high + room), 190, 700), 14 + 22 * len(rows)
    parts = [bottom_axis(axis, 8, bottom, "percent or points")]
    for row, (series, name, spread) in enumerate(rows):
        y = 20 + 22 * row
        parts += [
            text(short(name), 178, y + 4, text_anchor="end") if series == 0 else "",
            *_row(axis, y, series, spread),
        ]
    label = f"{called(metric)} of each artefact over seeds; the numbers stand in the table below"
    return drawing(720, bottom + 44, label, *parts)


def _row(axis: Axis, y: float, series: int, spread: dict) -> list[str]:
    if spread["mean"] is None:
        return [text("undefined", axis.start + 6, y + 4, class_="small")]
    parts = [tag("circle", cx=axis.at(points(value)), cy=y, r=2.5, class_=f"f{series}") for value in spread["values"]]
    if None not in spread["interval"]:
        ends = [axis.at(min(max(points(end), axis.low), axis.high)) for end in spread["interval"]]
        parts.append(line(ends[0], y, ends[1], y, f"whisker l{series}"))
    if spread.get("floor") is not None:
        floor = axis.at(points(spread["floor"]))
        parts.append(line(floor, y - 8, floor, y + 8, "floor"))
    return [*parts, mark(series, axis.at(points(spread["mean"])), y)]
