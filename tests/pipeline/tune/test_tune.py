"""The search for real, tiny: its trials are the main job's students, and what it leaves is a run folder."""

import json

import pytest
import tomli_w

from edgefair.data import load_examples
from edgefair.files import sha256
from edgefair.log import Log
from edgefair.metrics.honest_choice import Objective
from edgefair.pipeline.job import distill_and_export
from edgefair.pipeline.run_folder import RunFolder, run_recipe
from edgefair.pipeline.training_stages import training_stages
from edgefair.pipeline.tune.run import tune
from edgefair.pipeline.tune.space import open_space
from edgefair.pipeline.tune_record import read_tuning
from edgefair.recipe import STRATEGY, assign
from tests.helpers.command_line import run
from tests.helpers.recipes import TINY

pytestmark = pytest.mark.slow

QUIET = Log(quiet=True)


def values(**changes):
    """Nested values of a recipe that trains in a second."""
    given: dict = {}
    few = {"data.train_rows": 200, "data.validation_rows": 200, "teacher.epochs": 0}
    for name, value in {**TINY, **few, **{k.replace("__", "."): v for k, v in changes.items()}}.items():
        assign(given, name, value)
    return given


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A finished search over everything: its folder, the chosen recipe and its record."""
    out = tmp_path_factory.mktemp("tune") / "run"
    recipe, record = tune(open_space(values(), True), out, QUIET, Objective(max_accuracy_loss=1.0), 2)
    return out, recipe, record


def test_the_winners_student_is_its_trials_and_the_main_job_goes_on_from_there(searched):
    out, recipe, record = searched
    chosen = record["trials"][record["chosen"]]["full"]
    report = distill_and_export(recipe, out, QUIET)
    for stage in ("teacher", "student"):
        weights = f"{stage}/{stage}.safetensors"
        assert sha256(out / weights) == sha256(out / "tune" / "trials" / chosen["folder"] / weights)
    assert report["tuning"] == read_tuning(out)
    page, card = (out / "report.html").read_text(), (out / "MODEL_CARD.md").read_text()
    assert "How the recipe was chosen" in page
    assert "how the recipe was chosen" in card
    assert json.loads((out / "report.json").read_text())["tuning"]["sentence"] == record["sentence"]


def test_what_acts_after_training_gives_the_student_that_training_anew_gives(searched, tmp_path):
    out, _, record = searched
    post_hoc = [name for name, settings in STRATEGY.classes.items() if settings.post_hoc]
    tried = {
        trial["settings"]["strategy.name"]: trial for trial in record["trials"] if "strategy.name" in trial["settings"]
    }
    assert set(post_hoc) <= set(tried)
    for name in post_hoc:
        folder = out / "tune" / "trials" / tried[name]["full"]["folder"]
        recipe = run_recipe(folder)
        examples = load_examples(recipe.data, recipe.seed, QUIET)
        with RunFolder.open(tmp_path / name, recipe, QUIET) as anew:
            training_stages(anew, examples, examples.describe())
        alone, finished = tmp_path / name / "student", folder / "student"
        histories = [json.loads((folder / "history.json").read_text()) for folder in (alone, finished)]
        for row in (row for rows in histories for row in rows):
            row.pop("warnings", None)  # their advice names the strategy that was trained
        assert histories[0] == histories[1], name
        assert (alone / "lambda.json").read_text() == (finished / "lambda.json").read_text(), name
        assert sha256(alone / "student.safetensors") == sha256(finished / "student.safetensors"), name


def test_the_command_prints_what_was_tried_and_refuses_what_is_no_search(searched, tmp_path, capsys):
    out, _, record = searched
    file = tmp_path / "base.toml"
    file.write_text(tomli_w.dumps(values()))
    options = ("--out", str(out), "--max-accuracy-loss", "100", "--budget", "2")
    code, said = run(capsys, "tune", "--recipe", str(file), *options)
    assert code == 0, said
    assert record["sentence"] in said
    code, error = run(capsys, "distill-and-export", "--lambda", "much")
    assert code == 2
    assert "neither a number nor auto" in error
    code, error = run(capsys, "distill-and-export", "--lambda", "auto", "--target", "ort-cpu", "--precision", "fp8")
    assert code == 2
    assert "fp8" in error
    code, error = run(capsys, "distill-and-export", "--budget", "3")
    assert code == 2
    assert "--lambda auto" in error
