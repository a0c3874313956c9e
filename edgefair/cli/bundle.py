"""`edgefair bundle`: put together what a device needs to build, predict and measure."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder, or a file ending in .tar.gz.")
def bundle(run, out) -> None:
    """Make the device kit of a finished run: ONNX files, gate images, and the script that uses them there.

    On the device `run_on_device.sh` builds the engines and writes predictions and latencies; on the host
    `edgefair verify RUN KIT/results/*.npz` judges them.
    """
    from edgefair.log import Log
    from edgefair.pipeline.device.kit import bundle as make

    size = make(run, out, Log())
    click.echo(f"{out}: {size / 1e6:.1f} MB")
