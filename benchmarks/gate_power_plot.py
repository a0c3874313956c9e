"""The picture of `gate_power.py`, drawn from its points: false passes at the boundary, power where nothing changed."""

from html import escape

WIDTH, HEIGHT, MARGIN = 420, 300, 56
COLOURS = {0.0: "#1b6ca8", 0.4: "#2a9d63", 2.0: "#c77d00", 5.0: "#b3261e"}
MARKS = {0.0: "circle", 0.4: "square", 2.0: "diamond", 5.0: "triangle"}  # not by colour alone


def draw(points: list[dict]) -> str:
    """One SVG of three panels: false passes; power of the mean and of the largest drift, 16 classes and 2 groups."""
    harmed = [point for point in points if point["harm"] != "none"]
    small = [p for p in points if p["harm"] == "none" and (p["classes"], p["groups"]) == (16, 2)]
    rows = sorted({point["rows_per_cell"] for point in points})
    panels = [
        _panel(0, "False passes at the tolerance boundary, %", harmed, rows, 10, lines=(5, 7)),
        _panel(1, "Power, mean drift, tolerance 2 points, %", _of(small, "mean", 2.0), rows, 100, joined=True),
        _panel(2, "Power, largest drift, tolerance 5 points, %", _of(small, "max", 5.0), rows, 100, joined=True),
    ]
    keys = [
        f'<g transform="translate({MARGIN + 150 * index},{HEIGHT + 18})">{_mark(flips, 0, 0)}'
        f'<text x="10" y="4">{flips:g} % discordant rows</text></g>'
        for index, flips in enumerate(COLOURS)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {3 * WIDTH} {HEIGHT + 36}" font-family="sans-serif" '
        'font-size="12" role="img" aria-label="False passes and power of the gate by rows per cell">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(panels + keys)}</svg>\n'
    )


def _of(points: list[dict], drift: str, tolerance: float) -> list[dict]:
    return [point for point in points if (point["drift"], point["tolerance_points"]) == (drift, tolerance)]


def _panel(place: int, title: str, points: list[dict], rows: list[int], top: float, lines=(), joined=False) -> str:
    """Rows per cell across (evenly spaced), percent up to `top`; points of one flip rate side by side or joined."""
    wide, high = WIDTH - MARGIN - 16, HEIGHT - 2 * MARGIN

    def x(count: int) -> float:
        return MARGIN + wide * (rows.index(count) + 0.5) / len(rows)

    def y(percent: float) -> float:
        return MARGIN + high * (1 - percent / top)

    parts = [f'<text x="{MARGIN}" y="32" font-weight="bold">{escape(title)}</text>']
    for tick in range(5):
        level = top * tick / 4
        parts.append(f'<line x1="{MARGIN}" x2="{MARGIN + wide}" y1="{y(level)}" y2="{y(level)}" stroke="#ddd"/>')
        parts.append(f'<text x="{MARGIN - 6}" y="{y(level) + 4}" text-anchor="end">{level:g}</text>')
    for level in lines:
        parts.append(
            f'<line x1="{MARGIN}" x2="{MARGIN + wide}" y1="{y(level)}" y2="{y(level)}" stroke="#444" '
            'stroke-dasharray="5 3"/>'
            f'<text x="{MARGIN + wide - 2}" y="{y(level) - 3}" text-anchor="end">{level} %</text>'
        )
    for count in rows:
        parts.append(f'<text x="{x(count)}" y="{MARGIN + high + 16}" text-anchor="middle">{count}</text>')
    parts.append(f'<text x="{MARGIN + wide / 2}" y="{HEIGHT - 20}" text-anchor="middle">rows per cell</text>')
    for index, flips in enumerate(COLOURS):
        mine = sorted((p for p in points if p["flip_percent"] == flips), key=lambda p: p["rows_per_cell"])
        aside = 0 if joined else 12 * (index - 1.5)
        places = [(x(p["rows_per_cell"]) + aside, y(100 * p["passes"])) for p in mine]
        if joined:
            corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
            parts.append(f'<polyline points="{corners}" fill="none" stroke="{COLOURS[flips]}"/>')
        parts += [_mark(flips, a, b) for a, b in places]
    return f'<g transform="translate({place * WIDTH},0)">{"".join(parts)}</g>'


def _mark(flips: float, x: float, y: float) -> str:
    shapes = {
        "circle": '<circle r="3.5"/>',
        "square": '<rect x="-3" y="-3" width="6" height="6"/>',
        "diamond": '<path d="M0-4.5L4.5 0L0 4.5L-4.5 0z"/>',
        "triangle": '<path d="M0-4.5L4.2 3.5L-4.2 3.5z"/>',
    }
    place = f'transform="translate({x:.1f},{y:.1f})"'
    return f'<g {place} fill="{COLOURS[flips]}" fill-opacity="0.75">{shapes[MARKS[flips]]}</g>'
