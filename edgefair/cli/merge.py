"""`edgefair merge`: predictions of parts of the gate rows become those of all."""

from pathlib import Path

import click

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("parts", nargs=-1, required=True, type=PATH, metavar="PART...")
@click.option("--out", type=PATH, required=True, help="Predictions file to write (.npz).")
def merge(parts: tuple[Path, ...], out: Path) -> None:
    """Put PARTs, the files of `edgefair predict --rows`, together to the predictions of all gate rows.

    Every row must stand in exactly one part, and all parts must come from one artefact on one runtime and kind of
    machine. The file is the one that `edgefair predict` writes without --rows.
    """
    from edgefair.cli.predict import check_name
    from edgefair.pipeline.merge import merge as run

    check_name(out)
    predictions = run(list(parts))
    predictions.save(out)
    click.echo(f"{out}: {len(predictions.ids):,} rows from {len(parts)} parts")
