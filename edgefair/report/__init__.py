"""The report: report.json with a versioned schema, report.html in one file, a model card, tables for the terminal."""

from edgefair.report.write import write_report

__all__ = ["write_report"]
