"""The report: report.json with a versioned schema, report.html in one file, a model card, tables for the terminal."""

from edgefair.pipeline.judge_run import SCHEMA, build_report, teacher_warnings
from edgefair.report.write import write_report

__all__ = ["SCHEMA", "build_report", "teacher_warnings", "write_report"]
