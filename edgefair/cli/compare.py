"""`edgefair compare`: which examples, classes and groups changed between two sets of predictions."""

from pathlib import Path

import click


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--top", type=click.IntRange(min=0), default=20, show_default=True, help="Flipped examples to print.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write every number and flip as JSON.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write every flipped example as CSV.")
def compare(a: str, b: str, top: int, json_file: Path | None, csv_file: Path | None) -> None:
    """Show which examples, classes and groups changed between A and B, on the same rows.

    A and B are predictions files (FILE.npz), run folders, or one artefact of a run (RUN:NAME). A run folder as A is its
    student, as B its exported artefact if it has one only. This describes; it judges nothing: see edgefair verify.
    """
    from edgefair.files import write_json
    from edgefair.metrics.comparison import align
    from edgefair.metrics.flips import differences
    from edgefair.pipeline.references import reference_source, single_source
    from edgefair.report.terminal.compare import print_differences, write_csv
    from edgefair.report.terminal.tables import plain_console

    ours, theirs = reference_source(a), single_source(b)
    difference = differences(align(ours.predictions, theirs.predictions))
    if json_file:
        write_json(json_file, {**difference, "a": ours.about(), "b": theirs.about()})
    if csv_file:
        write_csv(difference["flips"], csv_file)
    print_differences(difference, (ours, theirs), top, plain_console())
