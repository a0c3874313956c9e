"""`edgefair quantize`: a finished run in eight bits, with the operators in float that its fairness needs."""

import sys
from pathlib import Path

import click

from edgefair.cli.options import TableChoice, target_names


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--target",
    type=TableChoice(target_names),
    help="What to quantise for.  [default: that of the run's first INT8 file]",
)
@click.option(
    "--until-pass",
    is_flag=True,
    help="Return operators to float until every check of the gate holds, accuracy and changed predictions included.",
)
@click.option("--until-fair", is_flag=True, hidden=True, help="The former name of --until-pass.")
@click.option(
    "--cost",
    type=click.Choice(["latency", "size"]),
    help="What an operator in float is charged.  [default: latency on ort-cpu, else size]",
)
@click.option(
    "--rank",
    type=click.Choice(["worst-group", "mean"]),
    default="worst-group",
    show_default=True,
    help="Whose margin error ranks the operators.",
)
@click.option(
    "--max-float", type=click.IntRange(min=0), help="Most operators in float; without --until-pass, how many."
)
@click.option(
    "--finetune-epochs",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Train on under quantisation for so long, if operators in float do not suffice.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every number as JSON.")
def quantize(
    run: Path,
    target: str | None,
    until_pass: bool,
    until_fair: bool,
    cost: str | None,
    rank: str,
    max_float: int | None,
    finetune_epochs: int,
    json_file: Path | None,
) -> None:
    """Quantise the student of RUN so that no group loses more than allowed, and show what that costs.

    RUN is a folder of distill-and-export. Operators are ranked and chosen on validation rows; the gate rows judge what
    is built, once. Files, predictions and manifest go to RUN/quantized; what the run made stays as it is.

    Exit codes: 0 pass, 1 fail, 2 wrong input, 3 inconclusive; of the variant that would ship.
    """
    from edgefair.errors import EXIT
    from edgefair.files import write_json
    from edgefair.log import Log
    from edgefair.pipeline.quantize.request import QuantizeRequest
    from edgefair.pipeline.quantize.run import quantize_run
    from edgefair.report.terminal.quantize import print_trade
    from edgefair.report.terminal.tables import plain_console

    if json_file:
        json_file.unlink(missing_ok=True)  # the result of an earlier call must not stay beside an error of this one
    request = QuantizeRequest(target or "", until_pass or until_fair, cost or "", rank, max_float, finetune_epochs)
    report = quantize_run(run, request, Log())
    if json_file:
        write_json(json_file, report)
    print_trade(report, plain_console())
    sys.exit(EXIT[report["outcome"]])
