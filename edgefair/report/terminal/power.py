"""`edgefair plan` in the terminal."""


def print_power(figures: dict) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    title = "{classes} classes, {groups} groups, {rows_per_cell:,} rows in each of {cells:,} cells"
    table = Table(box=SIMPLE_HEAD, title=title.format(**figures, cells=figures["classes"] * figures["groups"]))
    tolerance = figures["tolerance_points"]
    names = ["discordant rows %", "mean gap, points", "largest gap, points"]
    if tolerance is not None:
        names += [f"rows a cell for {tolerance:g} points: mean", "largest"]
    for name in names:
        table.add_column(name, justify="right")
    for row in figures["flip_rates"]:
        cells = [f"{row['flip_percent']:g}", f"{row['mean_points']:.1f}", f"{row['max_points']:.1f}"]
        if tolerance is not None:
            cells += [f"{row['rows_for_mean']:,}", f"{row['rows_for_max']:,}"]
        table.add_row(*cells)
    console = Console(highlight=False)
    console.print(table)
    power, confidence = (100 * figures[name] for name in ("power", "confidence"))
    console.print(
        "Smallest tolerance of how far the recall gaps between groups may move, that an engine which changed nothing "
        f"for the worse passes in {power:g} % of cases ({confidence:g} % upper bound).",
        soft_wrap=not console.is_terminal,
    )
