"""When training runs away, and when it only begins badly."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.errors import TrainingError
from edgefair.models import create
from edgefair.training.divergence import check_divergence, diverged, running_loss


def judge(starts_at, *ends, num_classes=3):
    return [diverged(list(ends[: at + 1]), starts_at, num_classes) for at in range(len(ends))]


def test_large_first_logits_and_a_bad_first_epoch_do_not_stop_training():
    assert judge(3.41, 20.4, 9.0, 2.0, 1.1) == [False] * 4  # an EfficientNet-B3 that begins with large logits
    assert judge(1.1, 14.0, 7.5, 1.0) == [False] * 3  # a first epoch far above an untrained network
    assert judge(1.1, 30.0, 20.0, 12.0) == [False] * 3  # high, but falling


def test_what_rises_epoch_by_epoch_does():
    assert judge(2.3, 4.0, 9.0, 30.0, num_classes=10) == [False, False, True]
    assert judge(2.3, 9.0, 14.0, num_classes=10) == [False, True]
    assert judge(1.0, 0.5, 0.1, 6.2) == [False, False, False]  # a jump that is not far
    assert judge(1.0, 0.5, 0.1, 6.4) == [False, False, True]


def test_what_is_hopeless_stops_at_once_even_if_it_falls():
    assert judge(2.3, 1e4, num_classes=10) == [True]
    assert judge(2.3, 130.0, 139.0, num_classes=10) == [False, True]
    limit = 30 * (1.0 + math.log(3))
    assert judge(1.0, limit + 1, limit - 1) == [True, False]


@settings(derandomize=True, deadline=None)
@given(st.floats(0, 50), st.lists(st.floats(0, 1e4), min_size=1, max_size=6), st.integers(2, 100))
def test_no_epoch_below_the_former_limit_stops(start, ends, num_classes):
    """Three times the untrained loss and a guess: what was allowed before still is."""
    if ends[-1] <= 3 * (start + math.log(num_classes)):
        assert not diverged(ends, start, num_classes)


@pytest.mark.parametrize(("losses", "end"), [([5.0], 5.0), ([9, 9, 9, 1], 1), ([9] * 6 + [2, 4], 3), ([4, 2, 1], 1)])
def test_the_running_loss_is_that_of_the_last_quarter(losses, end):
    assert running_loss(losses) == end


def test_the_message_names_where_it_came_from_and_what_to_lower():
    logits = create("cifar:resnet8", 3, 0).backbone.head.weight[:, :2].T  # [2, 3]
    strategy = SimpleNamespace(
        settings=SimpleNamespace(name="adversarial", lam=5.0),
        context=SimpleNamespace(
            probe=SimpleNamespace(logits=logits),
            train=SimpleNamespace(lr=0.1),
            loss=SimpleNamespace(settings=SimpleNamespace(name="ckd")),
        ),
    )
    history = [{"epoch": 1, "task": 2.0, "task_at_start": 1.0, "task_at_end": 3.0}]
    check_divergence(strategy, {"epoch": 2, "task": 9.0, "task_at_end": 6.0}, history)
    with pytest.raises(TrainingError) as caught:
        check_divergence(strategy, {"epoch": 2, "task": 9.0, "task_at_end": 12.5}, history)
    words = "diverged at epoch 2: what the student learns from has grown from 1 before the first step, and 3 before "
    assert words + "this epoch, to 12.5 at its end. The checkpoint of epoch 1 is kept." in str(caught.value)
    assert "(--lambda, now 5)" in str(caught.value)
    of_before = [{"epoch": 1, "task": 2.0, "task_at_start": 1.0}]  # a checkpoint that has the means alone
    with pytest.raises(TrainingError, match="and 2 before this epoch, to 9 at its end"):
        check_divergence(strategy, {"epoch": 2, "task": 9.0}, of_before)
