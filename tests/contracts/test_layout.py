"""The shape of the package: few loose modules, rooms that can be overseen, files that can be read in one go."""

from pathlib import Path

import pytest

import edgefair

ROOT = Path(edgefair.__file__).parent
PACKAGES = sorted(path.parent for path in ROOT.rglob("__init__.py") if path.parent != ROOT)


def test_at_most_ten_modules_stand_loose():
    assert len(list(ROOT.glob("*.py"))) <= 10


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_package_can_be_overseen(package):
    files = [path for path in package.glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= 25


def test_no_file_is_longer_than_300_lines():
    long = {path.relative_to(ROOT).as_posix(): n for path in ROOT.rglob("*.py") if (n := _lines(path)) > 300}
    assert long == {}


def test_every_package_says_what_it_is_for():
    assert [path for path in PACKAGES if not (path / "__init__.py").read_text().startswith('"""')] == []


def test_tests_mirror_the_packages():
    """A folder of tests is a package of that name; contracts, helpers, documents and whole-engine tests stand apart."""
    apart = {"contracts", "docs", "examples", "fairness_regression", "helpers", "reference"}
    tests = Path(__file__).parents[1]
    folders = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    assert [f for f in folders if f.parts and f.parts[0] not in apart and not (ROOT / f).is_dir()] == []


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())
