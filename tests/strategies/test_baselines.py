"""Baselines: weights of rows and cells, priors and refitted last layers, by hand-made vectors and scikit-learn."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.data import load_examples
from edgefair.errors import RecipeError
from edgefair.losses import LOSSES, LossContext
from edgefair.losses.at import attention_loss
from edgefair.losses.fitnet import hint_loss
from edgefair.losses.kdpp import norm_direction_loss
from edgefair.losses.soft_targets import soft_target_loss
from edgefair.models import create
from edgefair.models.last_layer import LastLayer
from edgefair.recipe import parse
from edgefair.seeds import generator
from edgefair.strategies.afr import afr_weights
from edgefair.strategies.group_dro import CellWeights, row_shares
from edgefair.strategies.logistic import fit_logistic
from edgefair.strategies.logit_adjust import log_prior
from edgefair.strategies.refit import Rows, balanced_draw, cell_figures, halves
from edgefair.strategies.reweight import cell_weights
from edgefair.training.assemble import TrainingSettings, build_training
from tests.contracts.test_losses import batch_of, outputs
from tests.helpers.recipes import tiny

DOUBLE = torch.float64
NEW = ("reweight", "group-dro", "last-layer", "logit-adjust", "afr")


def tensor(*values):
    return torch.tensor(values, dtype=DOUBLE)


# --- row weights in losses ---


def test_soft_targets_with_weights_are_the_weighted_mean_of_their_rows():
    student, teacher = tensor([0.0, 0.0], [0.0, 0.0]), tensor([2 * math.log(3), 0.0], [0.0, 0.0])
    # At T = 2 the first row's teacher says 3/4 and 1/4, its student 1/2; the second's agree.
    first = 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert soft_target_loss(student, teacher, 2.0, tensor(0.5, 1.5)).item() == pytest.approx(0.5 * first / 2)
    assert soft_target_loss(student, teacher, 2.0).item() == pytest.approx(first / 2)


@pytest.mark.parametrize(
    "loss",
    [
        lambda weights: soft_target_loss(outputs(4).logits, outputs(4, seed=1).logits, 3.0, weights),
        lambda weights: hint_loss(outputs(4).maps[0], outputs(4, seed=1).maps[0], weights),
        lambda weights: attention_loss(outputs(4).maps[0], outputs(4, seed=1).maps[0], "code", weights),
        lambda weights: attention_loss(outputs(4).maps[0], outputs(4, seed=1).maps[0], "paper", weights),
        lambda weights: norm_direction_loss(
            outputs(4).features, outputs(4, seed=1).features, batch_of(4).labels, torch.eye(5, 8), weights
        ),
    ],
    ids=["soft targets", "hint", "attention, code", "attention, paper", "norm and direction"],
)
def test_weights_of_one_change_nothing_and_each_row_counts_by_its_own(loss):
    torch.testing.assert_close(loss(torch.ones(4)), loss(None))
    alone = torch.stack([loss(row) for row in torch.eye(4)])  # each row's share of the mean
    torch.testing.assert_close(loss(torch.tensor([0.2, 1.0, 3.0, 0.0])), alone @ torch.tensor([0.2, 1.0, 3.0, 0.0]))


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_is_linear_in_the_weights_of_rows(name):
    student, teacher, batch = outputs(6), outputs(6, width=8, seed=1), batch_of(6)
    means = torch.randn(5, 8, generator=torch.Generator().manual_seed(9))
    settings_ = LOSSES[name].settings_class(plus_ckd=0.5)
    loss = LOSSES[name](settings_, LossContext(student, teacher, 5, 2, means, label_smoothing=0.1)).eval()
    loss.start_epoch(30)

    def at(weights):
        return loss.terms(student, teacher, batch._replace(weights=weights))

    one, other = torch.ones(6), torch.tensor([3.0, 0.5, 0.0, 1.0, 1.0, 2.0])
    plain, even = loss.terms(student, teacher, batch), at(one)
    for term in plain:
        torch.testing.assert_close(even[term], plain[term])
        torch.testing.assert_close(at((one + other) / 2)[term], (even[term] + at(other)[term]) / 2)
    moving = {term for term in plain if not torch.allclose(at(other)[term], plain[term])}
    # What compares rows with one another, or cells, is left alone.
    assert moving == plain.keys() - {"rkd_distance", "rkd_angle", "mmd"}
    even = one.clone().requires_grad_()
    shares = row_shares(at(even), even)
    assert shares.keys() == moving
    for term, share in shares.items():
        torch.testing.assert_close(plain[term] + ((other - 1) * share).sum(), at(other)[term])


# --- reweight ---


def test_cell_weights_of_a_hand_made_table():
    labels, groups = torch.tensor([0] * 6 + [1] * 4), torch.tensor([0, 0, 0, 0, 1, -1, 0, 1, 1, -1])
    # Known: 8 of 10 rows in cells of 4, 1, 1 and 2: weights 8 / (4 * n), and none for what is not known.
    table = cell_weights(torch.full((10,), 0.1, dtype=DOUBLE), labels, groups, 2, 3)
    torch.testing.assert_close(table, tensor([0.5, 2.0, 0.0], [2.0, 1.0, 0.0]))


def test_cells_that_sampling_shows_alike_weigh_alike():
    labels, groups = torch.tensor([0, 0, 0, 1]), torch.zeros(4, dtype=torch.int64)
    table = cell_weights(tensor(1 / 6, 1 / 6, 1 / 6, 1 / 2), labels, groups, 2, 1)
    torch.testing.assert_close(table, tensor([1.0], [1.0]))


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 1)), min_size=1, max_size=40))
def test_cells_weigh_the_same_and_rows_one_on_average(rows):
    labels, groups = (torch.tensor(part) for part in zip(*rows, strict=True))
    table = cell_weights(torch.full((len(rows),), 1 / len(rows), dtype=DOUBLE), labels, groups, 3, 2)
    known = groups >= 0
    weights = torch.where(known, table[labels, groups.clamp(min=0)], 1)
    assert weights.mean().item() == pytest.approx(1)
    sums = {cell: 0.0 for cell, at in zip(rows, known.tolist(), strict=True) if at}
    for cell, weight in zip(rows, weights.tolist(), strict=True):
        if cell in sums:
            sums[cell] += weight
    assert max(sums.values(), default=0) == pytest.approx(min(sums.values(), default=0))


# --- group DRO ---


def test_two_steps_of_group_dros_weights_by_hand():
    rows = torch.tensor([[4.0, 16.0], [1.0, 0.0]])  # a cell without rows never gets weight
    cells = CellWeights(rows, adjustment=2.0, step_size=0.5, memory=0.0)
    cells.update(torch.tensor([[1.0, 0.5], [2.0, 9.0]]), torch.tensor([[1, 2], [3, 0]]))
    grown = np.exp(0.5 * np.array([1 + 2 / 2, 0.5 + 2 / 4, 2 + 2 / 1]))
    np.testing.assert_allclose(cells.q.flatten()[:3], grown / grown.sum(), rtol=1e-6)
    assert cells.q[1, 1] == 0
    # The second batch lacks the last cell, whose loss stays that of the first.
    cells.update(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.tensor([[5, 1], [0, 0]]))
    grown *= np.exp(0.5 * np.array([0 + 1, 1 + 0.5, 2 + 2]))
    np.testing.assert_allclose(cells.q.flatten()[:3], grown / grown.sum(), rtol=1e-6)


def test_averages_of_cells_begin_with_their_first_loss():
    cells = CellWeights(torch.ones(1, 2), adjustment=0.0, step_size=0.1, memory=0.75)
    cells.update(torch.tensor([[2.0, 0.0]]), torch.tensor([[1, 0]]))
    cells.update(torch.tensor([[4.0, 8.0]]), torch.tensor([[1, 1]]))
    assert cells.average.tolist() == [[0.75 * 2 + 0.25 * 4, 8.0]]


@pytest.fixture(scope="module")
def examples():
    from edgefair.log import Log

    return load_examples(tiny().data, 0, Log(quiet=True))


@pytest.fixture(scope="module")
def build(examples):
    def make(strategy, loss="ckd", spec="cifar:resnet8", **changes):
        recipe = tiny(
            strategy__name=strategy, loss__name=loss, **{f"strategy__{name}": v for name, v in changes.items()}
        )
        networks = [create(part, 10, seed) for seed, part in enumerate((spec, "cifar:resnet8"))]
        made, feed = build_training(TrainingSettings.of(recipe), examples, *networks, 0, torch.device("cpu"))
        made.start_epoch(1)
        return made, feed

    return make


def weights_of(strategy):
    return torch.cat([p.detach().flatten() for p in strategy.context.student.parameters()])


@pytest.mark.parametrize("name", NEW)
def test_lambda_0_is_plain_training_to_the_last_bit(name, build):
    ends = []
    for strategy in (name, "plain"):
        made, feed = build(strategy, lam=0.0)
        made.context.student.train()
        made.step(next(feed.epoch(1)))
        assert made.finish() == ""
        ends.append(weights_of(made))
    assert torch.equal(*ends)


def test_group_dro_goes_down_the_weighted_loss_of_the_cells(build):
    """One step's objective, recomputed from each row's cross-entropy and soft target."""
    made, feed = build("group-dro", lam=0.75, step_size=0.5, memory=0.0, adjustment=0.0)
    batch = next(feed.epoch(1))
    batch = batch._replace(groups=torch.where(torch.arange(len(batch.ids)) < 5, -1, batch.groups))
    made.context.student.eval()
    student, teacher = made.context.student(batch.images), made.teacher_output(batch)
    rows = 0.1 * torch.nn.functional.cross_entropy(student.logits, batch.labels, reduction="none")
    rows += 0.9 * torch.stack(
        [soft_target_loss(s[None], t[None], 4.0) for s, t in zip(*[o.logits for o in (student, teacher)], strict=True)]
    )
    cells = {}
    for row, (label, group) in enumerate(zip(batch.labels.tolist(), batch.groups.tolist(), strict=True)):
        if group >= 0:
            cells.setdefault((label, group), []).append(rows[row].item())
    train = made.context.splits["train"]
    there = {*zip(train.labels.tolist(), train.groups.tolist(), strict=True)}
    q = {cell: math.exp(0.5 * np.mean(cells.get(cell, [0.0]))) / len(there) for cell in there}
    whole = sum(q.values())
    known = len(rows) - 5
    robust = known * sum(q[cell] / whole * np.mean(of) for cell, of in cells.items()) + rows[:5].sum().item()
    expected = 0.25 * rows.mean().item() + 0.75 * robust / len(rows)
    assert made.step(batch)["loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", ["rkd", "mfd"])
def test_reweighting_leaves_what_compares_rows_as_it_is(loss, build):
    values = []
    for strategy in ("reweight", "plain"):
        made, feed = build(strategy, loss)
        batch = next(feed.epoch(1))
        skewed = batch._replace(groups=torch.zeros_like(batch.groups))
        made.context.student.eval()
        if strategy == "reweight":
            made.cell_weights = torch.arange(20.0).view(10, 2)
        values.append(made.step(skewed))
    compared = {"rkd": ("rkd_distance", "rkd_angle"), "mfd": ("mmd",)}[loss]
    for name in compared:
        assert values[0][name] == pytest.approx(values[1][name], rel=1e-5)
    assert values[0]["ce"] != pytest.approx(values[1]["ce"], rel=1e-2)


# --- logit adjustment ---


def test_the_prior_of_classes_is_what_training_shows():
    labels = torch.tensor([0, 0, 0, 1])
    torch.testing.assert_close(log_prior(torch.full((4,), 0.25), labels, 3), tensor(0.75, 0.25, 0.25).log())
    shown = log_prior(tensor(1 / 6, 1 / 6, 1 / 6, 1 / 2), labels, 2)  # sampling by class
    torch.testing.assert_close(shown, tensor(0.5, 0.5).log())


def test_logit_adjustment_lowers_the_bias_and_takes_it_back_before_training_goes_on(build, examples):
    made, _ = build("logit-adjust", lam=1.5)
    head = made.context.student.backbone.head
    weight, bias = head.weight.clone(), head.bias.clone()
    assert made.finish()
    share = np.bincount(examples.labels[examples.rows["train"]], minlength=10) / len(examples.rows["train"])
    np.testing.assert_allclose((head.bias - bias).detach(), -1.5 * np.log(share), rtol=1e-5)
    assert torch.equal(head.weight, weight)
    made.reopen()
    torch.testing.assert_close(head.bias, bias)


# --- logistic regression and its rows ---


@pytest.fixture(scope="module")
def regression():
    random = np.random.default_rng(3)
    x = random.normal(size=(90, 6))
    y = (x[:, :3] + 0.8 * random.normal(size=(90, 3))).argmax(1)
    return x, y


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("weighted", [False, True])
def test_logistic_regression_agrees_with_scikit_learn(regression, penalty, weighted):
    from sklearn.linear_model import LogisticRegression

    x, y = regression
    weights = np.random.default_rng(4).uniform(0.2, 3, len(y)) if weighted else np.ones(len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how versions call the penalty
        model = LogisticRegression(
            C=0.5, penalty=penalty, solver="saga" if penalty == "l1" else "lbfgs", tol=1e-9, max_iter=20000
        ).fit(x, y, sample_weight=weights)
    rows = torch.from_numpy(weights / weights.sum())
    strength = {penalty: 1 / (0.5 * weights.sum())}
    start = torch.zeros(3, 7, dtype=DOUBLE)
    theta = fit_logistic(torch.from_numpy(x), torch.from_numpy(y), rows, start, **strength).numpy()
    np.testing.assert_allclose(theta[:, :-1], model.coef_, atol=1e-3)
    centred = [bias - bias.mean() for bias in (theta[:, -1], model.intercept_)]  # a common shift changes nothing
    np.testing.assert_allclose(*centred, atol=1e-3)


def test_a_strong_anchor_keeps_the_given_layer_and_none_leaves_it(regression):
    x, y = (torch.from_numpy(part) for part in regression)
    even = torch.full((len(y),), 1 / len(y), dtype=DOUBLE)
    given_ = torch.linspace(-1, 1, 21, dtype=DOUBLE).view(3, 7)
    held = fit_logistic(x, y, even, given_, l2=1e4, around=given_)
    torch.testing.assert_close(held, given_, atol=1e-3, rtol=0)
    free = fit_logistic(x, y, even, given_, l2=0.1, around=given_)
    # Where it ends the gradient of the penalised loss is zero, the bias's too.
    theta = free.clone().requires_grad_()
    loss = torch.nn.functional.cross_entropy(x @ theta[:, :-1].T + theta[:, -1], y)
    (loss + 0.05 * (theta - given_).pow(2).sum()).backward()
    assert theta.grad.abs().max() < 1e-5


def test_weights_of_automatic_feature_reweighting_by_hand():
    logits = tensor([math.log(3), 0.0], [0.0, 0.0], [0.0, math.log(3)], [0.0, math.log(3)])
    weights = afr_weights(logits, torch.tensor([0, 0, 0, 1]), 2.0)  # p = 3/4, 1/2, 1/4 and 3/4; 3 rows and 1
    expected = np.array([math.exp(-1.5) / 3, math.exp(-1) / 3, math.exp(-0.5) / 3, math.exp(-1.5)])
    np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-12)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 9))
def test_draws_are_balanced_and_halves_are_disjoint(cells, most):
    cells = torch.tensor(cells)
    drawn = balanced_draw(cells, most, generator(0, "draw"))
    counts = np.unique(cells[drawn].numpy(), return_counts=True)[1]
    smallest = np.unique(cells.numpy(), return_counts=True)[1].min()
    assert set(counts) == {min(most, smallest)}
    assert len(counts) == len(torch.unique(cells))
    assert len(set(drawn)) == len(drawn)
    first, second = halves(cells, generator(0, "halves"))
    assert sorted([*first, *second]) == list(range(len(cells)))
    for cell in torch.unique(cells):
        assert 0 <= (cells[first] == cell).sum() - (cells[second] == cell).sum() <= 1


def test_the_worst_cell_and_the_mean_of_cells():
    rows = Rows(torch.zeros(4, 1), torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 2]))
    logits = tensor([1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 1.0])
    worst, mean = cell_figures(logits, rows)
    assert worst == 0.5
    right, wrong, sure = math.log(1 + math.exp(-1)), math.log(1 + math.e), math.log(1 + math.exp(-2))
    assert mean == pytest.approx(-((right + wrong) / 2 + sure + right) / 3)


# --- refitted last layers ---


@pytest.mark.parametrize("name", ["last-layer", "afr"])
def test_a_refitted_layer_lies_between_the_trained_and_the_fitted_one(name, build):
    layers = []
    for lam in (0.0, 0.5, 1.0, 1.0):
        changes = {"strengths": [0.1], "draws": 2} if name == "last-layer" else {"gammas": [1.0]}
        made, _ = build(name, lam=lam, **changes)
        said = made.finish()
        assert bool(said) == bool(lam)
        layer = LastLayer(made.context.student)
        layers.append(torch.cat([layer.weight, layer.bias[:, None]], dim=1))
    torch.testing.assert_close(layers[1], (layers[0] + layers[2]) / 2, atol=1e-6, rtol=1e-4)
    assert torch.equal(layers[2], layers[3])  # the same seed, the same layer
    assert not torch.allclose(layers[0], layers[2], atol=1e-2)


def test_the_refitted_layer_is_scikit_learns_on_the_same_balanced_rows(build):
    """All in one: what the layer reads, standardised, one draw, folded back; cells that are equal need no draw."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    made, _ = build("last-layer", strengths=[0.05], draws=1, penalty="l2", rows="meta")
    labels = torch.arange(20) % 10
    meta = made.context.splits["meta"]
    images = torch.cat(list(meta.images()))
    assert len(images) == 20
    made.split = meta._replace(labels=labels, groups=torch.arange(20) // 10)  # two rows of every class, one a group
    made.context.student.eval()
    with torch.no_grad():
        features = made.context.student(images).features.double().numpy()
    assert made.finish() == "last layer refitted on 20 meta rows of 20 cells, C = 0.05"
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=0.05, tol=1e-9, max_iter=5000).fit(scaler.transform(features), labels.numpy())
    with torch.no_grad():
        logits = made.context.student(images).logits.double().numpy()
    expected = model.decision_function(scaler.transform(features))
    np.testing.assert_allclose(logits - logits.mean(1)[:, None], expected - expected.mean(1)[:, None], atol=5e-3)


def test_a_split_without_a_class_is_refused_before_training(build, examples, monkeypatch):
    monkeypatch.setitem(examples.rows, "meta", examples.rows["meta"][:3])
    for name in ("last-layer", "afr"):
        with pytest.raises(RecipeError, match=f"strategy '{name}' fits the last layer on meta rows, of which none"):
            build(name, rows="meta")


@pytest.mark.parametrize("name", ["reweight", "group-dro", "last-layer", "afr"])
def test_shares_above_one_are_refused(name):
    with pytest.raises(RecipeError, match=r"strategy.lam\): a number of at most 1"):
        parse({"strategy": {"name": name, "lam": 1.5}})
    assert parse({"strategy": {"name": "logit-adjust", "lam": 1.5}}).strategy.lam == 1.5
