"""`edgefair data`: what a data set on disk has, before anyone trains on it."""

import sys
from pathlib import Path

import click


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
def info(
    name: str,
    path: str,
    task: str | None,
    group: str | None,
    check: bool,
    picture: Path | None,
    json_file: Path | None,
    seed: int,
    settings: tuple[str, ...],
) -> None:
    """Counts per class and group, missing cells, broken files, what the rows support, terms, and a picture.

    NAME is a data set such as celeba, or alone a folder or file that is recognised, or hf:NAME. Exit code 1 says that
    files are missing or, with --check, cannot be read.
    """
    from edgefair.data import recognize
    from edgefair.data.contact_sheet import draw_cells
    from edgefair.data.overview import describe, load_overview
    from edgefair.errors import RecipeError
    from edgefair.files import write_json
    from edgefair.log import Log
    from edgefair.recipe import assignment, parse
    from edgefair.report.terminal.data import print_data_info

    values = recognize(f"{name}={path}" if path else name)
    values |= {field: value for field, value in (("task", task), ("group", group)) if value is not None}
    fields = dict(assignment(text.removeprefix("data.")) for text in settings)
    for field in fields:
        if "." in field:
            raise RecipeError(f"--set {field}: only fields of [data] mean something here, such as data.image_size=64.")
    values |= fields
    recipe = parse({"seed": seed, "data": values}).data
    examples = load_overview(recipe, seed, Log(), check)
    figures = describe(examples)
    print_data_info(figures, check)
    picture = picture or Path(f"{recipe.name}-cells.png")
    draw_cells(examples, picture, seed)
    click.echo(f"picture: {picture}")
    if json_file is not None:
        write_json(json_file, figures)
    sys.exit(1 if figures.get("broken_images") else 0)
