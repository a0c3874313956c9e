"""The rendered data set: what is promised of counts, skew, seeds and pictures."""

import numpy as np
import pytest

from edgefair.data import SPLITS, load_examples
from edgefair.data.readers.trifeature import COLOURS, SHAPES, TEXTURES, factors, render
from edgefair.recipe.data import TrifeatureSettings
from edgefair.seeds import generator
from tests.helpers.recipes import tiny


def picture(shape, texture="solid", colour="white", **changes):
    recipe = TrifeatureSettings(
        **{"image_size": 64, "noise": 0.0, "size_min": 0.8, "size_max": 0.8, "texture_contrast": 1.0, **changes}
    )
    row = [list(SHAPES).index(shape), list(TEXTURES).index(texture), list(COLOURS).index(colour)]
    return next(render(np.array([row]), recipe, generator(0, "test")))[0]


@pytest.mark.parametrize("skew", [0.5, 0.88, 1.0])
def test_factors_have_the_exact_skew(skew):
    rows = factors(4000, skew, generator(0, "test"))
    shape, family = rows[:, 0], rows[:, 2] // 5
    assert (np.bincount(shape) == 400).all()
    for c in range(10):
        assert (family[shape == c] == c % 2).sum() == round(skew * 400)
    assert set(rows[:, 1]) == set(range(10))


def test_five_disjoint_lists_and_balanced_gate(quiet):
    examples = load_examples(tiny().data, 0, quiet)
    taken = np.concatenate([examples.rows[name] for name in SPLITS])
    assert len(np.unique(taken)) == len(taken) == len(examples.images)
    assert (examples.counts("gate") == 10).all()
    assert examples.counts("train").max() > 5 * examples.counts("train").min()


def test_seeds_and_the_cache(quiet, tmp_path, monkeypatch):
    first = load_examples(tiny().data, 0, quiet)
    monkeypatch.setenv("EDGEFAIR_CACHE", str(tmp_path))
    again, other = load_examples(tiny().data, 0, quiet), load_examples(tiny().data, 1, quiet)
    assert (first.images == again.images).all()
    assert not (first.images == other.images).all()
    made = sorted(tmp_path.iterdir())
    stamp = made[0].stat().st_mtime_ns
    load_examples(tiny().data, 0, quiet)
    assert sorted(tmp_path.iterdir()) == made
    assert made[0].stat().st_mtime_ns == stamp


def test_every_shape_and_texture_is_visible_and_different():
    grey = 128
    shapes = {name: (picture(name) != grey).all(axis=0) for name in SHAPES}
    areas = {name: mask.mean() for name, mask in shapes.items()}
    assert all(0.05 < area < 0.7 for area in areas.values()), areas
    assert areas["star"] < areas["pentagon"] < areas["circle"]
    textures = [picture("square", texture=name).tobytes() for name in TEXTURES]
    assert len(set(textures)) == len(TEXTURES)


def test_a_circle_has_the_area_of_a_circle():
    mask = (picture("circle", image_size=128)[0].astype(float) - 128) / 127
    assert mask.sum() == pytest.approx(np.pi * (0.8 * 128 / 2) ** 2, rel=0.01)


def test_colours_are_the_colours():
    red = picture("square", colour="red")
    inside = red[:, 32, 32]
    assert inside.tolist() == [255, 0, 0]


def test_papers_geometry():
    recipe = TrifeatureSettings(
        geometry="paper", train_rows=10, validation_rows=10, calibration_rows=20, gate_rows=20, meta_rows=0
    )
    images = np.concatenate(list(render(factors(20, 0.5, generator(0, "x")), recipe, generator(0, "test"))))
    assert images.shape == (20, 3, 224, 224)
    template = recipe.size_max * 224
    assert template == pytest.approx(128)
    assert recipe.texture_period * 224 == pytest.approx(10)
    assert recipe.noise == 0
