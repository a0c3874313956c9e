"""The loop's parts: batches, augmentation, the kept epoch, cached teachers and precision."""

import math

import numpy as np
import pytest
import torch

from edgefair.data import load_examples
from edgefair.errors import RecipeError, TrainingError
from edgefair.models import create, save_weights
from edgefair.strategies import STRATEGIES
from edgefair.strategies.optim import make_optimizer, schedule
from edgefair.strategies.plain import Plain
from edgefair.training import loop
from edgefair.training.assemble import TrainingSettings, build_training
from edgefair.training.augment import augmented
from edgefair.training.loader import BatchLoader, split_rows
from edgefair.training.loop import make_validation, score, should_stop_early
from edgefair.training.stages import distil_student, dry_run, train_teacher
from edgefair.training.teacher import CachedTeacher, LiveTeacher, outputs
from tests.helpers.recipes import tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def examples():
    from edgefair.log import Log

    return load_examples(tiny().data, 0, Log(quiet=True))


def test_an_epoch_shows_every_row_once_in_another_order(examples):
    feed = BatchLoader(examples, "train", 64, "none", 0, CPU)
    ids = [torch.cat([batch.ids for batch in feed.epoch(number)]) for number in (1, 1, 2)]
    assert torch.equal(ids[0], ids[1])
    assert not torch.equal(ids[0], ids[2])
    assert sorted(ids[0].tolist()) == list(range(400))
    batch = next(feed.epoch(1))
    row = examples.rows["train"][int(batch.ids[5])]
    assert (batch.images[5].numpy() == examples.images[row]).all()
    assert batch.labels[5] == examples.labels[row]
    assert batch.groups[5] == examples.groups[row]


def test_a_last_batch_of_one_row_is_left_out(examples):
    sizes = [len(batch.ids) for batch in BatchLoader(examples, "train", 133, "none", 0, CPU).epoch(1)]
    assert sizes == [133, 133, 133]


