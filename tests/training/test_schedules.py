"""Training well: schedules, sampling, accumulation, moving average, early stopping and the range test."""

import copy
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from edgefair.cli import cli
from edgefair.data import load_examples
from edgefair.errors import RecipeError, TrainingError
from edgefair.models import create
from edgefair.recipe import parse
from edgefair.strategies.bird import meta_gradient
from edgefair.strategies.optim import schedule
from edgefair.training.assemble import TrainingSettings, build_training
from edgefair.training.ema import Average
from edgefair.training.loader import BatchLoader
from edgefair.training.loop import should_stop_early
from edgefair.training.lr_finder import find, read, running_mean
from edgefair.training.sampler import chances, order
from edgefair.training.stages import distil_student
from tests.helpers.double_backward import double_backward
from tests.helpers.recipes import tiny

CPU = torch.device("cpu")
SMALL = {"data__image_size": 8, "data__train_rows": 110, "train__batch_size": 20, "strategy__name": "plain"}


@pytest.fixture(scope="module")
def examples():
    from edgefair.log import Log

    return load_examples(tiny(**SMALL).data, 0, Log(quiet=True))


def test_the_default_schedule_is_what_it_was():
    for steps in (1, 7, 10, 99, 100, 12345):
        warmup = max(1, steps // 10)
        for done in {0, warmup - 1, warmup, steps // 2, steps - 1}:
            cosine = 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1, steps - warmup)))
            expected = (done + 1) / warmup if done < warmup else cosine
            assert schedule(done, steps, tiny().train) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"train__schedule": "constant", "train__warmup": 0}, {0: 1, 50: 1, 99: 1}),
        ({"train__schedule": "constant", "train__warmup": 0.2}, {0: 0.05, 9: 0.5, 19: 1, 20: 1}),
        ({"train__schedule": "step"}, {4: 0.5, 10: 1, 49: 1, 50: 0.1, 74: 0.1, 75: 0.01, 99: 0.01}),
        ({"train__schedule": "step", "train__milestones": [0.9], "train__step_factor": 0.5}, {89: 1, 90: 0.5}),
        ({"train__warmup": 0}, {0: 1, 50: 0.5, 100: 0}),
    ],
)
def test_schedules(settings, expected):
    train = tiny(**settings).train
    assert {done: schedule(done, 100, train) for done in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("sampling", ["class", "group", "cell"])
def test_balanced_sampling_gives_every_class_group_or_cell_the_same_chance(sampling):
    rng = np.random.default_rng(0)
    labels, groups = rng.choice(3, 900, p=[0.7, 0.2, 0.1]), rng.choice([-1, 0, 1], 900, p=[0.1, 0.8, 0.1])
    chance = chances(labels, groups, sampling)
    assert chance.sum() == pytest.approx(1)
    known = groups >= 0
    keys = {"class": labels, "group": groups, "cell": 2 * labels + groups}[sampling]
    shares = [chance[(keys == key) & (known | (sampling == "class"))].sum() for key in np.unique(keys[known])]
    np.testing.assert_allclose(shares, shares[0])
    if sampling != "class":  # who belongs to no group keeps the share there is
        assert chance[~known].sum() == pytest.approx((~known).mean())
    drawn = order(labels, groups, sampling, np.random.default_rng(1))
    assert len(drawn) == 900
    assert len(np.unique(drawn)) < 900


@pytest.mark.parametrize("sampling", ["class", "group", "cell", "within-class"])
def test_every_row_comes_as_often_as_expected_or_once_more_or_less(sampling):
    rng = np.random.default_rng(0)
    labels, groups = rng.choice(3, 500, p=[0.7, 0.2, 0.1]), rng.choice([-1, 0, 1], 500, p=[0.1, 0.6, 0.3])
    expected = 500 * chances(labels, groups, sampling)
    counts = [np.bincount(order(labels, groups, sampling, np.random.default_rng(k)), minlength=500) for k in range(300)]
    assert all((count >= np.floor(expected)).all() and (count <= np.ceil(expected)).all() for count in counts)
    np.testing.assert_allclose(np.mean(counts, axis=0), expected, atol=0.15)
    even = order(np.arange(6) % 2, np.arange(6) // 2 % 2 * 0, sampling, rng)
    assert sorted(even.tolist()) == list(range(6))  # nothing to balance: every row once


def test_sampling_within_classes_balances_their_groups_and_keeps_their_shares():
    rng = np.random.default_rng(0)
    labels, groups = rng.choice(3, 900, p=[0.7, 0.2, 0.1]), rng.choice([-1, 0, 1], 900, p=[0.1, 0.8, 0.1])
    groups[labels == 2] = 0  # a class with rows of one group alone
    chance, known = chances(labels, groups, "within-class"), groups >= 0
    for c in range(3):
        for g in np.unique(groups[known & (labels == c)]):
            expected = (known & (labels == c)).mean() / (1 if c == 2 else 2)
            assert chance[(labels == c) & (groups == g)].sum() == pytest.approx(expected)
        assert chance[labels == c].sum() == pytest.approx((labels == c).mean())
    np.testing.assert_allclose(chance[~known], 1 / 900)


def test_sampling_without_a_known_group_is_uniform():
    np.testing.assert_allclose(chances(np.array([0, 1, 1]), np.full(3, -1), "cell"), 1 / 3)


def test_an_epoch_of_the_feed_is_balanced(examples):
    feed = BatchLoader(examples, "train", 20, "none", 0, CPU, "cell")
    batches = [list(feed.epoch(number)) for number in (1, 1, 2)]
    ids = [torch.cat([batch.ids for batch in epoch]) for epoch in batches]
    assert torch.equal(ids[0], ids[1])
    assert not torch.equal(ids[0], ids[2])


def trained(examples, folder, quiet, **changes):
    """The weights of a student without batch statistics after its epochs, and the history."""
    recipe = tiny(**SMALL, **{"loss__name": "none", "train__lr": 0.05, **changes})
    model, history, _ = distil_student(recipe, examples, create("cifar:resnet8", 10, 1), folder, quiet)
    return model, history


def test_accumulated_batches_are_one_large_one(examples):
    """In eval mode, where batch statistics do not enter: gradient means of 20 + 20 rows are those of 40."""
    weights = []
    for size, accumulate in ((40, 1), (20, 2)):
        changes = {"loss__name": "none", "train__batch_size": size, "train__accumulate": accumulate}
        recipe = tiny(**{**SMALL, **changes}, train__schedule="constant", train__warmup=0)
        student = create("cifar:resnet8", 10, 0)
        strategy, feed = build_training(TrainingSettings.of(recipe), examples, student, None, 0, CPU)
        strategy.start_epoch(1)
        student.eval()
        for batch in list(feed.epoch(1))[: 80 // size]:
            strategy.step(batch)
        assert strategy.optimizer_steps == 2
        weights.append(torch.cat([p.detach().flatten() for p in student.parameters()]))
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-6)


def test_the_last_step_of_an_epoch_takes_what_is_left(examples):
    recipe = tiny(**SMALL, train__accumulate=4, loss__name="none")  # 6 batches: 4 and 2
    parts = (TrainingSettings.of(recipe), examples, create("cifar:resnet8", 10, 0), None, 0, CPU)
    strategy, feed = build_training(*parts)
    updates = []
    for epoch in (1, 2):
        for batch in feed.epoch(epoch):
            strategy.step(batch)
            updates.append(strategy.optimizer_steps)
    assert updates == [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 4]


def test_the_average_is_the_formula():
    student = create("cifar:resnet8", 3, 0)
    average, expected = Average(student, 0.9), {}
    for step in range(1, 30):
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(1.0)
        average.update(student, step)
        decay = min(0.9, (step - 1) / step)
        for name, value in student.state_dict().items():
            if value.is_floating_point():
                expected[name] = decay * expected.get(name, value) + (1 - decay) * value
    for name, value in expected.items():
        torch.testing.assert_close(average.module.state_dict()[name], value)


EVERYTHING = {
    "train__ema": 0.8,
    "train__accumulate": 2,
    "train__sampling": "cell",
    "train__schedule": "step",
    "train__patience": 3,
    "train__label_smoothing": 0.1,
    "loss__name": "ckd",
}


def test_a_resumed_training_ends_bit_for_bit_where_an_unbroken_one_does(examples, tmp_path, quiet, monkeypatch):
    unbroken, history = trained(examples, tmp_path / "unbroken", quiet, train__epochs=3, **EVERYTHING)
    from edgefair.training import loop as train

    save = train.save_checkpoint

    def killed(path, state):
        save(path, state)
        if len(state["history"]) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        trained(examples, tmp_path / "broken", quiet, train__epochs=3, **EVERYTHING)
    monkeypatch.setattr(train, "save_checkpoint", save)
    resumed, again = trained(examples, tmp_path / "broken", quiet, train__epochs=3, **EVERYTHING)
    assert again == history
    for name, value in unbroken.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name])


