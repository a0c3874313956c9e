"""The page on how many rows says what `edgefair plan` says."""

import re

import pytest
from click.testing import CliRunner

from edgefair.cli import cli

from ..helpers.pages import ROOT

PAGE = (ROOT / "docs" / "guide" / "rows.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "cells"), ROWS, ids=[rows for rows, _ in ROWS])
def test_the_table_is_what_the_command_prints(rows, cells):
    result = CliRunner().invoke(cli, ["plan", "--classes", "16", "--groups", "2", "--rows-per-cell", rows])
    printed = re.findall(r"^\s+[\d.]+\s+([\d.]+)\s+([\d.]+)\s*$", result.output, re.MULTILINE)
    written = [tuple(cell.split(" / ")) for cell in cells.split(" | ")]
    assert len(printed) == len(written) == 4
    for (mean, largest), (mean_written, largest_written) in zip(printed, written, strict=True):
        assert (float(mean), float(largest)) == (float(mean_written), float(largest_written))


def test_the_table_was_found():
    assert [rows for rows, _ in ROWS] == ["100", "500"]
