"""The search with planted students in place of training: what is tried, dropped and chosen, and that it goes on."""

import json

import numpy as np
import pytest

from edgefair.data import load_examples
from edgefair.errors import RecipeError, RunFolderError
from edgefair.metrics.honest_choice import Objective
from edgefair.pipeline.tune import run, search
from edgefair.pipeline.tune.search import plan
from edgefair.pipeline.tune.space import PLAIN, Point, open_space
from edgefair.pipeline.tune.trial import Bench
from edgefair.predictions import Predictions
from edgefair.seeds import derive
from tests.helpers.recipes import tiny

EPOCHS = 6
VALUES = tiny(data__validation_rows=800, train__epochs=EPOCHS).model_dump(mode="json", exclude_none=True)
VALUES = {name: VALUES[name] for name in ("data", "student")} | {"train": {"epochs": EPOCHS, "augment": "none"}}


def student(recipe, examples, gap=1.5, skill=2.5, only=None):
    """Predictions of a student whose warm rows of odd classes are harder by `gap`; `only` is all it says."""
    rows = examples.rows["validation"]
    columns = examples.columns(rows)
    rng = np.random.default_rng(derive(0, recipe.hash) % 2**32)
    known = np.eye(len(examples.class_names))[columns["labels"]]
    hard = (columns["groups"] == 0) & (columns["labels"] % 2 == 1)
    logits = rng.normal(size=known.shape) + known * (skill - gap * hard)[:, None]
    if only is not None:
        logits[:, only] += 100
    return Predictions(logits=logits.astype(np.float32), **columns)


@pytest.fixture
def planted(monkeypatch, tmp_path, quiet):
    """A search whose students come from a function of the recipe; it returns recipe, record and what was trained."""
    said, trained = [], []

    def start(make, values=VALUES, everything=True, budget=6.0, **objective):
        examples = load_examples(open_space(values, everything).base.data, 0, quiet)

        def trial(bench: Bench, recipe, source=None):
            file = bench.place(recipe) / "validation.npz"
            if file.exists():
                return Predictions.load(file)
            if source is None:  # else a trained student is only finished in another way
                trained.append(recipe)
            made = make(recipe, examples)
            if not isinstance(made, str):
                file.parent.mkdir(parents=True, exist_ok=True)
                made.save(file)
            return made

        monkeypatch.setattr(search, "run_trial", trial)
        monkeypatch.setattr(run, "adopt", lambda bench, recipe, out: None)
        monkeypatch.setattr(quiet, "line", said.append)
        monkeypatch.setattr(run, "DRAWS", 30)
        recipe, record = run.tune(
            open_space(values, everything), tmp_path / "out", quiet, Objective(**objective), budget
        )
        return recipe, record, trained, said

    return start


@pytest.mark.slow
def test_the_best_is_chosen_trained_in_full_and_said(planted):
    def make(recipe, examples):
        return student(recipe, examples, gap=0.2 if recipe.train.sampling == "cell" else 1.5)

    recipe, record, trained, said = planted(make)
    assert recipe.train.sampling == "cell"
    assert recipe.train.epochs == EPOCHS
    assert record["helped"]
    assert record["sentence"].startswith("Chosen: loss")
    chosen = record["trials"][record["chosen"]]
    assert chosen["settings"]["train.sampling"] == "cell"
    assert (chosen["short"]["epochs"], chosen["full"]["epochs"]) == (2, EPOCHS)
    assert record["trials"][0]["outcome"] == "baseline"
    assert record["honest"]["disparity"] < -0.05
    assert record["recipe_sha256"] == recipe.hash
    assert sum(r.train.epochs for r in trained) <= 6 * EPOCHS
    assert any("plain twin" in line for line in said)


def test_where_arms_differ_by_chance_alone_nothing_helped_and_the_plain_twin_is_shipped(planted):
    recipe, record, _, said = planted(student)
    assert not record["helped"]
    assert recipe.strategy.name == "plain"
    assert record["chosen"] == 0
    assert record["trials"][0]["outcome"] == "chosen"
    assert record["sentence"].startswith("Nothing helped: ")
    assert said[-1] == record["sentence"]


