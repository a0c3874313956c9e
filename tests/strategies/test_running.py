"""Estimates over many batches: running means of cells, what an adversary knows, capped gradients, multipliers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from edgefair.seeds import generator
from edgefair.strategies.adversary import PROTECTED_ATTRIBUTES, Information
from edgefair.strategies.bird import group_loss_gap
from edgefair.strategies.cell_averages import CellAverages, CellGaps, running_gap_loss
from edgefair.strategies.gradient_cap import GradientCap
from edgefair.strategies.lagrangian import Multipliers
from edgefair.strategies.replay import RowMemory


def batch_of(rng, rows, classes=3, groups=2):
    labels, of_group = rng.integers(0, classes, rows), rng.integers(-1, groups, rows)
    return torch.tensor(rng.normal(size=rows)), torch.tensor(labels), torch.tensor(of_group)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), batches=st.integers(1, 5), memory=st.integers(1, 9))
def test_running_means_equal_a_weighted_mean_over_all_rows(seed, batches, memory):
    rng, averages = np.random.default_rng(seed), CellAverages(3, 2, memory)
    shown = [batch_of(rng, 30) for _ in range(batches)]
    for each in shown:
        averages.update(*each)
    mean, variance = (part.numpy() for part in averages.means())
    age = np.repeat(np.arange(batches)[::-1], 30)
    value, label, group = (torch.cat(part).numpy() for part in zip(*shown, strict=True))
    for c in range(3):
        for g in range(2):
            here = (label == c) & (group == g)
            weight = (1 - 1 / memory) ** age[here]
            if not here.any() or weight.sum() < 1e-9:
                continue
            expected = np.average(value[here], weights=weight)
            spread = np.average((value[here] - expected) ** 2, weights=weight)
            assert mean[c, g] == pytest.approx(expected, abs=1e-9)
            assert variance[c, g] == pytest.approx(spread * (weight**2).sum() / weight.sum() ** 2, abs=1e-9)


def test_the_error_of_a_gap_is_its_spread_over_repetitions():
    rng, found = np.random.default_rng(0), []
    for _ in range(400):
        averages = CellAverages(1, 3, 20)
        groups = torch.tensor(np.repeat([0, 1, 2], [6, 18, 36]))
        for _ in range(40):
            averages.update(torch.tensor(rng.normal(size=60)), torch.zeros(60, dtype=torch.int64), groups)
        found.append(averages.gaps())
    spread = torch.stack([each.gap for each in found]).std(0)
    torch.testing.assert_close(torch.stack([each.error for each in found]).mean(0), spread, rtol=0.12, atol=0)


def test_what_the_published_gap_takes_for_a_gap_is_noise_and_has_no_reliability():
    """Rows of one class whose losses have nothing to do with their group: the published sum is large all the same."""
    rng = np.random.default_rng(0)
    averages, published = CellAverages(3, 7, 50), []
    for _ in range(200):
        logits = torch.tensor(rng.normal(size=(64, 3)), dtype=torch.float32)
        labels, groups = torch.tensor(rng.integers(0, 3, 64)), torch.tensor(rng.integers(0, 7, 64))
        loss = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        published.append(float(group_loss_gap(logits, labels, groups, 7)))
        averages.update(loss, labels, groups)
    gaps = averages.gaps()
    assert np.mean(published) > 1.5  # nats, as large as the loss of a guess among three classes
    assert float((gaps.reliability * gaps.gap).abs().amax(1).sum()) < 0.2 * np.mean(published)


def test_the_gradient_of_the_running_gap_is_that_of_the_population():
    """Over many batches, some without a row of the rarest cell, the mean of the loss is the gap itself."""
    rng = np.random.default_rng(1)
    truth = np.array([[1.0, 0.2, 0.4], [0.3, 0.3, 1.1]])
    cells = np.array([[0.04, 0.26, 0.2], [0.2, 0.2, 0.1]])  # shares of the rows
    of_class = (cells * truth).sum(1) / cells.sum(1)
    gap = torch.tensor(truth - of_class[:, None], dtype=torch.float32)
    gaps = CellGaps(gap, torch.zeros(2, 3), torch.tensor(cells, dtype=torch.float32))
    values = []
    for _ in range(3000):
        at = rng.choice(6, 40, p=cells.ravel())
        labels, groups = torch.tensor(at // 3), torch.tensor(at % 3)
        values.append(float(running_gap_loss(torch.tensor(truth.ravel()[at]), labels, groups, gaps)))
    expected = float(gap.abs().amax(1).sum())
    assert np.mean(values) == pytest.approx(expected, rel=0.05)
    assert running_gap_loss(torch.ones(2), torch.zeros(2).long(), torch.tensor([-1, -1]), gaps) == 0


def test_a_term_pulls_at_most_lambda_times_as_hard_as_the_task():
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    task, strong, weak = (w * torch.tensor([3.0, 4.0])).sum(), 100 * w.sum(), 0.1 * w.sum()
    assert GradientCap().weight(0.5, task, strong, [w], 0) == pytest.approx(0.5 * 5 / (100 * 2**0.5))
    assert GradientCap().weight(0.5, task, weak, [w], 0) == 0.5  # not blown up
    assert GradientCap().weight(0.5, task, torch.tensor(1.0), [w], 0) == 0.5  # depends on nothing
    cap = GradientCap()
    cap.weight(1.0, task, strong, [w], 0)
    assert cap.weight(1.0, task, weak, [w], 1) == pytest.approx(5 / (100 * 2**0.5))  # measured at every tenth step
    again = GradientCap()
    again.load_state_dict(cap.state_dict())
    assert again.weight(1.0, task, weak, [w], 1) == cap.weight(1.0, task, weak, [w], 1)


def test_an_adversary_learns_from_earlier_rows_alone():
    memory = RowMemory(5, 2, torch.int64)
    assert memory.draw(3, generator(0, "test")) is None
    rows = torch.arange(14.0).reshape(7, 2)
    for start, stop in ((0, 3), (3, 7)):
        memory.push(rows[start:stop], torch.arange(start, stop), torch.arange(start, stop) * 10)
    z, labels, values = memory.draw(9, generator(0, "test"))
    assert sorted(labels.tolist()) == [2, 3, 4, 5, 6]  # the oldest two lost their places
    assert torch.equal(z, rows[labels])
    assert torch.equal(values, labels * 10)
    again = memory.draw(9, generator(0, "test"))
    assert torch.equal(labels, again[1])


def test_information_is_the_conditional_mutual_information_in_nats():
    rng = np.random.default_rng(0)
    labels, signal = rng.integers(0, 2, 20_000), rng.integers(0, 2, 20_000)
    groups = np.where(rng.random(20_000) < 0.8, signal, rng.integers(0, 2, 20_000))
    table = np.array([[np.mean(groups[signal == s] == g) for g in (0, 1)] for s in (0, 1)])
    knows = torch.tensor(np.log(table)[signal])
    nothing = torch.zeros(20_000, 2, dtype=torch.float64)
    expected = mutual_info_score(signal, groups)
    for guess, mean in ((knows, expected), (nothing, 0.0)):
        information = Information(PROTECTED_ATTRIBUTES["group"], 2, 2, 100)
        for part in torch.arange(20_000).split(100):
            information.update(guess[part], torch.tensor(labels)[part], torch.tensor(groups)[part])
        assert information.mean() == pytest.approx(mean, abs=0.02)
        assert (information.reliability() > 0.9) == (mean > 0)
    assert information.reliability() < 0.2


def test_a_continuous_attribute_has_information_too():
    rng = np.random.default_rng(0)
    values, labels = torch.tensor(rng.random(4000), dtype=torch.float32), torch.zeros(4000, dtype=torch.int64)
    information = Information(PROTECTED_ATTRIBUTES["soft_group"], 1, 1, 50)
    for part in torch.arange(4000).split(100):
        information.update(torch.logit(values[part])[:, None], labels[part], values[part])
    assert information.mean() == pytest.approx(1 / 12, rel=0.1)  # the variance of a uniform attribute
    assert information.reliability() > 0.9


def test_multipliers_follow_the_sure_part_of_a_gap_up_to_their_cap():
    multipliers = Multipliers(2, 2, rate=1.0, cap=0.3)
    gap, share = torch.tensor([[-0.1, 0.1], [0.0, 0.0]]), torch.full((2, 2), 0.25)
    multipliers.update(CellGaps(gap, torch.zeros(2, 2), share))
    torch.testing.assert_close(multipliers.mu, torch.tensor([[0.1, -0.1], [0.0, 0.0]]))
    multipliers.update(CellGaps(gap, torch.full((2, 2), 0.05), share))  # reliability 1 - 1/4
    torch.testing.assert_close(multipliers.mu, torch.tensor([[0.175, -0.175], [0.0, 0.0]]))
    multipliers.update(CellGaps(gap, torch.full((2, 2), 0.2), share))  # within its noise
    torch.testing.assert_close(multipliers.mu, torch.tensor([[0.175, -0.175], [0.0, 0.0]]))
    for _ in range(5):
        multipliers.update(CellGaps(gap, torch.zeros(2, 2), share))
    torch.testing.assert_close(multipliers.mu, torch.tensor([[0.3, -0.3], [0.0, 0.0]]))


def test_a_lagging_small_group_of_a_class_gets_more_than_the_large_one_loses():
    multipliers = Multipliers(1, 2, rate=1.0, cap=1.0)
    share = torch.tensor([[0.1, 0.9]])
    multipliers.update(CellGaps(torch.tensor([[-0.09, 0.01]]), torch.zeros(1, 2), share))
    torch.testing.assert_close(multipliers.mu, torch.tensor([[0.09, -0.01]]))
