"""Tables on disk as rows of text: CSV with the standard library, Parquet with pyarrow."""

import csv
from collections.abc import Iterator
from pathlib import Path

from edgefair.errors import DataError, require


def read_rows(path: Path, needed: tuple[str, ...], what: str) -> list[tuple[str, dict[str, str]]]:
    """The rows of a table as (where, column -> text); empty text where there is no value.

    Raises DataError where the file cannot be read or lacks a column; `what` is what the file is, for messages.
    """
    try:
        columns, rows = (_parquet if Path(path).suffix.lower() == ".parquet" else _csv)(Path(path))
    except OSError as error:
        raise DataError(
            f"cannot read {what} {path}: {error.strerror or error}. Correct the path, or put the file there."
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file in UTF-8: {error}.") from None
    check_columns(path, columns, needed)
    return rows


def read_text(path: Path) -> str:
    """A published file in UTF-8; raises DataError where it is not there or not readable."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(
            f"cannot read {path}: {why}. The authors' archive holds it: unpack it whole, or correct the path."
        ) from None


def check_columns(path: Path, columns: list[str], needed: tuple[str, ...]) -> None:
    """Raise DataError where a needed column is not there."""
    if not columns:
        raise DataError(f"{path} is empty; it begins with the names of its columns: {','.join(needed)}.")
    for name in needed:
        if name not in columns:
            if len(columns) == 1 and (mark := next((m for m in ";\t|" if m in columns[0]), "")):
                raise DataError(f"{path} is separated by {mark!r}, not by commas. Save it with commas.")
            raise DataError(f"{path} has no column '{name}'; its columns are {', '.join(columns)}. Rename or add one.")


def _csv(path: Path) -> tuple[list[str], list]:
    with open(path, newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        return list(reader.fieldnames or []), list(_numbered(path, reader, "line", 2))


def _parquet(path: Path) -> tuple[list[str], list]:
    parquet = require("pyarrow.parquet", "data", "a table in Parquet")
    import pyarrow

    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{path} is no Parquet file: {str(error).rstrip('.')}.") from None
    return table.column_names, list(_numbered(path, table.to_pylist(), "row", 0))


def _numbered(path: Path, rows, word: str, first: int) -> Iterator[tuple[str, dict[str, str]]]:
    for number, row in enumerate(rows, start=first):
        values = {name: "" if value is None else str(value).strip() for name, value in row.items() if name is not None}
        yield f"{path.name}, {word} {number}", values