def test_the_average_is_what_is_judged_and_kept(examples, tmp_path, quiet):
    plain, _ = trained(examples, tmp_path / "a", quiet, train__epochs=1)
    averaged, history = trained(examples, tmp_path / "b", quiet, train__epochs=1, train__ema=0.99)
    assert any(not torch.equal(a, b) for a, b in zip(plain.parameters(), averaged.parameters(), strict=True))
    from edgefair.training.loop import make_validation

    assert make_validation(examples, CPU)(averaged).items() <= history[0].items()


def test_early_stopping_counts_epochs_without_a_new_best():
    assert not should_stop_early([1, 2, 2], 0)
    assert not should_stop_early([], 2)
    assert not should_stop_early([1, 2, 1], 2)
    assert should_stop_early([1, 2, 1, 2], 2)
    assert not should_stop_early([1, 2, 1, 3], 2)
    with pytest.raises(RecipeError, match="select is 'last'"):
        parse({"train": {"patience": 2, "select": "last"}})


def test_training_stops_early_and_stays_stopped(examples, tmp_path, quiet):
    changes = {"train__epochs": 9, "train__patience": 2, "train__lr": 1e-9, "train__select": "accuracy"}
    _, history = trained(examples, tmp_path, quiet, **changes)
    assert len(history) < 9
    assert trained(examples, tmp_path, quiet, **changes)[1] == history


