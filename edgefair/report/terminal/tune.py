"""What a search tried, as a table for the terminal."""

from rich.console import Console

from edgefair.report.formatting import hundredths
from edgefair.report.terminal.tables import line, plain_table


def print_tuning(record: dict, console: Console) -> None:
    """Print a row for each recipe that was tried, then what was found; `record` is tune.json."""
    table = plain_table(("tried",), (" epochs", " accuracy", " gap", " (floor)", " spread"), ("  result",))
    for trial in record["trials"]:
        shown = trial["full"] or trial["short"]
        cells = ["-"] * 5
        if shown:
            figures = (hundredths(shown[name]) for name in ("accuracy", "disparity", "floor", "spread"))
            accuracy, gap, floor, spread = figures
            cells = [str(shown["epochs"]), accuracy, gap, f"({floor})", spread]
        result = trial["outcome"] + (f": {trial['why']}" if trial["why"] else "")
        table.add_row(trial["what"], *cells, f"  {result}")
    console.print(table)
    line(
        console,
        f"Percent and points, on {record['validation_rows']:,} validation rows. Gap: as in the report, mean absolute "
        "disparity; spread: standard deviation between groups of how right the rows are, noise subtracted, by which "
        f"recipes are compared. Looked for: {record['objective']['sentence']}.",
        "dim",
    )
    line(console, record["sentence"])
