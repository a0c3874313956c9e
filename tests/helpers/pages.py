"""What stands in the documents: fenced blocks, and command lines of edgefair."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if page.exists() and page.name != "FIGURES.md"]

FENCE = re.compile(
    r"^(?P<fence>`{3,})(?P<language>[\w{}:-]*)[^\n]*\n(?P<text>.*?)^(?P=fence) *$", re.DOTALL | re.MULTILINE
)
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*$")
COMMAND = re.compile(r"(?<![\w/.-])(?:\.venv/bin/|python -m |-m )?edgefair (?=[a-z-])")


@dataclass(frozen=True)
class Block:
    """A fenced block; `not_run` is the reason that a comment above it gives."""

    language: str
    text: str
    line: int
    not_run: str = ""


def blocks(page: str, language: str = "") -> list[Block]:
    """The fenced blocks of a page, of one language or of all."""
    found = []
    for match in FENCE.finditer(page):
        above = NOT_RUN.search(page[: match.start()])
        line = page.count("\n", 0, match.start()) + 1
        found.append(Block(match["language"], match["text"], line, above[1] if above else ""))
    return [block for block in found if language in ("", block.language)]


def commands(page: str) -> list[str]:
    """Command lines of edgefair: in fenced blocks, in blocks set off by four spaces, and in code in lines."""
    texts = [block.text for block in blocks(page) if block.language in ("", "sh", "bash", "console", "shell")]
    rest = FENCE.sub("\n", page)
    texts += re.findall(r"^ {4,}\S[^\n]*$", rest, re.MULTILINE)
    texts += [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", rest)]
    lines = [line for text in texts for line in text.replace("\\\n", " ").splitlines()]
    return [line[match.end() :] for line in lines for match in COMMAND.finditer(line)]


def words(command: str) -> list[str]:
    """A command line as the shell would split it, up to a comment, a pipe or the next command.

    Brackets around what may be left out are dropped; a value that is a list keeps its own.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split, lexer.commenters = True, "#"
    found = []
    for word in lexer:
        if set(word) <= set("|&;"):
            break
        found.append(word.strip("[]") if "=" not in word else word)
    return found
