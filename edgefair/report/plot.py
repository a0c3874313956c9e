"""What all charts share: colours, a plain layout, and texts made safe, since names come from users."""

import html
from typing import NamedTuple

from edgefair.errors import require

PALETTE = ("#7a7f87", "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#a58b00")  # Okabe and Ito


class Chart(NamedTuple):
    """One figure as JSON values, with the words around it."""

    id: str
    section: str
    title: str
    caption: str
    figure: dict
    min_width: int = 0  # pixels; a narrower page scrolls the chart


def colours(entries: list[dict]) -> dict[str, str]:
    """The colour of each artefact, the same in all charts and tables."""
    return {entry["artefact"]: PALETTE[i % len(PALETTE)] for i, entry in enumerate(entries)}


def plotly():
    """The module plotly.graph_objects; raises MissingExtra where plotly is not installed."""
    return require("plotly.graph_objects", "report", "the HTML report")


def layout(**changes) -> dict:
    """Transparent and without a theme: the page's own colours are put in when it is opened."""
    title = {"font": {"size": 13}, "standoff": 8}
    base = {
        "template": "none", "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13}, "margin": {"l": 56, "r": 16, "t": 40, "b": 44},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}, "bargap": 0.18,
        "xaxis": {"automargin": True, "zeroline": False, "title": title}, "yaxis": {"automargin": True, "title": title},
    }  # fmt: skip
    return {**base, **changes}


def ticks(names: list[str]) -> dict:
    """Places 0, 1, 2 .. with names as tick texts: names may be numbers, dates or twice the same when shortened."""
    texts = [escape(short(name)) for name in names]
    # Texts that cannot stand side by side lean so that they end at their bar; plotly hides what leans past the edge.
    lean = {"tickangle": -40, "ticklabeloverflow": "allow"} if sum(map(len, texts)) > 100 else {}
    return {"tickvals": list(range(len(names))), "ticktext": texts, "showgrid": False, **lean}


def points(share: float | None) -> float | None:
    """A share of one as percent or points; an undefined one stays undefined."""
    return None if share is None else 100 * share


def short(name: str, most: int = 22) -> str:
    """A name cut to `most` characters in its middle, for names often differ at their ends."""
    return name if len(name) <= most else f"{name[: most - most // 3 - 1]}…{name[-(most // 3) :]}"


def escape(text: str) -> str:
    """Plotly reads texts as its own small HTML."""
    return html.escape(str(text), quote=False)
