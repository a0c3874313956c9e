"""Accuracy against disparity with the Pareto set and the lines A - lambda * D, and both against lambda."""

import html
from typing import NamedTuple

from edgefair.report.chart import Chart, points
from edgefair.report.frontier.scales import LambdaScale, Spot, extent, floors, label, lambda_text, ranges, spot
from edgefair.report.svg import SERIES, Axis, bottom_axis, drawing, left_axis, line, mark, tag, text

WIDTH, HEIGHT = 640, 440
SAID = {
    "front": "in the Pareto set",
    "behind": "behind, maybe by chance",
    "ruled out": "behind",
    "collapsed": "one class for nearly everybody",
    "undefined": "undefined",
}


def ranked(facet: dict) -> list[int]:
    """The Pareto set, most accurate first; its numbers on the page are 1, 2, .. in this order."""
    front = [i for i, point in enumerate(facet["points"]) if point["standing"] == "front"]
    return sorted(front, key=lambda i: -facet["points"][i]["metrics"]["accuracy"]["mean"])


def frontier_chart(facet: dict, lines: list[float], name: str) -> Chart:
    """Every point with its intervals, the noise floor, the Pareto set as a staircase, and a line for each lambda."""
    spots = [spot(point) for point in facet["points"]]
    teachers = [(s, teacher["name"]) for teacher in facet["teachers"] if (s := spot(teacher))]
    floor = floors(facet["points"])
    (low, high), (bottom, top) = ranges([s for s in spots if s] + [s for s, _ in teachers], floor[2] if floor else 0.0)
    across, up = Axis(low, high, 52, WIDTH - 20), Axis(bottom, top, HEIGHT - 56, 34)
    parts = [
        bottom_axis(across, up.end, up.start, "accuracy A, %  (more is better →)"),
        left_axis(up, across.start, across.end, "mean absolute disparity D, points  (less is better ↓)"),
        *_floor(floor, across, up),
        *_objective_lines(facet, lines, spots, across, up, name),
        _staircase([spots[i] for i in ranked(facet)], across, up),
        *(_teacher(s, called, across, up) for s, called in teachers),
    ]
    numbers = {i: number for number, i in enumerate(ranked(facet), 1)}
    for i in sorted(range(len(spots)), key=lambda i: i in numbers):  # the Pareto set on top
        if spots[i]:
            parts += _point(facet["points"][i], spots[i], numbers.get(i), across, up)
    svg = drawing(WIDTH, HEIGHT, _caption(facet, lines), *parts)
    return Chart(name, "frontier", "Accuracy against disparity", _caption(facet, lines), svg, legend(facet))


def legend(facet: dict) -> tuple[tuple[str, str], ...]:
    """The mark of each method, and of teachers."""
    marks = [(mark(i, 9, 9), method["name"]) for i, method in enumerate(facet["methods"])]
    return (*marks, (_cross(9, 9), "teacher"))


def curve_charts(facet: dict, name: str) -> list[Chart]:
    """Accuracy and disparity against lambda, one line a method of two lambdas or more; none where there is no such."""
    curves = [curve for series in range(len(facet["methods"])) if len((curve := _curve(facet, series)).places) > 1]
    if not curves:
        return []
    scale = LambdaScale((lam for curve in curves for lam, _ in curve.places), 56, 504)
    told = "One line a method; whiskers: 95 % t-interval over seeds. A line begins at λ = 0 with the same loss and no "
    told += "strategy, where that was run. The λ axis is logarithmic."
    shown = (("accuracy", "accuracy, %", "Accuracy"), ("mean_abs_disparity", "disparity, points", "Disparity"))
    return [
        _curves(facet, curves, scale, metric, unit, f"{title} against λ", told, name) for metric, unit, title in shown
    ]


class Curve(NamedTuple):
    """A method's points by lambda: (lambda, point)."""

    series: int
    places: list[tuple[float, int]]


def _curve(facet: dict, series: int) -> Curve:
    method = facet["methods"][series]
    begin = [] if method["plain"] is None else [(0.0, method["plain"])]
    return Curve(series, [*begin, *((facet["points"][i]["lam"], i) for i in method["points"])])


def _curves(
    facet, curves: list[Curve], scale: LambdaScale, metric: str, unit: str, title: str, told: str, name: str
) -> Chart:
    drawn = [
        [(lam, i) for lam, i in c.places if facet["points"][i]["metrics"][metric]["mean"] is not None] for c in curves
    ]
    spread = {i: facet["points"][i]["metrics"][metric] for places in drawn for _, i in places}
    floor = floors([facet["points"][i] for i in spread]) if metric == "mean_abs_disparity" else None
    means = [100 * s["mean"] for s in spread.values()] + list(floor or ())
    low, high = extent(means, (100 * end for s in spread.values() for end in s["interval"] if end is not None))
    up = Axis(0.0 if metric == "mean_abs_disparity" else low, high, 300, 34)
    parts = [left_axis(up, 56, 510, unit), text("λ of the training", 281, 338, class_="title", text_anchor="middle")]
    for lam in scale.ticks(26):
        x = scale.at(lam)
        parts += [line(x, 34, x, 300, "grid"), text(lambda_text(lam), x, 318, text_anchor="middle")]
    if floor:
        parts.append(line(56, up.at(floor[1]), 510, up.at(floor[1]), "floor"))
        parts.append(text("noise floor", 62, up.at(floor[1]) + 16, class_="small halo"))
    for curve, places in zip(curves, drawn, strict=True):
        spots = [(scale.at(lam), up.at(points(spread[i]["mean"])), i) for lam, i in places]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in spots)
        parts.append(tag("polyline", points=path, class_=f"curve l{curve.series % SERIES} d{curve.series % 4}"))
        for x, y, i in spots:
            parts += _whisker(x, spread[i]["interval"], up, curve.series)
            parts.append(mark(curve.series, x, y, f"{label(facet['points'][i])}: {points(spread[i]['mean']):.1f}", 4.5))
    svg = drawing(524, 346, f"{title}. {told}", *parts)
    marks = tuple((mark(c.series, 9, 9), facet["methods"][c.series]["name"]) for c in curves)
    return Chart(f"{name}-{metric}", "curves", title, told, svg, marks)


