"""`edgefair build`: make what a runtime executes from ONNX, on the machine that will run it."""

import sys
from pathlib import Path

import click

from edgefair.cli.options import TableChoice, recipe_option, target_runtimes

INCONCLUSIVE = 3


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--runtime", type=TableChoice(target_runtimes, strict=False), required=True, help="What will execute the files."
)
@click.option("--precision", "precisions", multiple=True, help="Build these alone; repeatable.  [default: all but fp8]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of what is built.  [default: beside the source]")
@recipe_option("its [deploy] is used")
@click.option("--set", "settings", multiple=True, metavar="deploy.FIELD=VALUE", help="Such as deploy.max_batch=8.")
def build(source, runtime, precisions, out, recipe_file, settings) -> None:
    """Build SOURCE, an ONNX file or a device kit, for a runtime, and note it in manifest.json.

    Prints one line a file: its name, a tab, its path. Exit code 3 where the files were built but this machine cannot
    execute them: nothing is known of them until a device runs them.
    """
    from edgefair.log import Log
    from edgefair.pipeline.device.build import build as make
    from edgefair.recipe import assign, assignment, parse, read

    values = read(recipe_file) if recipe_file else {}
    for text in settings:
        assign(values, *assignment(text))
    entries = make(source, runtime, out, parse(values).deploy, precisions, Log())
    folder = out or (source if source.is_dir() else source.parent)
    for entry in entries:
        click.echo(f"{entry.name}\t{folder / entry.file}")
    blocked = sorted({entry.blocked for entry in entries if entry.blocked})
    if blocked:
        click.echo(f"edgefair: built, not verified on a device: {' '.join(blocked)}", err=True)
        sys.exit(INCONCLUSIVE)
