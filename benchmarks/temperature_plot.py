"""The picture of `temperature.py`, drawn from its record: figures 1, 3 and 4 of paper C for each data set."""

from html import escape

import numpy as np

WIDE, HIGH, MARGIN = 300, 300, 52
GROUPS = {
    "dpd_points": ("demographic parity difference", "#1b6ca8"),
    "eod_points": ("equalized odds difference", "#b3261e"),
}
CLASSES = {
    "classes_differ_from_alone": ("from the student alone", "#c77d00"),
    "classes_differ_from_teacher": ("from the teacher", "#2a9d63"),
}


def draw(data: dict[str, dict]) -> str:
    """One SVG: a row for each data set with both matrices, the classes that differ, and the gaps between groups."""
    rows = [
        f'<g transform="translate(0,{(HIGH + 20) * place})">{"".join(_panels(name, found))}</g>'
        for place, (name, found) in enumerate(data.items())
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {4 * WIDE} {(HIGH + 20) * len(rows)}" '
        'font-family="sans-serif" font-size="11" role="img" aria-label="Disagreement, classes, groups by temperature">'
        f'<rect width="100%" height="100%" fill="white"/>{"".join(rows)}</svg>\n'
    )


def _panels(name: str, found: dict) -> list[str]:
    panels = [
        _matrix(f"{name}: teacher and student {who}", np.array(one["teacher_by_student"]))
        for who, one in found["disagreement"].items()
    ]
    students = {float(who[2:]): one for who, one in found["networks"].items() if who.startswith("T ")}
    counts = {
        f"{words}, after Holm": ([(t, one[key]["holm"]) for t, one in students.items() if key in one], colour)
        for key, (words, colour) in CLASSES.items()
    }
    gaps = {
        words: ([(t, one[key]["mean"]) for t, one in students.items() if key in one], colour)
        for key, (words, colour) in GROUPS.items()
    }
    lines = [(f"{name}: classes that differ", counts), (f"{name}: gap between groups, points", gaps)]
    panels += [_lines(title, series) for title, series in lines if any(p for p, _ in series.values())]
    return [f'<g transform="translate({WIDE * place},0)">{panel}</g>' for place, panel in enumerate(panels)]


def _matrix(title: str, rows: np.ndarray) -> str:
    """Rows by the teacher's class (down) and the student's (across) where they differ: the darker, the more."""
    side = (WIDE - MARGIN - 16) / len(rows)
    most = max(1, rows.max())
    cells = [
        f'<rect x="{MARGIN + side * c:.1f}" y="{MARGIN + side * r:.1f}" width="{side:.1f}" height="{side:.1f}" '
        f'fill="#b3261e" fill-opacity="{rows[r, c] / most:.3f}" stroke="#ddd">'
        f"<title>{r}, {c}: {rows[r, c]}</title></rect>"
        for r, c in np.ndindex(rows.shape)
        if r != c  # where they agree, which the paper leaves out
    ]
    return f'{_title(title)}{"".join(cells)}<text x="{MARGIN}" y="{MARGIN - 8}">most: {rows.max()} rows</text>'


def _lines(title: str, series: dict) -> str:
    """Values against the temperature, evenly spaced; a series without values (one seed judges no class) is left out."""
    shown = {words: [(t, v) for t, v in points if v is not None] for words, (points, _) in series.items()}
    places = sorted({t for points in shown.values() for t, _ in points})
    top = max([1.0, *(v for points in shown.values() for _, v in points)])
    wide, high = WIDE - MARGIN - 24, HIGH - 2 * MARGIN

    def at(t: float, value: float) -> str:
        return (
            f"{MARGIN + wide * places.index(t) / max(1, len(places) - 1):.1f},{MARGIN + high * (1 - value / top):.1f}"
        )

    parts = [_title(title)]
    for share in (0, 0.5, 1):
        y = MARGIN + high * (1 - share)
        parts.append(f'<line x1="{MARGIN}" x2="{MARGIN + wide}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{MARGIN - 6}" y="{y + 4}" text-anchor="end">{top * share:.3g}</text>')
    for t in places:
        x = at(t, 0).split(",")[0]
        parts.append(f'<text x="{x}" y="{MARGIN + high + 14}" text-anchor="middle">{t:g}</text>')
    for place, (words, points) in enumerate(shown.items()):
        colour, dashes = series[words][1], ' stroke-dasharray="5 3"' if place else ""
        corners = " ".join(at(t, value) for t, value in sorted(points))
        parts.append(f'<polyline points="{corners}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        parts.append(f'<text x="{MARGIN}" y="{HIGH - 20 + 14 * place}" fill="{colour}">{escape(words)}</text>')
    return "".join(parts)


def _title(words: str) -> str:
    return f'<text x="{MARGIN}" y="24" font-weight="bold">{escape(words)}</text>'
