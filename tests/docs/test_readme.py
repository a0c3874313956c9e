"""The README is short, its links lead somewhere, and no sentence of the documents stands in two places."""

import re
from collections import defaultdict

import pytest

from ..helpers.pages import FENCE, PAGES, ROOT

README = ROOT / "README.md"
BESIDE_CODE = [ROOT / "deploy" / "README.md", ROOT / "calibration" / "README.md"]


def sentences(page: str) -> set[str]:
    """The sentences of a page that are long enough to be no stock phrase; cells and items are sentences too."""
    page = re.sub(r"<!--.*?-->", "", FENCE.sub("\n", page), flags=re.DOTALL)
    parts = re.split(r"\n\s*\n|^[-*] |^\d+\. |\|", page, flags=re.MULTILINE)
    found = {one for part in parts for one in re.split(r"(?<=[.:;!?])\s+", " ".join(part.split()))}
    return {one for one in found if len(one) > 45}


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 180


@pytest.mark.parametrize("page", [README, *BESIDE_CODE], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_outside_the_site_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", FENCE.sub("", page.read_text()))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_no_sentence_stands_in_two_places():
    places = defaultdict(list)
    for page in [*PAGES, *BESIDE_CODE]:
        for sentence in sentences(page.read_text()):
            places[sentence].append(str(page.relative_to(ROOT)))
    assert {sentence: pages for sentence, pages in places.items() if len(pages) > 1} == {}


def test_a_sentence_in_two_places_would_be_found():
    one = "A check fails on what was observed, and passes on an upper bound; so it is."
    assert sentences(f"# Title\n\n{one}\n") & sentences(f"- {one}\n- another item\n")
    assert not sentences(f"```\n{one}\n```\n")


def test_pictures_are_small():
    pictures = list((ROOT / "docs" / "images").iterdir())
    assert pictures
    assert max(picture.stat().st_size for picture in pictures) < 150_000


def test_every_extra_has_a_row():
    _, _, extras = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]\n")
    declared = re.findall(r"^([\w-]+) = \[", extras.split("\n[", 1)[0], re.MULTILINE)
    rows = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs" / "get-started.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(declared)