def test_what_collapses_or_runs_away_is_dropped_with_its_reason(planted):
    def make(recipe, examples):
        if recipe.loss.name == "none":
            return student(recipe, examples, gap=0, only=3)
        if recipe.loss.name == "mfd":
            return "training runs away: the loss is nan"
        if recipe.loss.name == "ckd" and recipe.strategy.name == "plain":
            return student(recipe, examples, gap=0, skill=0.8)
        return student(recipe, examples)

    _, record, _, said = planted(make)
    why = {trial["what"].split(",")[0]: trial["why"] for trial in record["trials"][::-1]}
    name = load_examples(open_space(VALUES, True).base.data, 0, run_log()).class_names[3]
    assert why["loss none"] == f"collapsed: says {name} of 100 % of the rows"
    assert why["loss mfd"] == "training runs away: the loss is nan"
    assert "points of accuracy" in why["loss ckd"]
    assert f"  dropped: {why['loss none']}" in said


def run_log():
    from edgefair.log import Log

    return Log(quiet=True)


def test_a_plain_twin_that_cannot_be_trained_ends_the_search(planted):
    with pytest.raises(Exception, match="the plain twin, which everything is compared with, cannot be trained: no"):
        planted(lambda recipe, examples: "no")


def test_stopped_between_trials_it_goes_on_with_the_same_points(planted, tmp_path):
    straight = planted(student)[1]
    for folder in sorted((tmp_path / "out" / "tune" / "trials").iterdir())[::2]:
        (folder / "validation.npz").unlink()
    _, again, trained, _ = planted(student)
    assert again == straight
    assert len(trained) < 2 * len({recipe.hash for recipe in trained})


def test_a_run_folder_that_no_search_made_is_left_alone(planted, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "recipe.toml").write_text("")
    with pytest.raises(RunFolderError, match="whose recipe was given"):
        planted(student)


def test_a_named_strategy_leaves_lambda_alone_open(planted):
    values = {**VALUES, "strategy": {"name": "adversarial", "lam": "auto"}}

    def make(recipe, examples):
        strength = 0 if recipe.strategy.name == "plain" else recipe.strategy.lam
        return student(recipe, examples, gap=1.5 * abs(strength - 4) / 4)

    recipe, record, trained, _ = planted(make, values, everything=False)
    assert {r.strategy.name for r in trained} == {"plain", "adversarial"}
    assert {r.loss.name for r in trained} == {"rkd"}
    assert len({r.strategy.lam for r in trained}) > 4
    assert recipe.strategy.lam > 2
    assert record["helped"]


def test_what_is_given_stays():
    space = open_space({"loss": {"name": "ckd", "alpha": 0.5}, "train": {"sampling": "cell"}}, True)
    assert "loss" not in space.free
    assert "sampling" not in space.free
    recipes = [space.recipe(point) for point in space.first()]
    assert {(r.loss.name, r.loss.alpha, r.train.sampling) for r in recipes} == {("ckd", 0.5, "cell")}
    assert space.twin().strategy.name == "plain"
    assert open_space({"loss": {"name": "ckd"}}) is None
    assert open_space({"strategy": {"lam": "auto"}}).free == open_space({"strategy": {"name": "auto"}}).free
    assert open_space({"strategy": {"name": "auto", "lam": 0.3}}).recipe(Point("bird")).strategy.lam == 0.3
    assert space.recipe(Point("adversarial", lam=0.7)).strategy.lam == 0.7
    mild = open_space({}, True).recipe(Point(loss="mfd", weight=0.1))
    assert mild.loss.mfd_weight == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("strategy", "said"),
    [({"name": "intra", "lam": 0.5}, "nothing to search"), ({"name": "plain", "lam": "auto"}, "has no strength")],
)
def test_a_search_of_nothing_is_refused(strategy, said):
    with pytest.raises(RecipeError, match=said):
        open_space({"strategy": strategy}, True)


@pytest.mark.parametrize("budget", [2.0, 3.0, 6.0, 11.5])
@pytest.mark.parametrize("share", [0.25, 1 / 3, 0.5])
def test_a_plan_keeps_its_budget(budget, share):
    wanted, promoted = plan(budget, share)
    assert wanted >= 2
    assert promoted >= 1
    assert wanted * share + promoted + 1 <= max(budget, 2 * share + 2) + 1e-9
    assert plan(6, 1 / 3) == (8, 2)
    assert plan(6, 1) == (6, 5)


def test_no_point_is_a_plain_twin_but_the_first():
    points = open_space({}, True).first()
    assert points[0] == PLAIN
    assert len({open_space({}, True).recipe(point).hash for point in points}) == len(points)


def test_a_record_is_what_its_reader_takes(planted, tmp_path):
    _, record, _, _ = planted(student)
    stored = json.loads((tmp_path / "out" / "tune" / "tune.json").read_text())
    assert run.read_tuning(tmp_path / "out") == record
    assert stored["schema"] == 1
