"""The adversary: gradient reversal against stored numbers, and what lambda and conditioning do."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgefair.data import load_examples
from edgefair.errors import RecipeError
from edgefair.losses.gradient_reversal import reverse_gradient
from edgefair.models import create
from edgefair.strategies.adversarial import projected
from edgefair.strategies.adversary import Adversary
from edgefair.training.assemble import TrainingSettings, build_training
from tests.helpers.recipes import tiny


def test_reversal_equals_the_stored_gradient(vector):
    v = vector("adversarial")
    z = torch.tensor(v["grl_z"], requires_grad=True)
    logits = reverse_gradient(z, 2.0) @ torch.tensor(v["grl_w"])
    loss = functional.cross_entropy(logits, torch.tensor(v["grl_groups"]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), v["grl_loss"], rtol=1e-10)
    np.testing.assert_allclose(z.grad, v["grl_grad_z_lambda2"], atol=1e-12)
    np.testing.assert_allclose(z.grad, -2 * v["nogrl_grad_z"], atol=1e-12)


def one_step(quiet, **changes):
    published = {"strategy__estimate": "batch"}
    recipe = tiny(strategy__name="adversarial", loss__name="none", **(published | changes))
    examples = load_examples(recipe.data, 0, quiet)
    student = create("cifar:resnet8", 10, 0)
    made, feed = build_training(TrainingSettings.of(recipe), examples, student, None, 0, torch.device("cpu"))
    return made, next(feed.epoch(1))


def gradients(made, batch, lam):
    """Gradient of the student for L_task - lam * L_adv, by the reversal and by hand."""
    parameters = list(made.context.student.parameters())
    student, terms = made.forward(batch)
    by_reversal = torch.autograd.grad(sum(terms.values()) + made.adversary_loss(student, batch, lam), parameters)
    student, terms = made.forward(batch)
    plain = -1.0  # a reversal of strength -1 is no reversal
    by_hand = torch.autograd.grad(sum(terms.values()) - lam * made.adversary_loss(student, batch, plain), parameters)
    return by_reversal, by_hand


@pytest.mark.parametrize("source", ["logits", "features"])
@pytest.mark.parametrize("conditional", [True, False])
def test_the_student_descends_task_minus_lambda_adversary(quiet, source, conditional):
    made, batch = one_step(quiet, strategy__adversary_input=source, strategy__conditional=conditional)
    made.context.student.eval()  # the two passes must see the same normalisation
    for a, b in zip(*gradients(made, batch, 0.7), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_lambda_zero_leaves_the_student_as_plain_training_does(quiet):
    made, batch = one_step(quiet, strategy__lam=0.0)
    plain, _ = one_step(quiet, strategy__lam=0.0)
    made.step(batch)
    _, terms = plain.forward(batch)
    plain.backward_and_step(terms)
    for a, b in zip(made.context.student.parameters(), plain.context.student.parameters(), strict=True):
        assert torch.equal(a, b)


def test_reported_loss_is_the_objective(quiet):
    made, batch = one_step(quiet, strategy__lam=0.5)
    values = made.step(batch)
    assert values["loss"] == pytest.approx(values["ce"] - 0.5 * values["adversary"], abs=1e-5)


def test_more_adversary_steps_make_a_better_adversary(quiet):
    losses = {}
    for steps in (1, 20):
        made, batch = one_step(quiet, strategy__adversary_steps=steps, strategy__lam=0.0, strategy__adversary_lr=0.01)
        for _ in range(3):
            losses[steps] = made.step(batch)["adversary"]
    assert losses[20] < losses[1]


def test_conditional_adversary_uses_the_head_of_the_label():
    torch.manual_seed(0)
    adversary = Adversary(width=4, hidden=8, num_classes=3, outputs=2, conditional=True)
    z = torch.randn(1, 4).repeat(3, 1)
    guesses = adversary(z, torch.arange(3))
    assert guesses.shape == (3, 2)
    assert not torch.equal(guesses[0], guesses[1])
    blind = Adversary(width=4, hidden=8, num_classes=3, outputs=2, conditional=False)
    assert torch.equal(*blind(z[:2], torch.tensor([0, 2])))


def test_rows_of_unknown_group_do_not_reach_the_adversary(quiet):
    made, batch = one_step(quiet)
    groups = batch.groups.clone()
    groups[::2] = -1
    made.context.student.eval()
    student, _ = made.forward(batch)
    partly = made.adversary_loss(student, batch._replace(groups=groups), 1.0)
    kept = batch.at(slice(1, None, 2))
    student, _ = made.forward(kept)
    torch.testing.assert_close(partly, made.adversary_loss(student, kept, 1.0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", ["projection", "confusion"])
def test_other_forms_move_the_student_and_stay_finite(quiet, form):
    made, batch = one_step(quiet, strategy__form=form)
    before = made.context.student.backbone.head.weight.detach().clone()
    for _ in range(3):
        values = made.step(batch)
    assert all(value == value for value in values.values())
    assert not torch.equal(before, made.context.student.backbone.head.weight)


def test_projection_is_orthogonal_and_safe_at_zero():
    random = torch.Generator().manual_seed(0)
    task, adversary = (torch.randn(4, 6, generator=random, dtype=torch.float64) for _ in range(2))
    kept = projected(task, adversary, 0.0)
    assert (kept * adversary).sum().abs() < 1e-12
    torch.testing.assert_close(projected(task, adversary, 0.3), kept - 0.3 * adversary)
    torch.testing.assert_close(projected(task, torch.zeros_like(task), 0.3), task)


def test_the_projection_step_equals_zhangs_formula(quiet):
    made, batch = one_step(quiet, strategy__form="projection", strategy__lam=0.4, train__lr=1e-3)
    twin, _ = one_step(quiet, strategy__form="projection", strategy__lam=0.4, train__lr=1e-3)
    twin.adversary.load_state_dict(made.adversary.state_dict())
    frozen, _ = twin.forward(batch)
    frozen = type(frozen)(frozen.logits.detach(), frozen.features.detach())
    for _ in range(3):  # the adversary's own steps come first
        twin.adversary_optimizer.zero_grad()
        twin.adversary_loss(frozen, batch, 0.0).backward()
        twin.adversary_optimizer.step()
    student, terms = twin.forward(batch)
    weight = twin.context.student.backbone.head.weight
    g_task = torch.autograd.grad(sum(terms.values()), weight, retain_graph=True)[0]
    g_adv = torch.autograd.grad(twin.adversary_loss(student, batch, -1.0), weight)[0]
    expected = g_task - (g_task * g_adv).sum() / (g_adv * g_adv).sum() * g_adv - 0.4 * g_adv
    made.step(batch)
    torch.testing.assert_close(made.context.student.backbone.head.weight.grad, expected, rtol=1e-3, atol=1e-6)


def test_confusion_is_least_where_groups_cannot_be_told_apart(quiet):
    made, batch = one_step(quiet, strategy__form="confusion")
    student, _ = made.forward(batch)
    uniform = torch.log(torch.tensor(2.0))
    assert made.confusion_loss(student, batch) >= uniform
    for parameter in made.adversary.head.parameters():
        parameter.data.zero_()
    torch.testing.assert_close(made.confusion_loss(student, batch), uniform)


def test_class_weights_choose_whose_gap_counts(quiet):
    made, batch = one_step(quiet, strategy__class_weights={"circle": 1e9})
    made.context.student.eval()
    student, _ = made.forward(batch)
    circles = batch.labels == 4
    only = batch.at(circles)
    expected = made.adversary_loss(type(student)(student.logits[circles], student.features[circles]), only, 1.0)
    torch.testing.assert_close(made.adversary_loss(student, batch, 1.0), expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(RecipeError, match="did you mean 'circle'"):
        one_step(quiet, strategy__class_weights={"cirlce": 2.0})


def soft_step(quiet, shares, **changes):
    """A strategy that guesses a continuous attribute, and a batch with it."""
    made, batch = one_step(quiet, strategy__target="soft_group", **changes)
    return made, batch._replace(soft_groups=shares[: len(batch.ids)])


SHARES = torch.rand(64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("form", ["reversal", "projection", "confusion"])
def test_a_continuous_attribute_is_guessed_by_squared_error(quiet, form):
    shares = SHARES.clone()
    shares[::3] = float("nan")  # unknown
    made, batch = soft_step(quiet, shares, strategy__form=form)
    made.context.student.eval()
    student, _ = made.forward(batch)
    known = ~torch.isnan(batch.soft_groups)
    guess = torch.sigmoid(made.adversary(student.logits, batch.labels))[known, 0]
    expected = functional.mse_loss(guess, batch.soft_groups[known])
    torch.testing.assert_close(made.adversary_loss(student, batch, 1.0), expected)
    values = made.step(batch)
    assert all(np.isfinite(value) for value in values.values())


def test_the_student_descends_task_minus_lambda_squared_error(quiet):
    made, batch = soft_step(quiet, SHARES)
    made.context.student.eval()
    for a, b in zip(*gradients(made, batch, 0.7), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_an_adversary_that_says_nothing_is_fully_confused(quiet):
    made, batch = soft_step(quiet, SHARES, strategy__form="confusion")
    torch.nn.init.zeros_(made.adversary.head.weight)
    torch.nn.init.zeros_(made.adversary.head.bias)
    assert made.confusion_loss(made.forward(batch)[0], batch).item() == pytest.approx(0, abs=1e-12)
