"""Write the files of a frontier: the page, all numbers as JSON, tables as CSV and LaTeX."""

import csv
import io
from pathlib import Path

from edgefair.files import write_bytes, write_json
from edgefair.report.frontier.latex import latex
from edgefair.report.frontier.page import render_frontier
from edgefair.report.frontier.tables import Table, csv_tables, latex_tables


def write_frontier(found: dict, folder: Path) -> list[Path]:
    """Write `found`, build_frontier's with NaN as None, into the folder; returns the files, the page first."""
    comment = (
        f"edgefair {found['edgefair']}, artefact {found['artefact']}; mean and half of the 95 % t-interval over seeds"
    )
    contents = {"frontier.html": render_frontier(found)}
    contents |= {f"{table.name}.csv": _csv(table) for table in csv_tables(found)}
    contents |= {f"{table.name}.tex": latex(table, comment) for table in latex_tables(found)}
    for name, content in contents.items():
        write_bytes(folder / name, content.encode())
    write_json(folder / "frontier.json", found)
    return [folder / name for name in (*contents, "frontier.json")]


def _csv(table: Table) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.heads)
    writer.writerows([["" if value is None else value for value in row] for row in table.rows])
    return stream.getvalue()
