"""The page on the architecture names what is there: packages, files, and functions in them."""

import re

import pytest

from ..helpers.pages import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
NAMES = re.findall(r"`(\w+)` in\s+`(edgefair/[\w/]+\.py)`", PAGE)


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(edgefair/[\w/.]+)`", PAGE))))
def test_files_that_are_named_exist(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("name", "path"), NAMES, ids=[name for name, _ in NAMES])
def test_functions_that_are_named_stand_in_their_file(name, path):
    assert re.search(rf"^(?:def|class) {name}\b", (ROOT / path).read_text(), re.MULTILINE)


def test_the_picture_has_every_package():
    picture = re.search(r"```text\n(cli .*?)```", PAGE, re.DOTALL)[1]
    packages = {path.parent.name for path in (ROOT / "edgefair").glob("*/__init__.py")}
    assert packages - set(re.findall(r"\w+", picture)) == set()


def test_the_picture_has_the_order_of_the_contract():
    layers = (ROOT / ".importlinter").read_text().split("[importlinter:contract:")[1]
    contract = re.findall(r"edgefair\.(\w+)", layers)
    picture = re.search(r"```text\n(cli .*?)```", PAGE, re.DOTALL)[1]
    lines = re.findall(r"^\w+", picture, re.MULTILINE)
    assert lines == [name for name in contract if name in lines]
