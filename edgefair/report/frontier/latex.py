"""A table as LaTeX that needs no package: rules are \\hline, names are escaped, numbers stay as they are."""

from edgefair.report.formatting import one_line
from edgefair.report.frontier.tables import Table

# What LaTeX reads as a command, and signs that its oldest encoding draws as others.
SIGNS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "λ": r"$\lambda$",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "[": "{[}",  # after the end of a row, [ begins an argument
    "]": "{]}",
}


def latex(table: Table, comment: str) -> str:
    """The table as a `tabular`, to be read with \\input; `comment` stands above it."""
    columns = "l" + "r" * (len(table.heads) - 1)
    lines = [
        f"% {one_line(f'{table.about}: {comment}' if table.about else comment)}",
        f"\\begin{{tabular}}{{{columns}}}",
        "\\hline",
        _row(table.heads),
        "\\hline",
    ]
    return "\n".join([*lines, *map(_row, table.rows), "\\hline", "\\end{tabular}", ""])


def escape(text: str) -> str:
    """Any text as LaTeX that shows it; line breaks and control characters are spaces."""
    return "".join(SIGNS.get(sign, sign) for sign in one_line(text))


def _row(cells: list[str]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    """A cell; what stands between two pairs of stars is the best of its method, in bold."""
    if len(text) > 4 and text.startswith("**") and text.endswith("**"):
        return rf"\textbf{{{escape(text[2:-2])}}}"
    return escape(text)
