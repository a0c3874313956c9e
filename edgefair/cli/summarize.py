"""`edgefair summarize`: the seeds of a recipe in one table, and what may be said of them beside another recipe."""

from pathlib import Path

import click

FOLDER = click.Path(path_type=Path, exists=True)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=FOLDER)
@click.option(
    "--against",
    multiple=True,
    type=FOLDER,
    metavar="RUN",
    help="A run of another recipe to test against; given once for each run.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all numbers to this file.")
@click.option("--html", "html_file", type=click.Path(path_type=Path), help="Write a page to this file.")
def summarize(
    runs: tuple[Path, ...], against: tuple[Path, ...], json_file: Path | None, html_file: Path | None
) -> None:
    """Summarise RUNS, which differ in their seed only: mean, interval and range over seeds, beside noise floors.

    With --against, every metric is tested, paired by seed where both sides have the same seeds; "fairer" is said only
    where its test supports it. Exit code 0, or 2 where the runs do not fit together.
    """
    from rich.console import Console

    from edgefair import __version__
    from edgefair.files import finite, write_bytes, write_json
    from edgefair.pipeline.summarize import class_bias, compare_runs, load_runs, summarize_runs
    from edgefair.report.terminal.summary import print_summary

    ours, theirs = load_runs(list(runs)), load_runs(list(against)) if against else []
    result = {"schema": 1, "edgefair": __version__, "summary": summarize_runs(ours)}
    result["class_bias"] = {"teacher against student": class_bias(ours, "teacher", ours, "student")}
    if theirs:
        result |= {"against": summarize_runs(theirs), "comparison": compare_runs(ours, theirs)}
        undistilled = theirs[0]["recipe"]["loss"]["name"] == "none"
        name = (
            "undistilled student against distilled" if undistilled else "the other recipe's student against this one's"
        )
        result["class_bias"][name] = class_bias(theirs, "student", ours, "student")
    if json_file:
        write_json(json_file, result)
    if html_file:
        from edgefair.report.seeds_html import render_seeds

        write_bytes(html_file, render_seeds(finite(result)).encode())
    print_summary(result, Console(highlight=False))
