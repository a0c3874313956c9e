"""[loss] [strategy] [data]: each name has its own settings; a setting of another is an error that says whose."""

import re

import pytest
from click.testing import CliRunner

from edgefair.cli import cli
from edgefair.errors import RecipeError
from edgefair.recipe import CHOICES, parse, read, setting_names

DEFAULT = {"data": "trifeature", "loss": "rkd", "strategy": "adversarial"}


def foreign():
    """Every setting that some name has, with every name that has it not."""
    for section, choice in CHOICES.items():
        every = {field for settings in choice.classes.values() for field in settings.model_fields}
        for name, settings in choice.classes.items():
            for field in sorted(every - settings.model_fields.keys()):
                yield section, name, field


@pytest.mark.parametrize("section", CHOICES)
def test_a_setting_of_another_name_is_an_error_that_says_whose_it_is(section):
    for of, name, field in foreign():
        if of == section:
            owner = CHOICES[section].owners(field)[0]
            with pytest.raises(RecipeError) as caught:
                parse({section: {"name": name, field: 1}})
            words = str(caught.value).splitlines()[0]
            assert words.startswith(f"'{section}.{field}' is a setting of {CHOICES[section].noun}"[:-1])
            assert f"'{owner}'" in words
            assert f"not of '{name}' (settings of '{name}': " in words


def test_the_sentence():
    with pytest.raises(RecipeError) as caught:
        parse({"loss": {"name": "ckd", "hint_weight": 5}, "data": {"name": "cifar10", "gate_rows": 500, "skew": 0.5}})
    lines = str(caught.value).splitlines()
    assert (
        "'loss.hint_weight' is a setting of loss 'fitnet', not of 'ckd' (settings of 'ckd': alpha, temperature, "
        "plus_ckd). Leave it out."
    ) in lines
    assert any(line.startswith("'data.gate_rows' is a setting of data set 'trifeature', not of") for line in lines)
    assert any(line.startswith("'data.skew' is a setting of data sets 'trifeature', 'cifar10s'") for line in lines)


def test_another_loss_on_top_of_a_file_with_settings_says_which_setting_is_left(tmp_path):
    (tmp_path / "recipe.toml").write_text('[loss]\nname = "fitnet"\nhint_weight = 5.0\n')
    result = CliRunner().invoke(cli, ["recipe", "--set", "loss.name=ckd"])
    assert result.exit_code == 0
    result = CliRunner().invoke(
        cli, ["distill-and-export", "--recipe", str(tmp_path / "recipe.toml"), "--loss", "ckd", "--out", str(tmp_path)]
    )
    assert "'loss.hint_weight' is a setting of loss 'fitnet', not of 'ckd'" in str(result.exception)


@pytest.mark.parametrize("section", CHOICES)
def test_an_unknown_setting_and_an_unknown_name_get_the_nearest(section):
    choice, name = CHOICES[section], DEFAULT[section]
    field = setting_names(choice.classes[name])[0]
    with pytest.raises(RecipeError, match=f"is not a setting of {choice.noun} '{name}': did you mean '{field}'"):
        parse({section: {f"{field}x": 1}})
    with pytest.raises(RecipeError, match=f"unknown {choice.noun} '{name}x'; did you mean '{name}'"):
        parse({section: {"name": f"{name}x"}})
    for wrong in (None, 5, ["rkd"], {}):
        with pytest.raises(RecipeError, match=f"unknown {choice.noun} "):
            parse({section: {"name": wrong}})


def test_plain_takes_a_lambda_and_data_without_groups_are_plain():
    assert parse({"strategy": {"name": "plain", "lam": 0.5}}).strategy.lam == 0.5
    assert parse({"data": {"name": "cifar10"}, "strategy": {"lam": 0.3}}).strategy.name == "plain"
    assert parse({"data": {"name": "celeba", "group": ""}}).strategy.name == "plain"
    assert parse({"data": {"name": "imagefolder", "group": "folder"}}).strategy.name == "lagrangian"


def test_the_published_estimates_stay_on_the_rendered_data_and_nowhere_else():
    assert parse({}).strategy.estimate == "batch"
    assert parse({}) == parse({"loss": {"name": "rkd"}, "strategy": {"name": "adversarial"}})
    assert parse({"strategy": {"name": "bird"}}).strategy.estimate == "batch"
    assert parse({"strategy": {"name": "bird", "estimate": "running"}}).strategy.estimate == "running"
    on_disk = parse({"data": {"name": "fairface"}, "strategy": {"name": "bird"}})
    assert (on_disk.strategy.estimate, on_disk.loss.name) == ("running", "ckd")


@pytest.mark.parametrize(
    ("section", "name"), [(section, name) for section in CHOICES for name in CHOICES[section].classes]
)
def test_the_printed_recipe_of_every_name_reads_back_and_names_all_settings(tmp_path, section, name):
    result = CliRunner().invoke(cli, ["recipe", "--set", f"{section}.name={name}"])
    assert result.exit_code == 0, result.output
    (tmp_path / "recipe.toml").write_text(result.output)
    assert parse(read(tmp_path / "recipe.toml")) == parse({section: {"name": name}})
    for choice in CHOICES.values():
        for settings in choice.classes.values():
            for field in settings.model_fields:
                assert re.search(rf"^(#   )?(# )?{field} =", result.output, re.MULTILINE), field


@pytest.mark.parametrize(("command", "section"), [("distill-and-export", "loss"), ("recipe", "strategy")])
def test_the_help_names_what_the_recipe_knows(command, section):
    text = CliRunner().invoke(cli, [command, "--help"]).output
    for name in CHOICES[section].classes:
        assert re.search(rf"\b{name}\b", text)


def test_the_teachers_strategy_is_a_name_or_a_table():
    assert parse({}).teacher.strategy == parse({"strategy": {"name": "plain"}}).strategy
    by_name = parse({"teacher": {"strategy": "adversarial"}}).teacher.strategy
    assert by_name == parse({"teacher": {"strategy": {"name": "adversarial"}}}).teacher.strategy
    assert by_name.name == "adversarial"
    assert parse({"teacher": {"strategy": "adversarial"}}).hash != parse({}).hash
    assert parse({"teacher": {"strategy": {"name": "bird", "meta": False}}}).teacher.strategy.name == "bird"


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ({"strategy": "adversarail"}, "unknown strategy 'adversarail'; did you mean 'adversarial'"),
        (
            {"strategy": {"name": "adversarial", "meta": True}},
            "'teacher.strategy.meta' is a setting of strategy 'bird'",
        ),
        ({"strategy": {"name": "intra", "lam": -1}}, "teacher.strategy.lam: a number of at least 0"),
        ({"strategy": 3}, "teacher.strategy: a section of settings is needed"),
        ({"strategy": "bird"}, "the teacher has no teacher; set teacher.strategy.meta to false"),
        ({"strategy": "intra", "spec": "onnx:x.onnx"}, "strategy 'intra' cannot change an ONNX file"),
        ({"strategy": "intra", "spec": "file:x.safetensors"}, "'intra' acts while a network is trained"),
    ],
)
def test_what_cannot_train_a_teacher_is_refused(teacher, words):
    with pytest.raises(RecipeError, match=re.escape(words)):
        parse({"teacher": teacher})


def test_the_printed_recipe_has_the_teachers_strategy(tmp_path):
    result = CliRunner().invoke(cli, ["recipe", "--set", "teacher.strategy=intra", "--set", "seed=3"])
    (tmp_path / "recipe.toml").write_text(result.output)
    assert parse(read(tmp_path / "recipe.toml")) == parse({"seed": 3, "teacher": {"strategy": "intra"}})
