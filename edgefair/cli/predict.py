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
@click.option("--threads", type=click.IntRange(min=0), default=0, help="Threads of the runtime.  [default: all]")
def predict(artefact, runtime, gate, out, threads) -> None:
    """Run ARTEFACT on the gate rows and write what `edgefair verify RUN FILE.npz` judges on the host.

    Needs no torch. A file that stands in the manifest.json beside it runs only if its hash is the one written there;
    an engine that stands in none is refused.
    """
    from edgefair.data.gate_rows import GateRows
    from edgefair.errors import DataError
    from edgefair.log import Log
    from edgefair.runtimes.predict import artefact_from_file
    from edgefair.runtimes.predict import predict as run

    if out.suffix != ".npz":
        raise DataError(f"--out {out}: a predictions file ends in .npz.")
    out.unlink(missing_ok=True)  # what an earlier call found must not stand beside an error of this one
    predictions = run(artefact_from_file(artefact, runtime), GateRows.load(gate), Log(), threads)
    predictions.save(out)
    click.echo(f"{out}: {len(predictions.ids):,} rows")
