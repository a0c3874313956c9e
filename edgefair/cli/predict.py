"""`edgefair predict`: the predictions of one artefact on the gate rows, for the host to judge."""

from pathlib import Path

import click

from edgefair.cli.options import TableChoice, target_runtimes


@click.command()
@click.argument("artefact", type=click.Path(path_type=Path))
@click.option(
    "--runtime", type=TableChoice(target_runtimes, strict=False), required=True, help="What runs it; also eager, null."
)
@click.option("--gate", type=click.Path(path_type=Path), required=True, help="gate.npz of a device kit.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Predictions file to write (.npz).")
@click.option("--rows", metavar="A:B", help="Only rows A to B - 1, for edgefair merge; either may be left out.")
@click.option("--threads", type=click.IntRange(min=0), default=0, help="Threads of the runtime.  [default: all]")
def predict(artefact, runtime, gate, out, rows, threads) -> None:
    """Run ARTEFACT on the gate rows and write what `edgefair verify RUN FILE.npz` judges on the host.

    Needs no torch. A file that stands in the manifest.json beside it runs only if its hash is the one written there;
    an engine that stands in none is refused.
    """
    from edgefair.data.gate_rows import GateRows
    from edgefair.log import Log
    from edgefair.runtimes.predict import artefact_from_file
    from edgefair.runtimes.predict import predict as run

    check_name(out)
    out.unlink(missing_ok=True)  # what an earlier call found must not stand beside an error of this one
    gate_rows = GateRows.load(gate)
    part = part_of(rows, len(gate_rows.rows)) if rows is not None else None
    predictions = run(artefact_from_file(artefact, runtime), gate_rows, Log(), threads, part=part)
    predictions.save(out)
    click.echo(f"{out}: {len(predictions.ids):,} rows")


def check_name(out: Path) -> None:
    """Refuse a name that NumPy would write under another one."""
    from edgefair.errors import DataError

    if out.suffix != ".npz":
        raise DataError(f"--out {out}: a predictions file ends in .npz.")


def part_of(text: str, count: int) -> tuple[int, int]:
    """(first, end) of `A:B` among `count` rows; an end beyond the last row is the last row's. Raises DataError."""
    from edgefair.errors import DataError

    first, colon, end = text.strip().partition(":")
    numbers = all(part.isascii() and part.isdecimal() for part in (first, end) if part)
    if not colon or not numbers:
        raise DataError(f"--rows '{text}' is not of the form A:B, such as 0:{count} for all {count} rows.")
    low, high = int(first or 0), min(int(end or count), count)
    if not low < high:
        raise DataError(f"--rows {text}: there is no such row; the gate has rows 0:{count}, and A must be below B.")
    return low, high
