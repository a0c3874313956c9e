"""The worked examples of docs/extending, each applied to a copy of the package as the page says, and run there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..helpers.pages import ROOT, Block, blocks

EXAMPLES = sorted((ROOT / "docs" / "extending").glob("*.md"))
MOST_LINES = 40
examples = pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.stem)


def apply(block: Block, root: Path) -> None:
    """A block of Python that begins with a path is a new file; a `diff` block changes the file that it names."""
    head, _, body = block.text.partition("\n")
    if block.language == "python":
        (root / head.removeprefix("# ")).write_text(body)
        return
    path = root / head.removeprefix("+++ ")
    path.write_text("\n".join(merged(path.read_text().split("\n"), body.splitlines(), path.name)))


def merged(lines: list[str], changes: list[str], name: str) -> list[str]:
    """A file with the changes of a diff, hunk by hunk (`@@`).

    Context and `-` lines are looked for in order; `+` lines go after the one before them, or, where a hunk begins with
    them, before the next one.
    """
    for hunk in "\n".join(changes).split("\n@@"):
        lines = _with_hunk(lines, [line for line in hunk.split("\n") if line and line != "@@"], name)
    return lines


def _with_hunk(lines: list[str], hunk: list[str], name: str) -> list[str]:
    at, pending, result = None, [], list(lines)
    for kind, text in ((line[0], line[1:]) for line in hunk):
        if kind == "+" and at is None:
            pending.append(text)
        elif kind == "+":
            result.insert(at, text)
            at += 1
        elif kind not in " -":
            raise ValueError(f"a line of a diff begins with {kind!r}: {kind}{text}")
        else:
            if text not in result[at or 0 :]:
                raise LookupError(f"{name} has no line {text!r} there; the page's example is out of date")
            at = result.index(text, at or 0)
            result[at:at] = pending
            at, pending = at + len(pending) + (kind == " "), []
            if kind == "-":
                del result[at]
    return result


def is_change(block: Block) -> bool:
    return block.language == "diff" or (block.language == "python" and block.text.startswith("# edgefair/"))


def code_lines(block: Block) -> int:
    """Lines that somebody has to write: without the path, context and blank lines."""
    body = block.text.splitlines()[1:]
    written = [line for line in body if line.strip() and (block.language == "python" or line[:1] in "+-")]
    return len(written)


@pytest.fixture
def copy(tmp_path):
    """The package and its tests in another place."""
    for folder in ("edgefair", "tests", "docs/_ext"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", ".importlinter"):
        shutil.copy(ROOT / file, tmp_path / file)
    shutil.copy(ROOT / "tests/fairness_regression/engines/student.onnx", tmp_path / "student.onnx")
    return tmp_path


@pytest.mark.slow
@examples
def test_the_example_works_as_the_page_says(page, copy):
    """Its changes are made, then its Python and its command lines are run."""
    found = [block for block in blocks(page.read_text()) if not block.not_run]
    for block in filter(is_change, found):
        apply(block, copy)
    for block in found:
        if block.language == "python" and not is_change(block):
            run([sys.executable, "-c", block.text], copy)
        elif block.language == "sh":
            run(["sh", "-ec", f'edgefair() {{ python -m edgefair "$@"; }}\n{block.text}'], copy)


def run(command: list[str], folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(folder), "EDGEFAIR_CACHE": str(folder / "cache")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


@examples
def test_the_example_is_short_and_fits_the_files_that_it_changes(page, tmp_path):
    changes = [block for block in blocks(page.read_text()) if is_change(block)]
    assert changes
    assert sum(map(code_lines, changes)) <= MOST_LINES
    for block in changes:
        name = block.text.partition("\n")[0].removeprefix("# ").removeprefix("+++ ")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if block.language == "diff" and not (tmp_path / name).exists():
            shutil.copy(ROOT / name, tmp_path / name)
        apply(block, tmp_path)
        assert block.language == "diff" or not (ROOT / name).exists()


def test_a_diff_that_does_not_fit_is_an_error():
    lines = ["a", "b", "c"]
    assert merged(lines, [" a", "+x", "-c", "+d"], "f") == ["a", "x", "b", "d"]
    assert merged(lines, ["@@", "+x", "+y", " b", "+z", "@@", " a", "+w"], "f") == ["a", "w", "x", "y", "b", "z", "c"]
    with pytest.raises(LookupError, match="f has no line 'z'"):
        merged(lines, [" z", "+x"], "f")
