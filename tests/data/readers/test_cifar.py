"""CIFAR-10S: the published masks, views and lists; CIFAR without groups; what a single group ends in."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgefair.data import SPLITS, load_examples
from edgefair.data.readers.cifar import as_grey, draw_balanced, jung_mask, wang_mask
from edgefair.errors import RecipeError
from edgefair.log import Log
from edgefair.pipeline.job import distill_and_export
from edgefair.recipe import parse
from tests.helpers import cifar_copies as copies
from tests.helpers.recipes import tiny

CONSTRUCTED = ["cifar10s", "cifar10s-mfd"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty training and twelve test images of each class."""
    path = tmp_path_factory.mktemp("cifar") / "cifar-10-batches-py"
    copies.write_cifar10(path)
    return path


@pytest.fixture(scope="module")
def stored(folder):
    from edgefair.data.readers.cifar_pickle import read_pictures

    return read_pictures(folder, "cifar10")


def examples_of(name, folder, seed=0, **data):
    recipe = parse({"data": {"name": name, "path": str(folder), **data}}).data
    return load_examples(recipe, seed, Log(quiet=True))


@pytest.fixture
def shuffled_labels():
    return np.random.default_rng(0).permutation(np.repeat(np.arange(10), 200))


@pytest.mark.parametrize("skew", [0.5, 0.8, 0.95, 1.0])
def test_the_first_mask_is_what_the_published_draws_give(shuffled_labels, skew):
    before = random.getstate()
    random.seed(42)
    grey = set()
    for label in range(10):
        everyone = [k for k, value in enumerate(shuffled_labels) if value == label]
        majority = set(random.sample(everyone, int(200 * skew)))
        grey |= set(everyone) - majority if label in (1, 3, 5, 7, 9) else majority
    random.setstate(before)
    mask = wang_mask(shuffled_labels, skew, 42)
    assert set(np.flatnonzero(mask)) == grey
    assert random.getstate() == before