def _whisker(x: float, interval: list, up: Axis, series: int) -> list[str]:
    if None in interval:
        return []
    ends = [up.at(min(max(points(end), up.low), up.high)) for end in interval]
    return [line(x, ends[0], x, ends[1], f"whisker thin l{series % SERIES}")]


def _floor(floor, across: Axis, up: Axis) -> list[str]:
    if floor is None:
        return []
    band = tag("rect", x=across.start, y=up.at(floor[2]), width=across.end - across.start,
               height=up.start - up.at(floor[2]), class_="band faint")  # fmt: skip
    y = up.at(floor[1])
    words = text("noise floor: below it no gap is told from none", across.start + 6, y + 18, class_="small")
    return [band, line(across.start, y, across.end, y, "floor"), words]


def _objective_lines(facet: dict, lines: list[float], spots, across: Axis, up: Axis, name: str) -> list[str]:
    """For each lambda the line A - lambda * D through the best point: nothing lies below and right of it."""
    window = tag("rect", x=across.start, y=up.end, width=across.end - across.start, height=up.start - up.end)
    parts = [tag("clipPath", window, id=f"{name}-area")]
    for lam, best in zip(lines, facet["best"], strict=True):
        if best is None or spots[best] is None:
            continue
        a, d = spots[best][:2]
        ends = [a + lam * (value - d) for value in (up.low, up.high)]
        x1, x2 = (across.at(end) for end in ends)
        parts.append(line(x1, up.start, x2, up.end, "iso dim", clip_path=f"url(#{name}-area)"))
        if x2 <= across.end:  # it leaves through the top
            x, y = x2 - 8, up.end + 14
        else:
            x, y = across.end - 4, up.at(d + (across.high - a) / lam) - 5
        parts.append(text(f"λ = {lambda_text(lam)}", x, y, class_="small halo", text_anchor="end"))
    return parts


def _staircase(front: list[Spot], across: Axis, up: Axis) -> str:
    """The edge of what the Pareto set dominates."""
    path: list[tuple[float, float]] = []
    for at, here in enumerate(front):
        x, y = across.at(here.accuracy), up.at(here.disparity)
        path += [(x, path[-1][1]), (x, y)] if at else [(x, y)]
    return tag("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in path), class_="curve front")


def _point(point: dict, here: Spot, number: int | None, across: Axis, up: Axis) -> list[str]:
    series, x, y = point["series"], across.at(here.accuracy), up.at(here.disparity)
    parts = []
    if here.accuracy_ends:
        ends = [across.at(min(max(end, across.low), across.high)) for end in here.accuracy_ends]
        parts.append(line(ends[0], y, ends[1], y, f"whisker thin l{series % SERIES}"))
    parts += _whisker(x, point["metrics"]["mean_abs_disparity"]["interval"], up, series)
    note = f"{label(point)}: accuracy {here.accuracy:.1f} %, disparity {here.disparity:.1f} points; "
    note += SAID[point["standing"]]
    parts.append(mark(series, x, y, note, 6 if number else 4.5))
    if number:
        parts.append(tag("circle", cx=x, cy=y, r=10, class_="ring"))
        parts.append(text(number, x + 12, y + 15, class_="halo strong"))
    return [tag("g", *parts, class_=None if number else f"standing-{point['standing'].replace(' ', '-')}")]


def _teacher(here: Spot, name: str, across: Axis, up: Axis) -> str:
    note = f"{name}: accuracy {here.accuracy:.1f} %, disparity {here.disparity:.1f} points"
    return _cross(across.at(here.accuracy), up.at(here.disparity), note)


def _cross(x: float, y: float, note: str = "") -> str:
    title = [tag("title", html.escape(note))] if note else []
    arms = [line(x - 5, y - 5, x + 5, y + 5, "cross"), line(x - 5, y + 5, x + 5, y - 5, "cross")]
    return tag("g", *title, *arms)


def _caption(facet: dict, lines: list[float]) -> str:
    """What the drawing shows, and which uncertainty stands in it."""
    text = "Each mark is a recipe: further right it is more accurate, further down it treats the groups more alike. "
    text += "Ringed and numbered: the Pareto set of the means, which nothing beats in both. "
    text += "Pale: another recipe is better in both; palest: the seeds show it (p < 0.05). "
    several = any(len(point["seeds"]) > 1 for point in facet["points"])
    text += "Lines through a mark: 95 % t-interval over seeds, cut at the edge. " if several else "One seed each. "
    if lines:
        text += (
            f"Slanted: A − λD for λ = {', '.join(map(lambda_text, lines))}, each through the recipe that is best by it."
        )
    return text