@pytest.mark.parametrize("how", ["flip", "crop-flip"])
def test_augmentation_keeps_bytes_and_depends_on_its_generator(how):
    images = torch.arange(4 * 3 * 16 * 16, dtype=torch.int64).reshape(4, 3, 16, 16).remainder(251).to(torch.uint8)
    first, again, other = (augmented(images, how, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first.dtype == torch.uint8
    assert first.shape == images.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    if how == "flip":
        same = (first == images).all(dim=(1, 2, 3)) | (first == images.flip(3)).all(dim=(1, 2, 3))
        assert same.all()


@pytest.mark.slow
def test_the_best_epoch_on_validation_rows_is_kept(examples, tmp_path, quiet):
    recipe = tiny(teacher__epochs=4, teacher__select="accuracy")
    model, history = train_teacher(recipe, examples, tmp_path, quiet)
    kept = next(row for row in history if row["kept"])
    assert kept["validation_accuracy"] == max(row["validation_accuracy"] for row in history)
    rows = examples.rows["validation"]
    accuracy = (outputs(model, examples.images, rows, CPU).logits.argmax(1).numpy() == examples.labels[rows]).mean()
    assert accuracy == pytest.approx(kept["validation_accuracy"])


@pytest.mark.parametrize("spec", ["cifar:resnet8", "timm:lcnet_050"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.slow
def test_what_a_teacher_said_is_remembered_bit_for_bit(examples, spec, precision):
    said = []
    for augment in ("none", "flip"):  # remembered, and asked at every batch
        recipe = tiny(train__augment=augment, train__batch_size=48, train__precision=precision, loss__name="ckd")
        networks = (create("cifar:resnet8", 10, 0), create(spec, 10, 3))
        strategy, _ = build_training(TrainingSettings.of(recipe), examples, *networks, 0, CPU)
        batches = list(BatchLoader(examples, "train", 48, "none", 0, CPU).epoch(1))
        assert len(batches[-1].ids) < 48  # the last batch is smaller
        said.append([strategy.teacher_output(batch) for batch in batches])
        assert isinstance(strategy.context.teacher, CachedTeacher if augment == "none" else LiveTeacher)
    for cached, live in zip(*said, strict=True):
        assert torch.equal(cached.logits, live.logits)
        assert torch.equal(cached.features, live.features)


@pytest.mark.slow
def test_a_teacher_never_trains(examples, quiet, tmp_path):
    recipe = tiny(train__augment="flip", train__epochs=1)
    teacher = create("cifar:resnet8", 10, 3)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    distil_student(recipe, examples, teacher, tmp_path, quiet)
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


def test_bf16_autocast_trains_close_to_single_precision(examples):
    losses = {}
    for precision in ("fp32", "bf16"):
        recipe = tiny(train__precision=precision, loss__name="ckd")
        networks = [create("cifar:resnet8", 10, seed) for seed in (0, 1)]
        strategy, feed = build_training(TrainingSettings.of(recipe), examples, *networks, 0, CPU)
        losses[precision] = strategy.step(next(feed.epoch(1)))["loss"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05)


def test_schedule_warms_up_and_ends_at_zero():
    values = [schedule(done, 100, tiny().train) for done in range(101)]
    assert values[9] == 1
    assert values[100] == pytest.approx(0, abs=1e-12)
    assert (np.diff(values[:10]) > 0).all()
    assert (np.diff(values[10:]) < 0).all()


def test_biases_and_normalisation_are_not_decayed():
    model = create("cifar:resnet8", 10, 0)
    groups = make_optimizer([model], tiny().train).param_groups
    assert [group["weight_decay"] for group in groups] == [5e-4, 0.0]
    assert {p.ndim for p in groups[0]["params"]} == {2, 4}
    assert {p.ndim for p in groups[1]["params"]} == {1}


@pytest.mark.slow
def test_the_log_gives_every_terms_value_and_gradient_norm(examples, tmp_path, quiet):
    recipe = tiny(loss__name="ctkd", train__epochs=2)
    _, history, _ = distil_student(recipe, examples, create("cifar:resnet8", 10, 1), tmp_path, quiet)
    for row in history:
        assert {"ce", "ctkd", "adversary", "temperature"} <= set(row)
        assert row["gradient_ce"] > 0
        assert row["gradient_ctkd"] > 0
    assert history[0]["temperature"] != history[1]["temperature"]


@pytest.mark.slow
def test_ckd_can_be_added_to_any_loss(examples, tmp_path, quiet):
    recipe = tiny(loss__name="none", loss__plus_ckd=0.5, train__epochs=1)
    _, history, _ = distil_student(recipe, examples, create("cifar:resnet8", 10, 1), tmp_path, quiet)
    assert history[0]["plus_ckd"] > 0


def test_class_means_are_those_of_the_training_rows(examples):
    from edgefair.training.teacher import TeacherSource

    teacher = create("cifar:resnet8", 10, 3)
    means = TeacherSource(teacher, examples, tiny().train, CPU).class_means()
    rows = examples.rows["train"]
    features = outputs(teacher, examples.images, rows, CPU).features
    for label in range(10):
        torch.testing.assert_close(means[label], features[examples.labels[rows] == label].mean(0))


def test_a_strength_that_makes_training_run_away_is_named(examples, tmp_path, quiet):
    recipe = tiny(strategy__lam=1e4, loss__name="ckd", train__epochs=3, train__select="last")
    with pytest.raises(TrainingError, match=r"'adversarial' \(--lambda, now 10000\)") as caught:
        distil_student(recipe, examples, create("cifar:resnet8", 10, 1), tmp_path, quiet)
    assert "diverged at epoch" in str(caught.value) or "the loss is" in str(caught.value)


def test_a_learning_rate_that_makes_training_run_away_is_named(examples, tmp_path, quiet):
    recipe = tiny(strategy__name="plain", loss__name="none", train__lr=1e6)
    with pytest.raises(TrainingError, match=r"the learning rate \(train.lr or teacher.lr, now 1e\+06\)") as caught:
        distil_student(recipe, examples, create("cifar:resnet8", 10, 1), tmp_path, quiet)
    assert "--lambda" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"loss__name": "at", "student__spec": "cifar:resnet18"},
            r"there are 4 \(student: stages.0 .*and 3 \(teacher: ",
        ),
        ({"loss__name": "fitnet", "loss__hint_stage": 7}, "has 3 stage maps .*no stage 7"),
        ({"strategy__class_weights": {"sqare": 2.0}}, "did you mean 'square'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(examples, changes, words):
    with pytest.raises(RecipeError, match=words):
        dry_run(tiny(**changes), examples)


def test_a_dry_run_computes_no_training_row(examples, monkeypatch):
    monkeypatch.setattr("edgefair.training.teacher.outputs", lambda *_: pytest.fail("the teacher was asked"))
    for loss in ("kdpp", "rkd"):
        dry_run(tiny(loss__name=loss), examples)


class Finishing(Plain):
    """Adds one to every bias after training, and counts how often."""

    calls = 0

    def finish(self):
        type(self).calls += 1
        with torch.no_grad():
            self.context.student.backbone.head.bias += 1
        return "one was added"


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [0, 2])
def test_a_strategy_finishes_once_on_the_kept_weights_and_a_resumed_run_ends_the_same(
    examples, epochs, tmp_path, quiet, monkeypatch
):
    monkeypatch.setitem(STRATEGIES, "plain", Finishing)
    monkeypatch.setattr(Finishing, "calls", 0)
    recipe = tiny(strategy__name="plain", loss__name="none", train__epochs=epochs, train__select="accuracy")
    teacher = create("cifar:resnet8", 10, 1)
    whole, history, _ = distil_student(recipe, examples, teacher, tmp_path / "a", quiet)
    assert Finishing.calls == 1
    # What a process that was killed while it finished has left is the checkpoint of the last epoch.
    again, same, _ = distil_student(recipe, examples, teacher, tmp_path / "a", quiet)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())
    assert history == same
    rows = examples.rows["validation"]
    accuracy = (outputs(whole, examples.images, rows, CPU).logits.argmax(1).numpy() == examples.labels[rows]).mean()
    for row in history:
        assert row.get("finished_accuracy") == (pytest.approx(accuracy) if row["kept"] else None)
    monkeypatch.setitem(STRATEGIES, "plain", Plain)
    before, _, _ = distil_student(recipe, examples, teacher, tmp_path / "b", quiet)
    torch.testing.assert_close(whole.backbone.head.bias, before.backbone.head.bias + 1)


@pytest.mark.slow
def test_a_teacher_is_trained_under_its_strategy(examples, tmp_path, quiet):
    recipe = tiny(teacher__strategy="adversarial", teacher__epochs=1)
    _, history = train_teacher(recipe, examples, tmp_path / "a", quiet)
    assert history[0]["adversary"] > 0
    _, plain = train_teacher(tiny(teacher__epochs=1), examples, tmp_path / "b", quiet)
    assert "adversary" not in plain[0]


def test_the_chance_of_a_row_follows_the_sampling(examples):
    plain = BatchLoader(examples, "train", 50, "none", 0, CPU).row_chances()
    np.testing.assert_allclose(plain, np.full(400, 1 / 400))
    even = BatchLoader(examples, "train", 50, "none", 0, CPU, "class").row_chances()
    shown = np.bincount(examples.labels[examples.rows["train"]], even, 10)
    np.testing.assert_allclose(shown, np.full(10, 0.1))


def test_all_rows_of_a_split_come_in_order(examples):
    split = split_rows(examples, "train", CPU, 150)
    parts = list(split.images())
    assert [len(part) for part in parts] == [150, 150, 100]
    rows = examples.rows["train"]
    assert (torch.cat(parts).numpy() == examples.images[rows]).all()
    assert (split.labels.numpy() == examples.labels[rows]).all()
    assert (split.groups.numpy() == examples.groups[rows]).all()


def rows_of(**figures):
    """Rows of history with these validation figures."""
    return [
        {"epoch": at, **{f"validation_{name}": value for name, value in zip(figures, values, strict=True)}}
        for at, values in enumerate(zip(*figures.values(), strict=True), start=1)
    ]


@pytest.mark.parametrize(
    ("select", "kept"), [("accuracy", 1), ("balanced", 2), ("worst", 4), ("last", 5)], ids=lambda x: str(x)
)
def test_each_figure_keeps_its_epoch_and_equal_worst_cells_are_told_apart_by_the_mean(select, kept):
    rows = rows_of(
        accuracy=[0.9, 0.8, 0.7, 0.7, 0.6], balanced=[0.5, 0.9, 0.6, 0.7, 0.2], worst=[0.1, 0.2, 0.4, 0.4, 0.3]
    )
    assert max(rows, key=lambda row: score(row, select))["epoch"] == kept


def test_without_known_groups_accuracy_chooses():
    rows = rows_of(accuracy=[0.7, 0.9, 0.8], balanced=[math.nan] * 3, worst=[math.nan] * 3)
    for select in ("worst", "balanced"):
        assert max(rows, key=lambda row: score(row, select))["epoch"] == 2


def test_patience_counts_epochs_in_which_the_worst_cell_did_not_improve():
    rows = rows_of(accuracy=[0.5] * 4, balanced=[0.5, 0.6, 0.5, 0.55], worst=[0.2, 0.2, 0.2, 0.1])
    scores = [score(row, "worst") for row in rows]
    assert [should_stop_early(scores[:n], 2) for n in (2, 3, 4)] == [False, False, True]


def test_validation_gives_the_worst_cell_beside_the_mean(examples):
    model = create("cifar:resnet8", 10, 0)
    figures = make_validation(examples, CPU)(model)
    rows = examples.rows["validation"]
    predicted = outputs(model, examples.images, rows, CPU).logits.argmax(1).numpy()
    cells = {}
    for said, label, group in zip(predicted, examples.labels[rows], examples.groups[rows], strict=True):
        cells.setdefault((label, group), []).append(said == label)
    recalls = [np.mean(right) for right in cells.values()]
    assert figures["validation_worst"] == pytest.approx(min(recalls))
    assert figures["validation_balanced"] == pytest.approx(np.mean(recalls))


class Killed(Exception):
    """What ends a training between two epochs."""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["group-dro", "last-layer"])
