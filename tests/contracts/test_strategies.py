"""What every strategy in the table must do, with every loss."""

import io
import itertools

import pytest
import torch

from edgefair.data import load_examples
from edgefair.losses import LOSSES
from edgefair.models import create
from edgefair.strategies import STRATEGIES
from edgefair.training.assemble import TrainingSettings, build_training
from edgefair.training.stages import distil_student
from tests.helpers.recipes import tiny

# Every strategy with one loss answers in seconds; the whole product is slow.
QUICK = {(strategy, "ckd") for strategy in STRATEGIES}
# What acts after training takes the plain step, which is tried with every loss already.
ACTING = [name for name, strategy in STRATEGIES.items() if not strategy.settings_class.post_hoc]
PAIRS = sorted({*itertools.product(ACTING, LOSSES), *QUICK})
pairs = pytest.mark.parametrize(
    ("strategy", "loss"), [pytest.param(*pair, marks=[] if pair in QUICK else pytest.mark.slow) for pair in PAIRS]
)


@pytest.fixture(scope="module")
def examples():
    from edgefair.log import Log

    return load_examples(tiny().data, 0, Log(quiet=True))


@pytest.fixture(scope="module")
def build(examples):
    """A strategy with its feed, past the warm-up epochs of the methods that have some."""

    def make(strategy, loss, **changes):
        recipe = tiny(strategy__name=strategy, loss__name=loss, **{"train__batch_size": 20, **changes})
        settings = TrainingSettings(recipe.train, recipe.loss, recipe.strategy.without_warmup())
        networks = [create("cifar:resnet8", 10, seed) for seed in (0, 1)]
        made, feed = build_training(settings, examples, *networks, 0, torch.device("cpu"))
        made.start_epoch(2)
        made.context.student.train()
        return made, feed

    return make


def weights(strategy):
    return torch.cat([p.detach().flatten() for p in strategy.context.student.parameters()])


def moved(made, batch):
    """How far a step moves the student; every value it returns must be a finite number."""
    before = weights(made).clone()
    values = made.step(batch)
    assert {"loss", "task"} <= set(values)
    assert all(isinstance(value, float) and value == value and abs(value) < 1e6 for value in values.values()), values
    return weights(made) - before


@pairs
def test_a_step_moves_the_student_and_never_the_teacher(strategy, loss, build):
    made, feed = build(strategy, loss, train__augment="flip")  # a teacher that looks at every batch
    teacher = getattr(made.context.teacher, "model", None)
    before = teacher and {name: value.clone() for name, value in teacher.state_dict().items()}
    assert (moved(made, next(feed.epoch(1))) != 0).any()
    if teacher is not None:
        assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
        assert all(p.grad is None for p in teacher.parameters())


@pairs
def test_the_same_seed_takes_the_same_steps_and_state_restores_them(strategy, loss, build):
    first, feed = build(strategy, loss)
    batches = list(feed.epoch(1))[:3]
    first.step(batches[0])
    saved = torch.load(_through_file(first.state()), weights_only=True)
    second, _ = build(strategy, loss)
    second.restore(saved)
    for made in (first, second):
        for batch in batches[1:]:
            made.step(batch)
    assert torch.equal(weights(first), weights(second))


def _through_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return buffer


@pairs
@pytest.mark.parametrize("groups", ["unknown", "one missing", "empty cells", "half unknown"])
def test_groups_that_are_not_there_are_borne(strategy, loss, groups, build):
    made, feed = build(strategy, loss)
    batch = next(feed.epoch(1))
    found = {
        "unknown": torch.full_like(batch.groups, -1),
        "one missing": torch.zeros_like(batch.groups),
        "empty cells": batch.labels % 2,  # every class in one group only
        "half unknown": torch.where(batch.ids % 2 == 0, -1, batch.groups),
    }[groups]
    assert (moved(made, batch._replace(groups=found)) != 0).any()


@pairs
def test_a_batch_of_one_row_and_a_partial_batch_are_borne(strategy, loss, build):
    made, feed = build(strategy, loss)
    batch = next(feed.epoch(1))
    for rows in (1, 7):
        assert (moved(made, batch.at(slice(rows))) != 0).any()


@pairs
def test_the_order_of_rows_does_not_matter(strategy, loss, build):
    steps = []
    for turned in (False, True):
        made, feed = build(strategy, loss)
        batch = next(feed.epoch(1))
        order = torch.arange(len(batch.ids)).flip(0) if turned else torch.arange(len(batch.ids))
        steps.append(moved(made, batch.at(order)))
    # Sums in another order differ in their last bits, and batch normalisation of near-dead channels enlarges them.
    assert (steps[0] - steps[1]).norm() < 1e-2 * steps[0].norm()


@pairs
def test_bf16_autocast_takes_a_similar_step(strategy, loss, build):
    steps = []
    for precision in ("fp32", "bf16"):
        made, feed = build(strategy, loss, train__precision=precision)
        steps.append(moved(made, next(feed.epoch(1))))
    assert torch.cosine_similarity(*steps, dim=0) > 0.8


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_says_what_lambda_means(name, build):
    made, _ = build(name, "none")
    assert "* L_task" in made.objective or "L = L_task" in made.objective
    assert made.objective.endswith(".")


@pairs
def test_every_pair_distils_a_student_and_logs_what_it_did(strategy, loss, tmp_path, quiet):
    few = {"data__train_rows": 60, "data__validation_rows": 20, "train__epochs": 2, "train__batch_size": 30}
    recipe = tiny(strategy__name=strategy, loss__name=loss, **few)
    small = load_examples(recipe.data, 0, quiet)
    _, history, meaning = distil_student(recipe, small, create("cifar:resnet8", 10, 1), tmp_path, quiet)
    assert [row["epoch"] for row in history] == [1, 2]
    assert all(row[name] == row[name] for row in history for name in ("loss", "task", "ce", "gradient_ce"))
    assert meaning.startswith(f"{strategy}: ")
