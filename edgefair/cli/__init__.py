"""The command line: each command parses, calls one function, prints, and ends with an exit code."""

from edgefair.cli.app import cli, main

__all__ = ["cli", "main"]
