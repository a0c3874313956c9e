"""`edgefair data info` in the terminal."""

MOST_LINES = 40  # of a table; above, a summary of its columns


def print_data_info(figures: dict, check: bool) -> None:
    from edgefair.errors import listed
    from edgefair.report.terminal.tables import line, plain_console

    console = plain_console()
    line(console, f"{figures['name']}: {figures['source']}")
    line(console, f"terms: {figures['terms']}")
    if "task" in figures:
        line(console, f"task {figures['task']}, protected attribute {figures['group'] or 'none'}")
    if figures.get("own_groups"):
        own = [f"{name} {group} {figures['own_shares'][name]:.0%}" for name, group in figures["own_groups"].items()]
        line(console, f"skew {figures['skew']:g} of the training rows, the class's own group: {listed(own, 8)}")
    for name, rows in figures["rows"].items():
        if rows:
            console.print()
            _show_list(console, name, rows, figures)
    console.print()
    for why, rows in figures.get("left_out", {}).items():
        line(console, f"left out: {rows['rows']:,} rows, {why}: {listed(rows['examples'], 5, rows['rows'])}")
    _show_broken(console, figures, check)
    _show_tolerance(console, figures)


def _show_list(console, name: str, rows: int, figures: dict) -> None:
    import numpy as np

    from edgefair.data.calibration import AUTO_PER_CELL
    from edgefair.errors import listed
    from edgefair.report.terminal.tables import line, plain_table

    counts = np.array(figures["cells"][name])  # [G, C]
    unknown = figures["unknown_group"][name]
    line(
        console,
        f"{name}: {rows:,} row{'' if rows == 1 else 's'}" + (f", {unknown:,} of unknown group" if unknown else ""),
    )
    down, across = ("group", figures["group_names"]), ("class", figures["class_names"])
    if len(down[1]) <= len(across[1]):  # the longer one downwards
        down, across, counts = across, down, counts.T
    table = plain_table((down[0],), (*across[1], "total"))
    counts = np.column_stack([counts, counts.sum(1)])
    for at, label in enumerate(down[1] if len(down[1]) <= MOST_LINES else ()):
        table.add_row(label, *(f"{count:,}" for count in counts[at]))
    if len(down[1]) > MOST_LINES:
        for word, pick in (("smallest", np.min), ("median", np.median), ("largest", np.max)):
            table.add_row(f"{word} of {len(down[1])}", *(f"{value:,.0f}" for value in pick(counts, axis=0)))
    console.print(table)
    missing = figures["missing_cells"][name]
    if name == "calibration" and (few := int((np.array(figures["cells"][name]) < AUTO_PER_CELL).sum())):
        line(console, f"cells with fewer than the {AUTO_PER_CELL} rows that INT8 calibration takes of each: {few}")
    if missing:
        line(console, f"cells without rows ({len(missing)}): {listed(missing, 8)}", style="red")


def _show_broken(console, figures: dict, check: bool) -> None:
    from edgefair.report.terminal.tables import line

    broken = figures.get("broken_images", 0)
    word = "missing or broken" if check else "missing"
    line(console, f"{word} files: {broken:,}" + ("" if check or broken else " (--check decodes all)"))
    for example in figures.get("broken_examples", ())[:5]:
        line(console, f"  {example}")
    if broken > 5:
        line(console, f"  and {broken - 5:,} more")


def _show_tolerance(console, figures: dict) -> None:
    from edgefair.errors import listed
    from edgefair.report.terminal.tables import line

    if not figures["smallest_tolerance"]:
        line(console, "no groups are declared: accuracy can be judged, fairness cannot")
        if others := figures.get("may_be_groups"):
            line(console, f"--group NAME declares some; the data have: {listed(others, 8)}")
    for row in figures["smallest_tolerance"]:
        if row["max_points"] >= 100:
            line(console, "smallest tolerance: none below 100 points; the gate has too few rows in some cells")
            return
        if row["mean_points"] != row["mean_points"]:
            line(console, "smallest tolerance: none, since cells of the gate have no rows")
            return
        line(
            console,
            f"smallest tolerance that the gate can show if an engine changes {row['flip_percent']:g} % of the "
            f"predictions: {row['mean_points']:.1f} points for the mean gap, {row['max_points']:.1f} for the largest",
        )
