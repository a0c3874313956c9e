"""Training lambda, accuracy and disparity in one drawing that can be turned; readable as it stands without a script.

Everything in the box is placed by coordinates in -1 .. 1 that stand in `data-at`; frontier.js projects them again for
another angle, by the formulas of `View`.
"""

import html
import math
from typing import NamedTuple

from edgefair.report.chart import Chart
from edgefair.report.frontier.charts import legend, ranked
from edgefair.report.frontier.scales import LambdaScale, floors, label, lambda_text, ranges, spot
from edgefair.report.svg import SERIES, Axis, drawing, mark, number, tag

WIDTH, HEIGHT, SCALE = 560, 456, 132
YAW, PITCH = -0.65, 0.42  # radians: round the upright axis, and from above
Place = tuple[float, float, float]  # lambda to the right, disparity up, accuracy to the front


class View(NamedTuple):
    """An orthographic view of the box from `pitch` above, turned by `yaw`; frontier.js has the same formulas."""

    yaw: float
    pitch: float

    def at(self, place: Place) -> tuple[float, float, float]:
        """Pixels to the right and down, and how near it is."""
        x, y, z = place
        right, front = x * math.cos(self.yaw) + z * math.sin(self.yaw), z * math.cos(self.yaw) - x * math.sin(self.yaw)
        down = front * math.sin(self.pitch) - y * math.cos(self.pitch)
        return (
            WIDTH / 2 + SCALE * right,
            HEIGHT / 2 + SCALE * down,
            front * math.cos(self.pitch) + y * math.sin(self.pitch),
        )

    def sides(self) -> tuple[float, float]:
        """The faces of the box, in lambda and in accuracy, that are towards the viewer: -1 or 1 each."""
        return (-1.0 if math.sin(self.yaw) > 0 else 1.0), (1.0 if math.cos(self.yaw) >= 0 else -1.0)


def space_chart(facet: dict, name: str) -> Chart | None:
    """The box; None where nothing is defined, or where all ran with one lambda."""
    spots = [spot(point) for point in facet["points"]]
    shown = [i for i, here in enumerate(spots) if here]
    if len({facet["points"][i]["lam"] for i in shown}) < 2:
        return None
    floor = floors(facet["points"])
    (low, high), (bottom, top) = ranges([spots[i] for i in shown], floor[2] if floor else 0.0)
    scale = LambdaScale((facet["points"][i]["lam"] for i in shown), -1, 1)
    across, up = Axis(low, high, -1, 1), Axis(bottom, top, -1, 1)
    places = {i: (scale.at(facet["points"][i]["lam"]), up.at(spots[i].disparity), across.at(spots[i].accuracy))
              for i in shown}  # fmt: skip
    view = View(YAW, PITCH)
    parts = [_path(view, [(-1, -1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1)], "face", closed=True)]
    parts += _edges(view)
    if floor:
        y = up.at(floor[1])
        parts.append(_path(view, [(-1, y, -1), (1, y, -1), (1, y, 1), (-1, y, 1)], "level", closed=True))
        parts.append(_words(view, "noise floor", (-1, y, -1), "small halo", near="floor"))
    parts += _ticks(view, scale, across, up)
    for series, method in enumerate(facet["methods"]):
        curve = [*([method["plain"]] if method["plain"] is not None else []), *method["points"]]
        parts.append(_path(view, [places[i] for i in curve if i in places], f"curve l{series % SERIES} d{series % 4}"))
    numbers = {i: nth for nth, i in enumerate(ranked(facet), 1)}
    marks = sorted((i for i in shown), key=lambda i: view.at(places[i])[2])
    parts.append(tag("g", *(_mark(view, facet["points"][i], places[i], numbers.get(i)) for i in marks), class_="marks"))
    told = "Each mark is a recipe on its stem: λ of the training, accuracy, and disparity as height; low, and towards "
    told += "more accuracy, is good. The plane is the noise floor. Ringed and numbered: the Pareto set."
    title = "Training λ, accuracy and disparity together"
    turned = {"class_": "space", "data_yaw": repr(YAW), "data_pitch": repr(PITCH), "data_scale": SCALE}
    svg = drawing(WIDTH, HEIGHT, f"{title}. {told}", *parts, **turned)
    return Chart(f"{name}-space", "space", title, told, svg, legend(facet)[:-1])


def _mark(view: View, point: dict, place: Place, nth: int | None) -> str:
    x, y, _ = view.at(place)
    foot = (place[0], -1.0, place[2])
    note = f"{label(point)}: accuracy {100 * point['metrics']['accuracy']['mean']:.1f} %, disparity "
    note += f"{100 * point['metrics']['mean_abs_disparity']['mean']:.1f} points"
    drawn = mark(point["series"], 0, 0, note, 6 if nth else 4.5)
    if nth:
        drawn += tag("circle", r=10, class_="ring") + tag("text", str(nth), x=12, y=-6, class_="halo strong")
    spot_ = tag("g", drawn, transform=f"translate({x:.1f} {y:.1f})", data_at=_written([place]))
    return tag("g", _path(view, [foot, place], f"drop l{point['series'] % SERIES}"), spot_)


def _edges(view: View) -> list[str]:
    ends = [((a, b, -1), (a, b, 1)) for a in (-1, 1) for b in (-1, 1)]
    ends += [((a, -1, b), (a, 1, b)) for a in (-1, 1) for b in (-1, 1)]
    ends += [((-1, a, b), (1, a, b)) for a in (-1, 1) for b in (-1, 1)]
    return [_path(view, list(pair), "grid") for pair in ends]


def _ticks(view: View, scale: LambdaScale, across: Axis, up: Axis) -> list[str]:
    """Numbers and names of the three axes, at the edges that are towards the viewer; `near` says which edge."""
    out = 1.12
    parts = [_words(view, lambda_text(v), (scale.at(v), -out, out), "", "z") for v in scale.ticks(0.16)]
    parts += [_words(view, number(v), (out, -out, across.at(v)), "", "x") for v in across.ticks(5)]
    parts += [_words(view, number(v), (out, up.at(v), out), "", "corner") for v in up.ticks(5)]
    parts.append(_words(view, "λ of the training", (0.0, -1.36, 1.36), "title", "z"))
    parts.append(_words(view, "accuracy, %", (1.36, -1.36, 0.0), "title", "x"))
    parts.append(_words(view, "disparity, points", (out, 1.18, out), "title", "corner"))
    return parts


def _words(view: View, words: str, place: Place, look: str, near: str) -> str:
    x, y, _ = view.at(_near(view, place, near))
    return tag("text", html.escape(words), x=x, y=y + 4, text_anchor="middle", class_=look or None,
               data_at=_written([place]), data_near=near)  # fmt: skip


def _near(view: View, place: Place, near: str) -> Place:
    """The same place at the edge that is towards the viewer, or at the corner on the left."""
    (side_x, side_z), (x, y, z) = view.sides(), place
    if near == "z":
        return x, y, z * side_z
    if near == "x":
        return x * side_x, y, z
    corners = [(a * abs(x), y, b * abs(z)) for a in (-1, 1) for b in (-1, 1)]
    right = near == "floor"
    return (max if right else min)(corners, key=lambda corner: view.at(corner)[0])


def _path(view: View, places: list[Place], look: str, closed: bool = False) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in map(view.at, places))
    return tag("polygon" if closed else "polyline", points=path, class_=look, data_at=_written(places))


def _written(places: list[Place]) -> str:
    return " ".join(f"{value:.4g}" for place in places for value in place)