@pytest.mark.parametrize("skew", [0.5, 0.8, 1.0])
def test_the_second_mask_is_what_the_published_loop_gives(shuffled_labels, skew):
    before = np.random.get_state()  # noqa: NPY002 (the published program's generator)
    np.random.seed(0)  # noqa: NPY002
    order = np.arange(2000)
    np.random.shuffle(order)  # noqa: NPY002
    np.random.set_state(before)  # noqa: NPY002
    quota = [int((2000 * skew) // 10) if c < 5 else 200 - int((2000 * skew) // 10) for c in range(10)]
    grey, count = np.zeros(2000, bool), [0] * 10
    for image in order:
        label = shuffled_labels[image]
        if count[label] < quota[label]:
            grey[image] = True
            count[label] += 1
    assert (jung_mask(shuffled_labels, skew, 0) == grey).all()
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_grey_is_the_vectors_grey(vector):
    pairs = vector("cifar10s")
    for colour, grey in zip(pairs["gray_in"], pairs["gray_out"], strict=True):
        assert (np.asarray(as_grey(colour)) == grey).all()
        weighted = colour.astype(np.int64) @ [19595, 38470, 7471]
        assert (np.asarray(as_grey(colour)) == ((weighted + 0x8000) >> 16)[..., None]).all()


@pytest.mark.parametrize("name", CONSTRUCTED)
def test_training_shows_one_view_of_an_image_and_all_other_lists_both(name, folder, stored):
    examples = examples_of(name, folder, calibration_share=0.2)
    mask = wang_mask(stored.labels[:400], 0.95, 42) if name == "cifar10s" else jung_mask(stored.labels[:400], 0.8, 0)
    owner = {}
    for part in SPLITS:
        for row in examples.rows[part]:
            where, number, view = examples.ids[row].split("-")
            assert examples.identities[row] == f"{where}-{number}"
            assert owner.setdefault(examples.identities[row], part) == part
            at = int(number) + (400 if where == "test" else 0)
            assert examples.labels[row] == stored.labels[at]
            assert examples.group_names[examples.groups[row]] == view
            image = stored.images[at].transpose(1, 2, 0)
            shown = np.asarray(Image.fromarray(image).convert("L").convert("RGB")) if view == "grey" else image
            assert (examples.images[row] == shown.transpose(2, 0, 1)).all()
            if part == "train":
                assert (view == "grey") == mask[at]
        counts = examples.counts(part)
        assert part == "train" or (counts[0] == counts[1]).all()
    assert len(owner) == 400 + 120
    assert (examples.counts("gate") == 12).all()
    # The blocks of the test set stand in the order of the groups.
    assert examples.groups[examples.rows["gate"]].tolist() == [0] * 120 + [1] * 120
    assert examples.about["grey_training_images"] == mask.sum() == 200


def test_the_two_constructions_number_their_groups_as_published(folder):
    assert examples_of("cifar10s", folder).group_names == ("colour", "grey")
    assert examples_of("cifar10s-mfd", folder).group_names == ("grey", "colour")


@settings(derandomize=True, deadline=None, max_examples=12)
@given(
    name=st.sampled_from(CONSTRUCTED),
    seed=st.integers(0, 5),
    shares=st.tuples(*[st.floats(0.05, 0.3)] * 3),
    most=st.sampled_from([0, 150, 260, 1000]),
)
def test_neither_shares_nor_seed_nor_size_touch_the_mask(folder, stored, name, seed, shares, most):
    fields = dict(zip(("validation_share", "calibration_share", "meta_share"), shares, strict=True))
    examples = examples_of(name, folder, seed, max_rows=most, **fields)
    grey = wang_mask(stored.labels[:400], 0.95, 42) if name == "cifar10s" else jung_mask(stored.labels[:400], 0.8, 0)
    train = examples.ids[examples.rows["train"]]
    assert all(grey[int(id_.split("-")[1])] == id_.endswith("grey") for id_ in train)
    assert len(set(examples.identities[np.concatenate([examples.rows[part] for part in SPLITS[:4]])])) == min(
        most or 400, 400
    )
    assert len(examples.rows["gate"]) == min(most or 240, 240) // 2 * 2
    gate = examples.counts("gate")
    assert (gate[0] == gate[1]).all()
    assert np.ptp(gate) <= 1


def test_a_mask_of_another_seed_and_skew(folder):
    usual, other = examples_of("cifar10s", folder), examples_of("cifar10s", folder, mask_seed=7, skew=0.6)
    assert (usual.about["skew"], usual.about["mask_seed"]) == (0.95, 42)
    assert (other.about["skew"], other.about["mask_seed"]) == (0.6, 7)
    assert usual.about["mask_sha256"] != other.about["mask_sha256"]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(1, 400), st.floats(0.5, 1), st.integers(0, 9))
def test_fewer_images_are_balanced_over_classes_and_keep_the_skew(stored, most, skew, seed):
    labels = stored.labels[:400]
    groups = wang_mask(labels, skew, 42).astype(int)
    chosen = draw_balanced(labels, groups, most, seed, "test")
    assert len(np.unique(chosen)) == most
    classes = np.bincount(labels[chosen], minlength=10)
    assert np.ptp(classes) <= 1
    for label in range(10):
        expected = classes[label] * groups[labels == label].mean()
        assert abs(groups[chosen[labels[chosen] == label]].sum() - expected) <= 1


def test_other_sizes_are_resized_after_they_are_made_grey(folder, stored):
    examples = examples_of("cifar10s", folder, image_size=48)
    row = next(r for r in examples.rows["gate"] if examples.ids[r] == "test-00003-grey")
    expected = as_grey(stored.images[403].transpose(1, 2, 0)).resize((48, 48), Image.Resampling.BICUBIC)
    assert (examples.images[row] == np.asarray(expected).transpose(2, 0, 1)).all()


def test_changed_files_are_prepared_again(tmp_path):
    path = tmp_path / "cifar-10-batches-py"
    rows, labels = copies.write_cifar10(path, per_class=20, test_per_class=2)
    before = examples_of("cifar10", path).images[0].copy()
    (path / "data_batch_1").write_bytes(
        copies.batch(
            {
                "data": copies.array(255 - rows[:40]),
                "labels": copies.listed([copies.number(int(v)) for v in labels[:40]]),
            }
        )
    )
    after = examples_of("cifar10", path)
    assert after.ids[0] < "train-00040"
    assert (after.images[0] != before).any()


def test_cifar_without_groups(folder, tmp_path):
    examples = examples_of("cifar10", folder)
    assert examples.group_names == ("all",)
    assert examples.counts("gate").tolist() == [[12] * 10]
    assert examples.ids[examples.rows["gate"][0]] == "test-00000"
    copies.write_cifar100(tmp_path / "cifar-100-python")
    fine = examples_of("cifar100", tmp_path, validation_share=0.25, calibration_share=0.25)
    coarse = examples_of("cifar100", tmp_path, label_set="coarse")
    assert (len(fine.class_names), len(coarse.class_names)) == (100, 20)
    assert coarse.about["label_set"] == "coarse"


def test_defaults_follow_the_data_set():
    def of(name, **more):
        path = {} if name == "trifeature" else {"path": "x"}
        return parse({"data": {"name": name, **path, **more}}).data

    assert (of("cifar10s").skew, of("cifar10s-mfd").skew, of("trifeature").skew) == (0.95, 0.8, 0.92)
    assert of("cifar10s", skew=0.6).skew == 0.6
    assert {of(name).image_size for name in ("cifar10", "cifar100", *CONSTRUCTED)} == {32}
    assert of("cifar10", image_size=64).image_size == 64


@pytest.mark.slow
def test_the_main_job_without_groups_is_honest(folder, tmp_path, quiet):
    data = {"data__name": "cifar10", "data__path": str(folder), "data__calibration_share": 0.1}
    with pytest.raises(RecipeError, match=r"'cifar10' declares no groups.*'bird'.*--strategy plain"):
        distill_and_export(tiny(**data, strategy__name="bird"), tmp_path / "run", quiet)
    with pytest.raises(RecipeError, match=r"so the teacher with strategy 'reweight' .*set teacher.strategy to 'plain'"):
        distill_and_export(tiny(**data, strategy__name="plain", teacher__strategy="reweight"), tmp_path / "run", quiet)
    assert not (tmp_path / "run").exists()
    report = distill_and_export(
        tiny(
            **data,
            strategy__name="plain",
            loss__name="ckd",
            teacher__epochs=0,
            train__epochs=1,
            deploy__precisions=["fp32"],
        ),
        tmp_path / "run",
        quiet,
    )
    assert report["outcome"] in ("fail", "inconclusive")
    for entry in report["artefacts"]:
        if "verdict" in entry:
            drift = next(check for check in entry["verdict"]["checks"] if check["name"] == "mean_drift")
            assert drift["outcome"] == "inconclusive"
            assert "no groups are declared" in drift["sentence"]
            assert entry["outcome"] != "pass"
    assert "nothing can be said about the student's fairness" in report["remaining"]
    assert "no groups are declared" in (tmp_path / "run/report.html").read_text()
