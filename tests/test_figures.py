"""No figure of the documents differs from the record that it comes from, and none goes without a tag."""

from pathlib import Path

import figures
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if page.name != "FIGURES.md" and "_build" not in page.parts]
RECORD = {"runs": [{"ms": 2.0, "word": "pass"}, {"ms": 4.0, "word": "fail"}], "rkd, plain": {"at 0.5": 1234.56}}


@pytest.fixture
def record(monkeypatch):
    monkeypatch.setattr(figures, "result", lambda name: {"x": RECORD}[name])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_tag_says_what_its_record_says(page):
    assert figures.read_page(page.read_text()).problems == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_number_with_a_unit_has_a_tag(page):
    assert figures.untagged(figures.read_page(page.read_text())) == []


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("runs/1/ms", 4.0),
        ("rkd, plain/at 0.5", 1234.56),
        ("mean(runs/*/ms)", 3.0),
        ("count(runs)", 2),
        ("percent(ratio(runs/0/ms; runs/1/ms))", 50.0),
        ("difference(max(runs/*/ms); min(runs/*/ms))", 2.0),
        ("times(runs/0/ms; 0.001)", 0.002),
    ],
)
def test_expressions(expression, value):
    assert figures.evaluate(RECORD, expression) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    [
        "takes 2.0<!-- x: runs/0/ms @ .1f --> ms",
        "takes **2.0 (4.0)**<!-- x: runs/0/ms; runs/1/ms @ .1f --> ms",
        "| a | 2 (4)<!-- x: runs/0/ms; runs/1/ms @ .0f --> | fail<!-- x: runs/1/word @ s --> |",
        "1,235<!-- x: rkd, plain/at 0.5 @ ,.0f --> images/s",
        "2<!-- x: runs/0/ms @ .0f --> to 4<!-- x: runs/1/ms @ .0f --> ms",
        "`3 ms`, ResNet-18, INT8, 2025-11-25, and\n```\n5 points\n```\n",
        "may lose 2 points<!-- spec -->",
        "<!-- spec -->\n| check | points |\n|---|---|\n| mean | 2 |\n| max | 5 |\n",
    ],
)
def test_right_documents(record, text):
    page = figures.read_page(text)
    assert (page.problems, figures.untagged(page)) == ([], [])
    assert page.corrected == text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("takes 2.1<!-- x: runs/0/ms @ .1f --> ms", "says 2.0"),
        ("| 4 | 3<!-- x: runs/1/ms @ .0f --> |", "says 4"),
        ("it is pass<!-- x: runs/1/word @ s -->", "says fail"),
        ("takes 2<!-- x: runs/0/sec @ .0f --> ms", "no 'sec' here"),
        ("takes 2<!-- x: sum(runs/*/ms) @ .0f --> ms", "no function 'sum'"),
        ("takes 2<!-- x: runs/*/ms @ .0f --> ms", "unsupported format"),
        ("takes 2<!-- x: runs/0/ms; runs/1/ms @ .0f --> ms", "names 2 numbers"),
        ("fails<!-- main-job: exit_code | d -->", "is no tag"),
    ],
)
def test_a_tag_that_differs_is_named(record, text, word):
    (problem,) = figures.read_page(text).problems
    assert word in problem


@pytest.mark.parametrize(
    "text",
    [
        "it takes 3 ms",
        "2.5 times as fast",
        "18 to 28<!-- x: runs/0/ms @ .0f --> % of it",
        "<!-- spec -->\n2 points\n\n3 points\n",
        "| a | accuracy % |\n|---|---|\n| one | 93.0 |\n",
        "| a | gap, points (floor) |\n|---|---|\n| one | 2<!-- x: runs/0/ms @ .0f --> (0.5) |\n",
    ],
)
def test_a_number_without_a_tag_is_named(record, text):
    assert len(figures.untagged(figures.read_page(text))) == 1


def test_numbers_are_corrected_on_request(record, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("`x` takes 9 (8)<!-- x: runs/0/ms; runs/1/ms @ .1f --> ms, 4<!-- x: runs/1/ms @ .0f --> ms\n")
    assert figures.main(["--write", str(page)]) == 1
    assert page.read_text() == (
        "`x` takes 2.0 (4.0)<!-- x: runs/0/ms; runs/1/ms @ .1f --> ms, 4<!-- x: runs/1/ms @ .0f --> ms\n"
    )
    assert figures.main([str(page)]) == 0
