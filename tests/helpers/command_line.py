"""The command line called in this process."""

import sys

import pytest

from edgefair.cli import main


def run(capsys, *arguments):
    """Exit code and everything printed."""
    before, sys.argv = sys.argv, ["edgefair", *arguments]
    try:
        with pytest.raises(SystemExit) as stop:
            main()
    finally:
        sys.argv = before
    captured = capsys.readouterr()
    return stop.value.code, captured.out + captured.err
