"""FairFace and CIFAR-10 as published, where copies lie beside the checkout."""

import csv
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgefair.data import load_examples, recognize
from edgefair.data.readers.cifar_pickle import read_pictures
from edgefair.recipe import parse

SHARED = Path(__file__).parents[3] / "shared/data"
ARCHIVE = SHARED / "fairface/fairface64.zip"


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
    data = {**recognize(str(tmp_path)), "age_buckets": 9, "group": "race"}
    examples = load_examples(parse({"data": data}).data, 0, quiet)
    assert examples.images.shape == (200, 3, 64, 64)
    assert len(examples.rows["gate"]) == 100
    assert len(examples.group_names) == 7
    assert 60 < examples.images.mean() < 190


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory):
    """The six official batches; the program that rebuilds them checks their published MD5 sums."""
    if not (SHARED / "cifar10").is_dir():
        pytest.skip("no copy of CIFAR-10 beside the checkout; the published masks are not checked on its labels here")
    folder = tmp_path_factory.mktemp("cifar10")
    subprocess.run([sys.executable, SHARED / "unpack.py", "cifar10", folder], check=True)
    return folder


def test_the_published_mask_on_the_real_labels(cifar10, vector, quiet):
    examples = load_examples(
        parse({"data": {"name": "cifar10s", "path": str(cifar10), "max_rows": 500}}).data, 0, quiet
    )
    grey = vector("cifar10s")["dbm_p95_is_gray"]
    assert examples.about["mask_sha256"] == hashlib.sha256(np.packbits(grey)).hexdigest()
    assert examples.about["grey_training_images"] == grey.sum() == 25_000
    train = [id_.split("-") for id_ in examples.ids[examples.rows["train"]]]
    assert len(train) == 400
    assert all(grey[int(number)] == (view == "grey") for _, number, view in train)
    assert len(examples.rows["gate"]) == 500
    assert recognize(str(cifar10)) == {"name": "cifar10", "path": str(cifar10)}


def test_the_other_construction_on_the_real_labels(cifar10, quiet):
    """The published loop over the shuffled images, with its quotas of 4,000 and 1,000 grey images a class."""
    recipe = parse({"data": {"name": "cifar10s-mfd", "path": str(cifar10), "max_rows": 500}}).data
    examples = load_examples(recipe, 0, quiet)
    labels = read_pictures(cifar10, "cifar10").labels[:50_000]
    order = np.arange(50_000)
    np.random.RandomState(0).shuffle(order)
    grey, count = np.zeros(50_000, bool), [0] * 10
    for image in order.tolist():
        label = labels[image]
        if count[label] < (4000 if label < 5 else 1000):
            grey[image], count[label] = True, count[label] + 1
    assert examples.about["mask_sha256"] == hashlib.sha256(np.packbits(grey)).hexdigest()
    assert examples.group_names == ("grey", "colour")
