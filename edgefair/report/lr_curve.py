"""The curve of a learning-rate range test as a picture of its own."""

import math

from edgefair.report.svg import Axis, drawing, tag, text

WIDTH, HEIGHT = 640, 360


def lr_curve(rates: list[float], losses: list[float], smooth: list[float], suggestion: float, title: str) -> str:
    """Loss over learning rate (logarithmic) with its running mean and the suggested rate, as SVG text.

    `rates`, `losses` and `smooth` (the running mean) have one value a step.
    """
    across = Axis(math.log10(rates[0]), math.log10(rates[-1]), 60, WIDTH - 20)
    shown = sorted(losses)[: max(2, int(0.95 * len(losses)))]  # the last steps leave any picture
    low, high = min(shown), max(*shown, *smooth[:1])
    up = Axis(low, high if high > low else low + 1, HEIGHT - 50, 40)
    parts = [tag("rect", width=WIDTH, height=HEIGHT, fill="#fff"), text(title, 60, 22, font_weight="bold")]
    for power in range(math.ceil(across.low), math.floor(across.high) + 1):
        x = across.at(power)
        parts += [_line([(x, up.start), (x, up.end)], "#ddd"), text(f"1e{power}", x, HEIGHT - 32, text_anchor="middle")]
    for value in up.ticks():
        y = up.at(value)
        parts += [_line([(60, y), (WIDTH - 20, y)], "#ddd"), text(f"{value:g}", 54, y + 4, text_anchor="end")]
    for values, colour in ((losses, "#9bb8d8"), (smooth, "#1f4e8c")):
        kept = [(across.at(math.log10(r)), up.at(v)) for r, v in zip(rates, values, strict=True) if v <= high]
        parts.append(_line(kept, colour, 2))
    x = across.at(math.log10(suggestion))
    parts += [
        _line([(x, up.start), (x, up.end)], "#b03030", 2),
        text(f"suggested {suggestion:.2g}", x + 5, 52, fill="#b03030"),
        text("learning rate", WIDTH / 2, HEIGHT - 10, text_anchor="middle"),
        text("loss", 54, 30, text_anchor="end"),
        text("each step", WIDTH - 150, 22, fill="#6f93bb"),
        text("running mean", WIDTH - 90, 22, fill="#1f4e8c"),
    ]
    label = f"Loss over learning rate; suggested {suggestion:.2g}."
    look = {"xmlns": "http://www.w3.org/2000/svg", "font_family": "sans-serif", "font_size": 12}
    return drawing(WIDTH, HEIGHT, label, *parts, **look)


def _line(points: list[tuple[float, float]], colour: str, width: float = 1) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return tag("polyline", points=path, fill="none", stroke=colour, stroke_width=width)
