"""The Pareto set for the terminal, what was left out, and where the files are."""

from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgefair.report.frontier.charts import ranked
from edgefair.report.frontier.scales import label, lambda_text
from edgefair.report.frontier.tables import shown


def print_frontier(found: dict, files: list[Path], console: Console) -> None:
    """Print the Pareto set of each data set."""
    for facet in found["facets"]:
        front = ranked(facet)
        are = "is" if len(front) == 1 else "are"
        title = (
            f"{facet['name']}: {len(front)} of {len(facet['points'])} recipes {are} worth choosing (percent, points)\n"
        )
        console.print(Text(title, style="bold"), soft_wrap=True)
        table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column(Text("recipe"))
        for name in ("seeds", "accuracy", "disparity", "floor", "best for A - λD"):
            table.add_column(name, justify="right", no_wrap=True)
        for i in front:
            point, metrics = facet["points"][i], facet["points"][i]["metrics"]
            gap = metrics["mean_abs_disparity"]
            numbers = (shown(metrics["accuracy"]["mean"]), shown(gap["mean"]), shown(gap["floor"]))
            worth = [lambda_text(lam) for lam, best in zip(found["lines"], facet["best"], strict=True) if best == i]
            best = f"λ = {', '.join(worth)}" if worth else ""
            table.add_row(Text(label(point)), str(len(point["seeds"])), *numbers, best)
        console.print(table)
        for point in facet["points"]:
            if point["standing"] == "collapsed":
                console.print(
                    Text(f"{label(point)}: one class for nearly everybody, no part of the choice"), soft_wrap=True
                )
    for one in found["left_out"]:
        console.print(Text(f"left out: {one['folder']}: {one['why']}"), soft_wrap=True)
    console.print(Text(f"page: {files[0]}; beside it {len(files) - 1} files: JSON, CSV and LaTeX"), soft_wrap=True)
