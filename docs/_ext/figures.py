"""Figures in the documents: each measured number names where it stands in benchmarks/results, and is compared with it.

    python docs/_ext/figures.py README.md docs/*.md            # what is wrong; exit code 1 if anything is
    python docs/_ext/figures.py --write README.md docs/*.md    # put the numbers of the files into the documents

The syntax of the tags: docs/FIGURES.md.
"""

import itertools
import json
import re
import statistics
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"

TAG = re.compile(r"<!-- *([a-z0-9-]+): (.*?) *@ *([^@]+?) *-->")
COMMENT = re.compile(r"<!-- *([a-z0-9-]+): .*?-->")
SPECIFIED = re.compile(r"<!-- *spec *-->")
CODE = re.compile(r"^( *)(`{3,}|~{3,}).*?^\1\2[^\n]*$|(?<!`)(`+)(?!`)[^\n]+?(?<!`)\3(?!`)", re.DOTALL | re.MULTILINE)
NUMBER = r"(?<![\w.,/^-])[-−+]?\d[\d,]*(?:\.\d+)?(?![\w]|[.,]\d|-\w)"
UNIT = r"(?:%|(?:percentage )?points?\b|(?:ms|s|seconds|minutes|µs|[KMG]i?B|images/s|times)\b)"
WITH_UNIT = re.compile(rf"(?:{NUMBER}\s*(?:to|and|or|±|–|/|\()\s*)*{NUMBER}\s?{UNIT}")
FUNCTIONS = {
    "mean": statistics.mean,
    "median": statistics.median,
    "std": statistics.stdev,
    "min": min,
    "max": max,
    "count": len,
    "percent": lambda value: 100 * value,
    "ratio": lambda one, other: one / other,
    "difference": lambda one, other: one - other,
    "times": lambda value, factor: value * factor,
}


class FigureError(ValueError):
    """A tag that cannot be read, or that names nothing."""


@lru_cache
def result(name: str) -> dict:
    """The record `benchmarks/results/NAME.json`."""
    try:
        return json.loads((RESULTS / f"{name}.json").read_text())
    except FileNotFoundError:
        raise FigureError(f"there is no benchmarks/results/{name}.json") from None


def look_up(record, path: str):
    """What stands at `key/key/0/key`; a step `*` takes all, and the answer is then a list."""
    step, _, rest = path.strip().partition("/")
    if step == "*":
        members = record.values() if isinstance(record, dict) else record
        return [look_up(member, rest) if rest else member for member in members]
    try:
        value = record[int(step) if isinstance(record, list) else step]
    except (KeyError, IndexError, ValueError, TypeError):
        there = ", ".join(map(str, record)) if isinstance(record, dict) else f"{type(record).__name__}"
        raise FigureError(f"no {step!r} here; there is: {there}") from None
    return look_up(value, rest) if rest else value


