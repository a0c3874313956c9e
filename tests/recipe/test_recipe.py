"""Recipes: TOML in and out, and messages that name the field, its value and what is allowed."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.cli import cli
from edgefair.errors import RecipeError
from edgefair.recipe import CHOICES, Recipe, assign, assignment, parse, read


def test_default_survives_toml(tmp_path):
    (tmp_path / "recipe.toml").write_text(Recipe().to_toml())
    assert parse(read(tmp_path / "recipe.toml")) == Recipe()


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    lam=st.floats(0, 1e6),
    seed=st.integers(0, 2**31 - 1),
    batches=st.lists(st.integers(1, 512), min_size=1, max_size=4),
    path=st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_any_recipe_survives_toml(tmp_path_factory, lam, seed, batches, path):
    recipe = parse(
        {
            "seed": seed,
            "strategy": {"lam": lam},
            "bench": {"batches": batches},
            "data": {"name": "manifest", "path": path},
        }
    )
    file = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    file.write_text(recipe.to_toml(), encoding="utf-8", newline="")
    again = parse(read(file))
    assert again == recipe
    assert again.hash == recipe.hash


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("train.epoch", 5, ["train.epoch", "did you mean 'epochs'"]),
        ("trian.epochs", 5, ["trian", "did you mean 'train'"]),
        ("strategy.lam", -1, ["--lambda (strategy.lam): a number of at least 0 is needed (given: -1)"]),
        ("strategy.lam", float("nan"), ["--lambda (strategy.lam): a finite number is needed (given: nan)"]),
        ("strategy.lam", float("inf"), ["--lambda (strategy.lam): a finite number is needed (given: inf)"]),
        ("seed", 2**31, ["seed: a number below 2147483648 is needed (given: 2147483648)"]),
        ("train.lr", 0, ["train.lr: a number above 0 is needed (given: 0)"]),
        ("train.warmup", 1, ["train.warmup: a number below 1 is needed (given: 1)"]),
        ("train.step_factor", 1.5, ["train.step_factor: a number of at most 1 is needed (given: 1.5)"]),
        ("export.opset", 17, ["export.opset: a number of at least 18 is needed (given: 17)"]),
        ("train.epochs", "many", ["train.epochs", "a whole number is needed", "many"]),
        ("train.milestones", "0.3,0.6", ["train.milestones", "a list is needed, such as [0.3, 0.6]"]),
        ("strategy.conditional", "perhaps", ["strategy.conditional", "true or false is needed", "perhaps"]),
        ("train.lr", "fast", ["train.lr", "a number is needed", "fast"]),
        ("train.precision", "fp17", ["train.precision: needed is 'fp32'", "'bf16'", "fp17"]),
        ("data.size_min", 0.9, ["data.size_min", "data.size_max"]),
        ("train", 3, ["train", "3"]),
    ],
)
def test_wrong_settings_are_named(name, value, words):
    values = {}
    assign(values, name, value)
    with pytest.raises(RecipeError) as caught:
        parse(values)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("train.epochs=5", "train.epochs", 5),
        ("loss.name=rkd", "loss.name", "rkd"),
        ("bench.batches=[1, 8]", "bench.batches", [1, 8]),
        ("data.skip_broken=true", "data.skip_broken", True),
        ('data.path="a=b"', "data.path", "a=b"),
    ],
)
def test_assignments(text, name, value):
    assert assignment(text) == (name, value)


def test_assignment_without_a_value_is_refused():
    with pytest.raises(RecipeError, match=r"section\.field=value"):
        assignment("train.epochs")


def test_assigning_below_a_setting_is_refused():
    with pytest.raises(RecipeError, match="'seed' is a setting"):
        assign({"seed": 1}, "seed.more", 2)


@pytest.mark.parametrize(("content", "words"), [("a = = 1", "not a TOML file"), (None, "cannot read the recipe")])
def test_unreadable_recipes(tmp_path, content, words):
    if content is not None:
        (tmp_path / "r.toml").write_text(content)
    with pytest.raises(RecipeError, match=words):
        read(tmp_path / "r.toml")


def test_defaults_fit_the_data():
    assert Recipe().data.image_size == 32
    assert parse({"data": {"geometry": "paper"}}).data.image_size == 224
    photographs = parse({"data": {"name": "manifest", "path": "x.csv"}, "train": {"epochs": 3}})
    assert photographs.data.image_size == 64
    assert photographs.train.augment == photographs.teacher.augment == "crop-flip"
    assert parse({"device": "cuda"}).train.precision == "bf16"
    assert parse({"device": "cuda", "train": {"precision": "fp32"}}).train.precision == "fp32"
    assert Recipe().train.precision == "fp32"
    assert parse({"data": {"name": "manifest"}, "train": {"augment": "none"}}).train.augment == "none"


WEIGHTED = ("--strategy=adversarial", "--set=strategy.class_weights={cat=2.5}", "--data=hf:some/set")


@pytest.mark.parametrize("settings", [(), WEIGHTED])
def test_the_printed_recipe_reads_back_and_says_what_each_field_means(tmp_path, settings):
    result = CliRunner().invoke(cli, ["recipe", *settings])
    assert result.exit_code == 0, result.output
    given = (
        {"strategy": {"name": "adversarial", "class_weights": {"cat": 2.5}}, "data": {"name": "hf", "path": "some/set"}}
        if settings
        else {}
    )
    (tmp_path / "printed.toml").write_text(result.output)
    assert parse(read(tmp_path / "printed.toml")) == parse(given)
    words = [line.lstrip("# ") for line in result.output.splitlines() if line.startswith("#")]
    assert Recipe.model_fields["seed"].description.split(". ")[0] in words[0]
    assert len(words) > 100


def test_the_recipe_that_writes_the_default_out_is_the_default():
    stored = Path(__file__).parents[2] / "calibration/default.toml"
    assert parse(read(stored)) == Recipe()
    assert set(read(stored)["quantize"]) == {*type(Recipe().quantize).model_fields}


def test_every_field_is_described():
    sections = {name: section.annotation for name, section in Recipe.model_fields.items()}
    sections |= {f"{name} {one}": part for name, choice in CHOICES.items() for one, part in choice.classes.items()}
    for name, section in sections.items():
        for field, info in getattr(section, "model_fields", {}).items():
            assert info.description or field == "name", f"{name}.{field} has no sentence"
    for name in ("seed", "device", *CHOICES):
        assert Recipe.model_fields[name].description
