"""Recipes by name: what ships with the package, how it is found, and each of them trained in a tiny form."""

import pytest
from click.testing import CliRunner

from edgefair.cli import cli
from edgefair.data import load_examples
from edgefair.errors import RecipeError
from edgefair.pipeline.sweep.grid import read_grid
from edgefair.recipe import Recipe, assign, parse, read
from edgefair.recipe.named_recipes import FOLDER, grid, locate, named, names
from edgefair.recipe.recipe import tomllib
from tests.helpers.cifar_copies import write_cifar10

EXPECTED = {
    "clip-vit-resnet18",
    "efficientnet-b0",
    "fair-default",
    "lite0-offline",
    "mlperf-tiny",
    "resnet18-cifar10s",
    "resnet56-20",
}


def test_the_package_has_them_and_says_where_each_is_from():
    assert set(names()) == EXPECTED
    for name in names():
        about = named(name)
        assert all((about.summary, about.source, about.cost, about.tried)), name
        assert "\n" not in about.summary + about.source + about.cost + about.tried
        assert about.comment.startswith("# ")
        assert isinstance(parse(read(name)), Recipe)


def test_the_list_describes_all(quiet):
    result = CliRunner().invoke(cli, ["recipe", "--list"])
    assert result.exit_code == 0
    for name in EXPECTED:
        assert f"{name}: {named(name).summary}" in result.output
    assert result.output.count("    source: ") == result.output.count("    cost: ") == len(EXPECTED)
    assert max(map(len, result.output.splitlines())) <= 110


def test_what_is_printed_is_the_same_recipe_with_its_comment(tmp_path):
    """So that a printed recipe can be changed and given back as a file."""
    for name in EXPECTED:
        result = CliRunner().invoke(cli, ["recipe", name])
        assert result.output.startswith(named(name).comment)
        assert parse(tomllib.loads(result.output)) == parse(read(name))
    file = tmp_path / "own.toml"
    file.write_text(result.output)
    again = CliRunner().invoke(cli, ["recipe", str(file), "--set", "seed=5"])
    assert tomllib.loads(again.output)["seed"] == 5


def test_an_unknown_name_gets_the_nearest_and_the_list():
    for call in (["recipe", "efficientnet-bo"], ["distill-and-export", "--recipe", "efficientnet-bo"]):
        error = CliRunner().invoke(cli, call).exception
        assert isinstance(error, RecipeError)
        assert "no recipe 'efficientnet-bo': there is no such file" in str(error)
        assert "did you mean 'efficientnet-b0'?" in str(error)
        assert all(name in str(error) for name in EXPECTED)


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("mlperf-tiny") == FOLDER / "mlperf-tiny.toml"
    (tmp_path / "mlperf-tiny").write_text("seed = 3\n")
    assert parse(read("mlperf-tiny")).seed == 3


def test_options_go_on_top_of_a_named_recipe():
    result = CliRunner().invoke(cli, ["recipe", "fair-default", "--loss", "rkd", "--set", "train.epochs=3"])
    values = tomllib.loads(result.output)
    assert (values["loss"]["name"], values["train"]["epochs"]) == ("rkd", 3)
    assert (values["strategy"]["name"], values["strategy"]["lam"]) == ("lagrangian", 0.2)


def test_a_grid_stands_on_its_recipe_and_every_cell_is_a_recipe():
    text = CliRunner().invoke(cli, ["recipe", "efficientnet-b0", "--grid"]).output
    assert text == grid("efficientnet-b0").read_text()
    cells = read_grid(grid("efficientnet-b0")).cells
    assert len(cells) == 30  # ten strengths, three seeds
    assert {cell.recipe.student.spec for cell in cells} == {"timm:efficientnet_b0"}
    with pytest.raises(RecipeError, match="'fair-default' has no grid; those that have one: efficientnet-b0"):
        grid("fair-default")
    assert CliRunner().invoke(cli, ["recipe", "--grid"]).exit_code == 2


ROWS = {"train_rows": 16, "meta_rows": 20, "validation_rows": 10, "calibration_rows": 20, "gate_rows": 20}
SHARES = {"validation_share": 0.1, "meta_share": 0.5, "calibration_share": 0.1}
NO_WEIGHTS = {"teacher.pretrained": False, "student.pretrained": False}
SMALLER = {
    "efficientnet-b0": NO_WEIGHTS,
    "clip-vit-resnet18": NO_WEIGHTS | {"teacher.spec": "timm:vit_tiny_patch16_224", "strategy.warmup_epochs": 0},
    "resnet18-cifar10s": {"strategy.warmup_epochs": 0},
}
SECTIONS = [f"{section}.{field}" for section in ("teacher", "train") for field in ("epochs", "batch_size")]


def tiny_form(name, cifar):
    """The recipe of that name on a few small images, for one epoch of a step or two."""
    values = read(name)
    on_disk = values.get("data", {}).get("name", "").startswith("cifar")
    data = SHARES | {"path": str(cifar), "max_rows": 100, "image_size": 16} if on_disk else ROWS | {"image_size": 32}
    changes = {f"data.{field}": value for field, value in data.items()} | SMALLER.get(name, {})
    for field, value in (changes | dict(zip(SECTIONS, (1, 16, 1, 16), strict=True))).items():
        assign(values, field, value)
    return parse(values)


@pytest.mark.slow
def test_each_trains_in_a_tiny_form(tmp_path, quiet):
    """The networks, losses and strategies of the recipes fit each other."""
    from edgefair.training.stages import distil_student, train_teacher

    write_cifar10(tmp_path / "cifar", per_class=10, test_per_class=1)
    for name in names():
        recipe, folder = tiny_form(name, tmp_path / "cifar"), tmp_path / name
        examples = load_examples(recipe.data, recipe.seed, quiet)
        teacher, history = train_teacher(recipe, examples, folder / "teacher", quiet)
        assert len(history) == 1, name
        student, history, _ = distil_student(recipe, examples, teacher, folder / "student", quiet)
        assert history[0]["kept"], name
        assert student.spec == read(name)["student"]["spec"] if "student" in read(name) else "cifar:resnet8"
