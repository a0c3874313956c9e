"""`edgefair lint`: what each target would make of a quantised file, without running it."""

import sys
from pathlib import Path

import click

from edgefair.cli.options import TableChoice, target_names


@click.command("lint")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--target", type=TableChoice(target_names), help="Judge for this target alone.  [default: all of them]")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the findings to a file too.")
def lint(file, target, json_file) -> None:
    """Say what each target would reject, misread, run slowly or compute inexactly in a quantised ONNX file.

    Exit codes: 0 nothing that is rejected or misread, 1 something is (by the target, or by any), 2 wrong input.
    """
    from edgefair.export.quantization.lint import blocking, summary
    from edgefair.export.quantization.lint import lint as findings_of
    from edgefair.files import write_json
    from edgefair.report.terminal.lint import print_findings

    findings = [one for one in findings_of(file) if target in (None, one.target)]
    print_findings(file, summary(findings), target)
    if json_file is not None:
        write_json(json_file, summary(findings))
    sys.exit(1 if blocking(findings) else 0)
