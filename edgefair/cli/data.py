"""`edgefair data`: what a data set on disk has, before anyone trains on it."""

import sys
from pathlib import Path

import click

MOST_LINES = 40  # of a table; above, a summary of its columns


@click.group("data")
def data() -> None:
    """Look at data sets."""


@data.command("info")
@click.argument("name")
@click.argument("path", required=False, default="")
@click.option("--task", help="Attribute that is predicted.  [default: the data set's]")
@click.option("--group", help="Protected attribute; several such as gender+race are intersected.")
@click.option("--check", is_flag=True, help="Decode every image, which also prepares them for training.")
@click.option("--picture", type=click.Path(path_type=Path), help="PNG to write.  [default: NAME-cells.png]")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures to a file too.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of whatever is drawn.")
@click.option(
    "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="A field of [data], such as max_rows=9000."
)
def info(name, path, task, group, check, picture, json_file, seed, settings) -> None:
    """Counts per class and group, missing cells, broken files, what the rows support, terms, and a picture.

    NAME is a data set such as celeba, or alone a folder or file that is recognised, or hf:NAME. Exit code 1 says that
    files are missing or, with --check, cannot be read.
    """
    from edgefair.data import recognise
    from edgefair.data.contact_sheet import draw_cells
    from edgefair.data.overview import describe, look
    from edgefair.errors import RecipeError
    from edgefair.files import write_json
    from edgefair.log import Log
    from edgefair.recipe import assignment, parse

    values = recognise(f"{name}={path}" if path else name)
    values |= {field: value for field, value in (("task", task), ("group", group)) if value is not None}
    fields = dict(assignment(text.removeprefix("data.")) for text in settings)
    for field in fields:
        if "." in field:
            raise RecipeError(f"--set {field}: only fields of [data] mean something here, such as data.image_size=64.")
    values |= fields
    recipe = parse({"seed": seed, "data": values}).data
    examples = look(recipe, seed, Log(), check)
    figures = describe(examples)
    _show(figures, check)
    picture = picture or Path(f"{recipe.name}-cells.png")
    draw_cells(examples, picture, seed)
    click.echo(f"picture: {picture}")
    if json_file is not None:
        write_json(json_file, figures)
    sys.exit(1 if figures.get("broken_images") else 0)


def _show(figures: dict, check: bool) -> None:
    from edgefair.gate.checks import listed
    from edgefair.report.terminal.tables import line, plain_console

    console = plain_console()
    line(console, f"{figures['name']}: {figures['source']}")
    line(console, f"terms: {figures['terms']}")
    if "task" in figures:
        line(console, f"task {figures['task']}, protected attribute {figures['group'] or 'none'}")
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

    from edgefair.data.dataset import AUTO_PER_CELL
    from edgefair.gate.checks import listed
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
    from edgefair.gate.checks import listed
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
