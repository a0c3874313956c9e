"""Names become LaTeX that shows them: nothing in a name is a command, a column, a comment or a new row."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.report.frontier.latex import SIGNS, escape, latex
from edgefair.report.frontier.tables import Table


def read_back(text: str) -> str:
    """What LaTeX would draw, by another way than `escape`: one token after the other."""
    drawn = {written: sign for sign, written in SIGNS.items()}
    tokens = re.compile(r"\\text\w+\{\}|\$\\?[\w-]+\$|\{[\[\]]\}|\\[{}$&#%_]|--|.", re.DOTALL)
    return "".join(drawn.get(token, token) for token in tokens.findall(text))


@settings(derandomize=True, deadline=None)
@given(st.text(alphabet=list('\\{}$&#%_~^<>|"[]*-a1 λ±−–é中\n\r\t\x00\u2028\u202e')))
def test_any_text_is_drawn_as_it_stands(text):
    safe = escape(text)
    bare = re.sub(r"\\text\w+\{\}|\$\\?[\w-]+\$|\{[\[\]]\}|\\[{}$&#%_]", "", safe)
    assert not set(bare) & set("\\{}$&#%_~^\n\r")
    if text.isprintable() and "-" not in text and "–" not in text:
        assert read_back(safe) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 % & more_x", r"50 \% \& more\_x"),
        ("a\\b", r"a\textbackslash{}b"),
        ("λ = 1", r"$\lambda$ = 1"),
        ("a\nb", "a b"),
    ],
)
def test_escapes(text, expected):
    assert escape(text) == expected


def test_a_row_cannot_be_broken_by_a_name():
    text = latex(Table("x", ["Model", "F1 (%)"], [["a & b \\\\ %", "**71.20 ± 0.40**"], ["[2cm]", "–"]]), "one\ntwo")
    assert text.splitlines() == [
        "% one two",
        r"\begin{tabular}{lr}",
        r"\hline",
        r"Model & F1 (\%) \\",
        r"\hline",
        r"a \& b \textbackslash{}\textbackslash{} \% & \textbf{71.20 $\pm$ 0.40} \\",
        r"{[}2cm{]} & -- \\",
        r"\hline",
        r"\end{tabular}",
    ]