def test_the_range_test_finds_the_steepest_fall():
    rates = [10 ** (k / 10 - 5) for k in range(61)]
    losses = [3 - 2 / (1 + math.exp(-4 * (math.log10(r) + 2))) + (50 * r**3) for r in rates]
    finding = read(rates, losses)
    assert 10**-2.2 < finding.steepest < 10**-1  # the running mean lags behind the fall at 0.01
    assert finding.suggestion == min(finding.steepest, finding.lowest / 10)
    assert running_mean([2.0, 2.0, 2.0]) == pytest.approx([2, 2, 2])
    with pytest.raises(TrainingError, match="no learning rate from 1e-05 on makes the loss fall"):
        read(rates, [1.0 + k for k in range(61)])


def test_a_hard_first_batch_is_not_taken_for_a_fall():
    rates = [10 ** (k / 10 - 5) for k in range(61)]
    losses = [3 - 2 / (1 + math.exp(-4 * (math.log10(r) + 2))) + (50 * r**3) for r in rates]
    assert read(rates, [6.0, *losses[1:]]).steepest == read(rates, losses).steepest


def test_the_range_test_stops_where_the_loss_runs_away(examples):
    recipe = tiny(**SMALL, loss__name="none")
    parts = (TrainingSettings.of(recipe), examples, create("cifar:resnet8", 10, 0), None, 0, CPU)
    found = [find(*build_training(*copy.deepcopy(parts)), 1e-4, 1e4, 60) for _ in range(2)]
    assert found[0] == found[1]
    assert 12 < len(found[0].rates) < 60
    assert 1e-4 < found[0].suggestion < 10


def test_lr_find_prints_a_suggestion_and_draws_the_curve(tmp_path):
    settings = [f"--set={name.replace('__', '.')}={value}" for name, value in SMALL.items()]
    settings += ["--set=teacher.batch_size=20", "--set=teacher.spec=cifar:resnet8"]
    plot = tmp_path / "curve.svg"
    result = CliRunner().invoke(cli, ["lr-find", *settings, "--steps", "40", "--low", "1e-4", "--plot", str(plot)])
    assert result.exit_code == 0, result.output
    assert "suggested learning rate: " in result.output
    assert "--set teacher.lr=" in result.output
    root = ET.fromstring(plot.read_text())
    assert root.tag.endswith("svg")
    assert sum(each.tag.endswith("polyline") for each in root) > 4
    assert {"each step", "running mean"} <= {each.text for each in root}
    narrow = ["--low", "1e-4", "--high", "3e-3", "--steps", "40", "--plot", str(plot)]
    result = CliRunner().invoke(cli, ["lr-find", *settings, *narrow])
    assert "the loss was still falling near the last rate" in result.output


def test_lr_find_refuses_what_is_not_trained():
    result = CliRunner().invoke(cli, ["lr-find", "--low", "1", "--high", "0.1"])
    assert isinstance(result.exception, RecipeError)
    assert "--high 0.1 is not above --low 1" in str(result.exception)
    result = CliRunner().invoke(cli, ["lr-find", "--teacher", "file:x.safetensors"])
    assert "is used as it is" in str(result.exception)


def test_meta_gradient_of_a_vision_transformer_equals_the_double_backward():
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from edgefair.models import Classifier, seeded
    from edgefair.models.timm_backbone import TimmBackbone

    with seeded(0):
        import timm

        settings = {"img_size": 32, "depth": 2, "embed_dim": 24, "num_heads": 2}
        network = timm.create_model("vit_tiny_patch16_224", num_classes=4, **settings)
        student = Classifier(TimmBackbone(network, 32), "timm:vit").train()
    random = torch.Generator().manual_seed(0)
    images, meta = (torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=random) for _ in range(2))
    labels, teacher = torch.arange(12) % 4, torch.randn(12, 24, generator=random)
    phi = torch.randn(24, generator=random).requires_grad_()

    def inner(output):
        distance = torch.nn.functional.mse_loss(output.features, torch.sigmoid(phi) * teacher)
        return distance + torch.nn.functional.cross_entropy(output.logits, labels)

    def outer(output):
        return torch.nn.functional.cross_entropy(output.logits, labels.flip(0))

    (got,) = meta_gradient(student, inner, outer, [phi], images, meta, 0.05)
    with sdpa_kernel(SDPBackend.MATH):  # no other kernel has a second derivative
        expected = double_backward(student, inner, outer, phi, images, meta, 0.05)
    assert expected.norm() > 0
    assert (got - expected).norm() < 1e-4 * expected.norm()
