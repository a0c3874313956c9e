"""`edgefair verify`: judge predictions files or run folders against a reference."""

import sys
from pathlib import Path

import click

from edgefair.cli.options import recipe_option

# Option -> (limit, help, default): those of `edgefair.gate.tolerance.LIMITS` and of the recipe. They are repeated here,
# and held equal by a test, for the command line loads neither before a command runs. SUPPORTED_MAX is
# `Tolerance.supported_max_drift_points`, which holds where no limit on the largest gap is given.
SUPPORTED_MAX = 5
POINTS = {
    "--tolerance-mean": (
        "mean_drift_points",
        "Mean recall gap between groups, points: moved by at most this; with --claim non-inferiority, worsening of at "
        "most this.",
        2,
    ),
    "--tolerance-max": ("max_drift_points", "The same for the largest gap of any class; needs many rows.", None),
    "--max-accuracy-drop": ("accuracy_drop_points", "Allowed loss of accuracy over all rows, points.", 1),
    "--max-worst-group-drop": ("worst_group_drop_points", "Allowed loss of accuracy of any group, points.", 2),
    "--max-flips": ("flip_rate_percent", "Allowed share of changed predictions, percent.", 10),
    "--max-latency-p90-ms": ("max_latency_p90_ms", "Allowed 90th percentile of latency, milliseconds.", None),
    "--max-size-mb": ("max_size_mb", "Allowed size of the file, 10^6 bytes.", None),
}


def _flags(command):
    """Add one option a limit; without the option the recipe's [gate] decides, and without a recipe the default."""
    for flag, (name, text, default) in reversed(POINTS.items()):
        without = "not judged" if default is None else default
        if name == "max_drift_points":
            without = f"{SUPPORTED_MAX} where the cells are large enough to show that, else (and with --claim "
            without += "non-inferiority) only reported"
        text += f"  [default: the recipe's, else {without}]"
        command = click.option(flag, name, type=float, help=text)(command)
    return command


@click.command()
@click.argument("reference")
@click.argument("candidates", nargs=-1, required=True, metavar="CANDIDATE...")
@_flags
@click.option(
    "--latency",
    "latency_file",
    type=click.Path(path_type=Path),
    help="Latency measured elsewhere, such as on the device: what edgefair bench --json wrote, by SHA-256 of the file.",
)
@recipe_option("its [gate] sets limits")
@click.option(
    "--claim",
    type=click.Choice(["equivalence", "non-inferiority", "same", "no-worse"]),
    default="equivalence",
    show_default=True,
    help="equivalence (same): the reference in another form, every change counts; non-inferiority (no-worse): trained "
    "anew, may be better.",
)
@click.option("--junit-xml", "junit", type=click.Path(path_type=Path), help="Write the checks as JUnit XML.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the verdicts as JSON.")
def verify(
    reference: str,
    candidates: tuple[str, ...],
    latency_file: Path | None,
    recipe_file: Path | None,
    claim: str,
    junit: Path | None,
    json_file: Path | None,
    **flags: float | None,
) -> None:
    """Judge every CANDIDATE against REFERENCE on the same rows; the exit code is the worst outcome.

    Each is a predictions file (FILE.npz), a run folder, or one artefact of it (RUN:NAME, such as
    runs/x:ort-cpu-int8). A run folder as REFERENCE is its student, as CANDIDATE all its exported artefacts.

    Exit codes: 0 pass, 1 fail, 2 wrong input, 3 inconclusive.
    """
    from edgefair.errors import EXIT
    from edgefair.files import write_json
    from edgefair.pipeline.verify import verify as run
    from edgefair.report.junit import write_junit
    from edgefair.report.terminal.tables import plain_console
    from edgefair.report.terminal.verify import print_result

    for old in (json_file, junit):
        if old:
            old.unlink(missing_ok=True)  # the result of an earlier call must not stay beside an error of this one
    result = run(reference, list(candidates), flags, recipe_file, claim, latency_file)
    if json_file:
        write_json(json_file, result.to_dict())
    if junit:
        write_junit(result, junit)
    print_result(result, plain_console())
    sys.exit(EXIT[result.outcome])
