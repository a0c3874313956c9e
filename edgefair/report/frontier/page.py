"""The frontier as one HTML file that needs no network."""

from importlib.resources import files

from edgefair.errors import require
from edgefair.report.chart import Chart
from edgefair.report.formatting import visible
from edgefair.report.frontier.charts import SAID, curve_charts, frontier_chart, ranked
from edgefair.report.frontier.scales import label, lambda_text
from edgefair.report.frontier.space import space_chart
from edgefair.report.frontier.tables import chosen, head, shown
from edgefair.report.html import POLICY, fingerprint, swatch, templates

MOST_CLASSES = 20


def render_frontier(found: dict) -> str:
    """The page of `edgefair frontier`, its numbers with NaN as None. Raises MissingExtra without jinja2."""
    markup = require("markupsafe", "report", "the HTML page").Markup
    folder = files("edgefair.report") / "templates"
    script = markup((folder / "frontier.js").read_text("utf-8"))
    page = (
        templates(autoescape=True)
        .get_template("frontier.html.j2")
        .render(
            found=found,
            views=[_view(facet, found["lines"], f"data{i}", markup) for i, facet in enumerate(found["facets"])],
            runs=sum(len(point["seeds"]) for facet in found["facets"] for point in facet["points"]),
            recipes=sum(len(facet["points"]) for facet in found["facets"]),
            seeds=sorted({len(point["seeds"]) for facet in found["facets"] for point in facet["points"]}),
            swatch=lambda series: markup(swatch(series)),
            label=lambda point: label(point).replace("λ ", "λ\u00a0"),  # lambda and its value stay on one line
            said=SAID,
            shown=shown,
            head=head,
            lambda_text=lambda_text,
            script=script,
            style=markup("".join((folder / name).read_text("utf-8") for name in ("page.css", "frontier.css"))),
            policy=f"{POLICY} {fingerprint(script)}",
        )
    )
    return visible(page)


def _view(facet: dict, lines: list[float], name: str, markup) -> dict:
    """What the template needs of one data set beside its numbers."""
    front = ranked(facet)
    space = space_chart(facet, name)
    return {
        "id": name,
        "facet": facet,
        "front": front,
        "numbers": {i: nth for nth, i in enumerate(front, 1)},
        "collapsed": [label(point) for point in facet["points"] if point["standing"] == "collapsed"],
        "picks": _picks(facet, lines, front),
        "main": _safe(frontier_chart(facet, lines, name), markup),
        "curves": [_safe(chart, markup) for chart in curve_charts(facet, name)],
        "space": space and _safe(space, markup),
        "classes": [_classes(facet, method) for method in facet["methods"]],
    }


def _safe(chart: Chart, markup) -> Chart:
    return chart._replace(svg=markup(chart.svg), legend=[(markup(sample), name) for sample, name in chart.legend])


def _picks(facet: dict, lines: list[float], front: list[int]) -> list[dict]:
    """What each recipe is the best in, once each: most accurate, least disparity, by A - lambda * D."""
    if not front:
        return []
    reasons: dict[int, list[str]] = {front[0]: ["most accurate"]}
    reasons.setdefault(front[-1], []).append("smallest gap")
    for best in dict.fromkeys(i for i in facet["best"] if i is not None):
        worth = [lambda_text(lam) for lam, i in zip(lines, facet["best"], strict=True) if i == best]
        several = f"{', '.join(worth[:-1])} or {worth[-1]}" if len(worth) > 1 else worth[0]
        said = f"best where a point of gap is worth {several} point{'' if worth == ['1'] else 's'} of accuracy"
        reasons.setdefault(best, []).append(said)
    return [{"point": i, "why": reasons[i]} for i in sorted(reasons, key=front.index)]


def _classes(facet: dict, method: dict) -> dict:
    """Table 6 of one method: chosen points, and the classes, those of the largest gaps where there are many."""
    own = chosen(facet, method)
    first = facet["points"][own[0]]["classes"]["mean"]
    order = list(range(len(first)))
    if len(order) > MOST_CLASSES:
        order = sorted(order, key=lambda c: -abs(first[c] or 0))[:MOST_CLASSES]
    return {"name": method["name"], "points": own, "order": order, "all": len(order) == len(first)}
