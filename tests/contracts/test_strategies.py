"""What every strategy in the table must do, with every loss."""

import itertools

import pytest
import torch

from edgefair.data import load_examples
from edgefair.distill import assemble
from edgefair.losses import LOSSES
from edgefair.models import create
from edgefair.strategies import STRATEGIES

from ..conftest import tiny

pairs = pytest.mark.parametrize(("strategy", "loss"), sorted(itertools.product(STRATEGIES, LOSSES)))


def build(strategy, loss, quiet, **changes):
    recipe = tiny(strategy__name=strategy, loss__name=loss, **changes)
    examples = load_examples(recipe.data, 0, quiet)
    networks = [create("cifar:resnet8", 10, seed) for seed in (0, 1)]
    parts = (recipe.train, recipe.loss, recipe.strategy, examples, *networks, 0, torch.device("cpu"))
    return assemble(*parts)


def weights(strategy):
    return torch.cat([p.detach().flatten() for p in strategy.parts.student.parameters()])


@pairs
def test_a_step_moves_the_student_and_returns_floats(strategy, loss, quiet):
    made, feed = build(strategy, loss, quiet)
    before = weights(made).clone()
    values = made.step(next(feed.epoch(1)))
    assert "loss" in values
    assert all(isinstance(value, float) for value in values.values())
    assert (weights(made) != before).any()


@pairs
def test_the_same_seed_takes_the_same_steps_and_state_restores_them(strategy, loss, quiet):
    first, feed = build(strategy, loss, quiet)
    batches = list(feed.epoch(1))[:3]
    first.step(batches[0])
    saved = torch.load(_through_file(first.state()), weights_only=True)
    second, _ = build(strategy, loss, quiet)
    second.restore(saved)
    for made in (first, second):
        made.parts.student.train()
        for batch in batches[1:]:
            made.step(batch)
    assert torch.equal(weights(first), weights(second))


def _through_file(state):
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return buffer


@pairs
def test_rows_without_a_group_still_train(strategy, loss, quiet):
    made, feed = build(strategy, loss, quiet)
    batch = next(feed.epoch(1))
    values = made.step(batch._replace(groups=torch.full_like(batch.groups, -1)))
    assert all(value == value for value in values.values())


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_says_what_lambda_means(name, quiet):
    made, _ = build(name, "none", quiet)
    assert "* L_task" in made.meaning or "L = L_task" in made.meaning
    assert made.meaning.endswith(".")