def split_arguments(text: str) -> list[str]:
    """Parts between semicolons that stand in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == ";" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def evaluate(record, expression: str):
    """A path, a number (as an argument), or one of FUNCTIONS of expressions."""
    call = re.fullmatch(r"(\w+)\((.*)\)", expression.strip())
    if not call:
        return look_up(record, expression)
    if call[1] not in FUNCTIONS:
        raise FigureError(f"no function {call[1]!r}; there are: {', '.join(FUNCTIONS)}")
    arguments = [float(a) if re.fullmatch(r"[\d.]+", a) else evaluate(record, a) for a in split_arguments(call[2])]
    try:
        return FUNCTIONS[call[1]](*arguments)
    except (TypeError, ValueError, ZeroDivisionError, statistics.StatisticsError) as error:
        raise FigureError(f"{expression}: {error}") from None


@dataclass
class Page:
    """A document without tags and code, which of its numbers have tags, and what is wrong with them."""

    text: str = ""
    tagged: set[int] = field(default_factory=set)  # where a number with a tag begins in `text`
    specified: list[int] = field(default_factory=list)  # where a `spec` tag stood in `text`
    problems: list[str] = field(default_factory=list)
    corrected: str = ""  # the document with the numbers of the records
    gap: int = 0  # where in `text` the last tag stood


def blank_code(text: str) -> str:
    """Code blocks and code in lines become spaces: their numbers are no claims."""
    return CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def read_page(source: str) -> Page:
    """Compare every tag of a document with the records, and note which numbers have one."""
    page, bare, last = Page(), blank_code(source), 0
    for match in re.finditer(f"{TAG.pattern}|{SPECIFIED.pattern}", bare):
        page.text += bare[last : match.start()]
        page.corrected += source[last : match.start()]
        if match[1] is None:
            page.specified.append(len(page.text))
        else:
            _compare(page, match)
        page.corrected += match[0]
        page.gap, last = len(page.text), match.end()
    page.text += bare[last:]
    page.corrected += source[last:]
    for match in COMMENT.finditer(bare):
        if not TAG.fullmatch(match[0]) and (RESULTS / f"{match[1]}.json").exists():
            page.problems.append(f"{match[0]} names a record and is no tag; one is written NAME: EXPRESSION @ FORMAT")
    return page


def _compare(page: Page, match: re.Match) -> None:
    where = f"line {page.text.count(chr(10)) + 1}"
    try:
        record = result(match[1])
        wanted = [format(evaluate(record, part), match[3]) for part in split_arguments(match[2])]
    except (FigureError, ValueError, TypeError) as error:
        page.problems.append(f"{where}: {match[0]}: {error}")
        return
    begin = max(page.text.rfind("|") + 1, page.text.rfind("\n\n") + 1, page.gap)
    words = r"[\w-]+" if match[3] == "s" else NUMBER
    shown = list(re.compile(words).finditer(page.text, begin))[-len(wanted) :]
    if len(shown) < len(wanted):
        page.problems.append(f"{where}: {match[0]} names {len(wanted)} numbers, {len(shown)} stand before it")
        return
    written = len(page.corrected)
    for number, value in zip(reversed(shown), reversed(wanted), strict=True):
        page.tagged.add(number.start())
        if number[0].replace("−", "-") != value:
            page.problems.append(f"{where}: the text says {number[0]}, {match[1]}.json says {value} ({match[2]})")
            back = len(page.text) - number.start() + len(page.corrected) - written  # from the end, which both share
            head, tail = page.corrected[:-back], page.corrected[-back:]
            page.corrected = head + value + tail[len(number[0]) :]


def untagged(page: Page) -> list[str]:
    """Numbers with a unit, and numbers in tables whose heading names one, that have neither a tag nor `spec`."""
    lines, start, found = page.text.split("\n"), 0, []
    covered, units = _specified_lines(page, lines), []
    for index, line in enumerate(lines):
        numbers = [m for match in WITH_UNIT.finditer(line) for m in _numbers(match)]
        units = _columns_with_unit(lines, index, units)
        for column, cell in _cells(line) if units else ():
            if column < len(units) and units[column]:
                numbers += list(re.compile(NUMBER).finditer(line, *cell))
        if index not in covered:
            missing = {m.start(): m[0] for m in numbers if start + m.start() not in page.tagged}
            found += [f"line {index + 1}: {missing[at]} has no tag: {line.strip()[:90]}" for at in sorted(missing)]
        start += len(line) + 1
    return found


def _numbers(match: re.Match):
    return re.compile(NUMBER).finditer(match.string, match.start(), match.end())


def _specified_lines(page: Page, lines: list[str]) -> set[int]:
    """Lines that a `spec` tag covers: its own, or the block below where it stands alone."""
    covered = set()
    for position in page.specified:
        index = page.text.count("\n", 0, position)
        covered.add(index)
        while not lines[index].strip() and index + 1 < len(lines) and index in covered:
            index += 1
            covered.add(index)
            while index + 1 < len(lines) and lines[index + 1].strip():
                index += 1
                covered.add(index)
    return covered


def _cells(line: str):
    """Column and extent of each cell of a table row, but the first, which names the row."""
    bars = [m.start() for m in re.finditer(r"\|", line)]
    for column, (begin, end) in enumerate(itertools.pairwise(bars)):
        if column:
            yield column, (begin + 1, end)


def _columns_with_unit(lines: list[str], index: int, units: list[bool]) -> list[bool]:
    """Which columns' heading names a unit; known from the line of dashes on, until the table ends."""
    if not lines[index].lstrip().startswith("|"):
        return []
    if index and re.fullmatch(r"\s*\|[\s:|-]+\|\s*", lines[index]):
        return [bool(re.search(rf"(?<!\w){UNIT}", cell)) for cell in lines[index - 1].strip().strip("|").split("|")]
    return units


def main(arguments: list[str]) -> int:
    """Say what is wrong in the documents, or correct the numbers that have tags."""
    write, wrong = "--write" in arguments, 0
    for path in (Path(name) for name in arguments if name != "--write"):
        page = read_page(path.read_text())
        if write and page.corrected != path.read_text():
            path.write_text(page.corrected)
        for problem in page.problems + untagged(page):
            print(f"{path}: {problem}")
            wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
