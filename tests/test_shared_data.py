"""FairFace as published, where a copy lies beside the checkout."""

import csv
import io
import zipfile
from pathlib import Path

import pytest

from edgefair.data import load_examples, recognise
from edgefair.recipe import parse

ARCHIVE = Path(__file__).parents[2] / "shared/data/fairface/fairface64.zip"


@pytest.mark.skipif(
    not ARCHIVE.exists(), reason="no copy of FairFace beside the checkout; real faces are not read here"
)
def test_a_hundred_real_faces(tmp_path, quiet):
    with zipfile.ZipFile(ARCHIVE) as archive:
        for name in ("train", "val"):
            label_file = f"fairface_label_{name}.csv"
            rows = list(csv.reader(io.TextIOWrapper(archive.open(label_file), "utf-8")))[:101]
            with open(tmp_path / label_file, "w", newline="") as stream:
                csv.writer(stream).writerows(rows)
            for row in rows[1:]:
                archive.extract(row[0], tmp_path)
    data = {**recognise(str(tmp_path)), "age_buckets": 9, "group": "race"}
    examples = load_examples(parse({"data": data}).data, 0, quiet)
    assert examples.images.shape == (200, 3, 64, 64)
    assert len(examples.rows["gate"]) == 100
    assert len(examples.group_names) == 7
    assert 60 < examples.images.mean() < 190
