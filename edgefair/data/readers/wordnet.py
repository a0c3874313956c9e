"""Names of ImageNet's classes, which are WordNet ids with lists of synonyms."""

from collections import Counter
from pathlib import Path

from edgefair.data.tables import read_text


def read_lines(path: Path) -> list[tuple[str, str]]:
    """The lines of a text file that are not empty, as (where, line)."""
    lines = read_text(path).splitlines()
    return [(f"{path.name}, line {number}", line) for number, line in enumerate(lines, start=1) if line.strip()]


def readable(wnids: list[str], synonyms: dict[str, str]) -> dict[str, str]:
    """WordNet id -> its first synonym; the id is added where two have the same one, and stands alone without any."""
    first = {wnid: synonyms.get(wnid, "").split(",")[0].strip() or wnid for wnid in wnids}
    times = Counter(first.values())
    return {wnid: name if times[name] == 1 else f"{name} ({wnid})" for wnid, name in first.items()}