def test_a_killed_training_ends_with_the_same_weights(examples, strategy, tmp_path, quiet, monkeypatch):
    recipe = tiny(strategy__name=strategy, loss__name="none", train__select="worst")
    teacher = create("cifar:resnet8", 10, 1)
    whole, history, _ = distil_student(recipe, examples, teacher, tmp_path / "whole", quiet)
    save = loop.save_checkpoint

    def save_and_die(*args):
        save(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_checkpoint", save_and_die)
        with pytest.raises(Killed):
            distil_student(recipe, examples, teacher, tmp_path / "killed", quiet)
    again, same, _ = distil_student(recipe, examples, teacher, tmp_path / "killed", quiet)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())
    assert history == same


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["last-layer", "logit-adjust", "afr"])
def test_a_finished_network_of_any_origin_is_changed_and_nothing_but_its_head(examples, strategy, tmp_path, quiet):
    before = create("cifar:resnet8", 10, 5)
    save_weights(before, tmp_path / "any.safetensors", 10)
    spec = f"file:{tmp_path / 'any.safetensors'}"
    small = {"draws": 1, "strengths": [0.1]} if strategy == "last-layer" else {}
    changes = {"student__spec": spec, "train__epochs": 0, "loss__name": "none"}
    changes |= {"strategy__name": strategy, "teacher__spec": spec, "teacher__strategy": {"name": strategy, **small}}
    changes |= {f"strategy__{name}": value for name, value in small.items()}
    recipe = tiny(**changes)
    dry_run(recipe, examples)
    student, history, _ = distil_student(recipe, examples, before, tmp_path / "s", quiet)
    teacher, _ = train_teacher(recipe, examples, tmp_path / "t", quiet)
    assert history == []
    for after in (student, teacher):
        changed = {
            name for name, value in before.state_dict().items() if not torch.equal(value, after.state_dict()[name])
        }
        assert changed == ({"backbone.head.bias"} if strategy == "logit-adjust" else HEAD)


HEAD = {"backbone.head.weight", "backbone.head.bias"}
