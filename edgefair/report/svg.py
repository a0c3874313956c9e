"""Charts as SVG text: coloured by the page's own style, readable without a script, sharp in print."""

import html
import math
from typing import NamedTuple

SERIES = 8  # colours in the page's style, --s0 .. --s7
SHAPES = 6


class Axis(NamedTuple):
    """Values low .. high on pixels start .. end."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 6, least: float = 0) -> list[float]:
        """Round values inside the axis: steps of 1, 2 or 5 times a power of ten, none smaller than `least`."""
        step = max((self.high - self.low) / most, least)
        power = 10.0 ** math.floor(math.log10(step))
        step = next(k * power for k in (1, 2, 5, 10) if k * power >= step * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def tag(name: str, *inside: str, **attributes: object) -> str:
    """One element; attributes are escaped, `inside` is markup already. `class_` is class, `_` stands for a hyphen."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>"


def text(words: object, x: float, y: float, **attributes: object) -> str:
    """Words at a place; whatever stands in them stays text."""
    return tag("text", html.escape(str(words)), x=x, y=y, **attributes)


def drawing(width: float, height: float, label: str, *inside: str, **attributes: object) -> str:
    """A whole chart; `label` is what a screen reader says of it."""
    size = {"viewBox": f"0 0 {_value(width)} {_value(height)}", "role": "img", "aria_label": label}
    return tag("svg", *inside, **size, **attributes)


def mark(series: int, x: float, y: float, note: str = "", size: float = 5) -> str:
    """The mark of a series: its own shape, so that colour is never all that tells it apart."""
    points = {
        1: [(-1, -1), (1, -1), (1, 1), (-1, 1)],
        2: [(0, -1.3), (1.2, 0.9), (-1.2, 0.9)],
        3: [(0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)],
        4: [(0, 1.3), (1.2, -0.9), (-1.2, -0.9)],
        5: [(-0.4, -1.3), (0.4, -1.3), (0.4, -0.4), (1.3, -0.4), (1.3, 0.4), (0.4, 0.4), (0.4, 1.3), (-0.4, 1.3),
            (-0.4, 0.4), (-1.3, 0.4), (-1.3, -0.4), (-0.4, -0.4)],
    }.get(series % SHAPES)  # fmt: skip
    look = {"class_": f"mark f{series % SERIES}"}
    title = [tag("title", html.escape(note))] if note else []
    if points is None:
        return tag("circle", *title, cx=x, cy=y, r=size, **look)
    return tag("polygon", *title, points=" ".join(f"{x + size * a:.1f},{y + size * b:.1f}" for a, b in points), **look)


def line(x1: float, y1: float, x2: float, y2: float, look: str, **attributes: object) -> str:
    """A straight line of a class of the page's style."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=look, **attributes)


def bottom_axis(axis: Axis, top: float, bottom: float, title: str, least: float = 0) -> str:
    """Grid lines upwards from a horizontal axis, with numbers and a title below."""
    parts = [text(title, (axis.start + axis.end) / 2, bottom + 36, class_="title", text_anchor="middle")]
    for value in axis.ticks(least=least):
        x = axis.at(value)
        parts += [line(x, top, x, bottom, "grid"), text(number(value), x, bottom + 17, text_anchor="middle")]
    return "".join(parts)


def left_axis(axis: Axis, left: float, right: float, title: str) -> str:
    """Grid lines to the right of a vertical axis, with numbers beside it and a title above."""
    parts = [text(title, 4, min(axis.start, axis.end) - 10, class_="title")]
    for value in axis.ticks():
        y = axis.at(value)
        parts += [line(left, y, right, y, "grid"), text(number(value), left - 6, y + 4, text_anchor="end")]
    return "".join(parts)


def number(value: float) -> str:
    """A tick's number, without the dust of binary fractions."""
    return f"{value + 0.0:,.6g}".replace("-", "−")


def _value(value) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else html.escape(str(value))
