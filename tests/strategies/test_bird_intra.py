"""BIRD's meta-gradient against stored numbers and the double backward; intra-processing's multiplier and critic."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgefair.models import create
from edgefair.strategies.bird import group_loss_gap, meta_gradient
from edgefair.strategies.intra import Critic, batch_disparity, objective_multiplier
from edgefair.tensors import Output
from tests.helpers.double_backward import double_backward


class TinyNetwork(nn.Module):
    """The tanh MLP of the stored vector."""

    def __init__(self, v):
        super().__init__()
        self.W1, self.b1, self.W2, self.b2 = (nn.Parameter(torch.tensor(v[name])) for name in ("W1", "b1", "W2", "b2"))

    def forward(self, x):
        features = torch.tanh(x @ self.W1.T + self.b1)
        return Output(features @ self.W2.T + self.b2, features)


def test_bird_equals_the_stored_step(vector):
    v = vector("bird_derived")
    x, y, g = (torch.tensor(v[f"{name}_train"]) for name in "xyg")
    xm, ym, gm = (torch.tensor(v[f"{name}_meta"]) for name in "xyg")
    teacher, alpha = torch.tensor(v["teacher_feat"]), float(v["alpha"])
    phi = torch.tensor(v["phi"], requires_grad=True)
    student = TinyNetwork(v)

    def inner(output):
        distance = functional.mse_loss(output.features, torch.sigmoid(phi) * teacher)
        return alpha * distance + (1 - alpha) * functional.cross_entropy(output.logits, y)

    def outer(output):
        return group_loss_gap(output.logits, ym, gm, 2)

    np.testing.assert_allclose(inner(student(x)).item(), v["L_in"], rtol=1e-10)
    np.testing.assert_allclose(outer(student(xm)).item(), v["L_o_before"], rtol=1e-10)
    (gradient,) = meta_gradient(student, inner, outer, [phi], x, xm, float(v["mu1"]))
    np.testing.assert_allclose(gradient, v["meta_grad_phi"], rtol=1e-8, atol=1e-14)
    after = phi.detach() - float(v["mu2"]) * gradient
    np.testing.assert_allclose(after, v["phi_after"], rtol=1e-10)
    phi.data = after
    joint = inner(student(x)) + float(v["lam"]) * group_loss_gap(student(x).logits, y, g, 2)
    joint.backward()
    np.testing.assert_allclose(joint.item(), v["L_joint"], rtol=1e-10)
    for name in ("W1", "b1", "W2", "b2"):
        np.testing.assert_allclose(getattr(student, name).grad, v[f"gj_{name}"], atol=1e-12)


@pytest.mark.parametrize("spec", ["cifar:resnet8", "timm:resnet10t"])
def test_meta_gradient_equals_the_double_backward_in_train_mode(spec):
    student = create(spec, 4, 0).train()
    random = torch.Generator().manual_seed(0)
    images, meta = (torch.randint(0, 256, (12, 3, 32, 32), dtype=torch.uint8, generator=random) for _ in range(2))
    labels, groups = torch.arange(12) % 4, torch.arange(12) // 4 % 2
    width = create(spec, 4, 0).eval()(images).features.shape[1]
    teacher = torch.randn(12, width, generator=random)
    phi = torch.randn(width, generator=random).requires_grad_()
    before = {name: buffer.clone() for name, buffer in student.named_buffers()}

    def inner(output):
        distance = functional.mse_loss(output.features, torch.sigmoid(phi) * teacher)
        return distance + functional.cross_entropy(output.logits, labels)

    def outer(output):
        return group_loss_gap(output.logits, labels, groups, 2)

    (got,) = meta_gradient(student, inner, outer, [phi], images, meta, 0.05)
    expected = double_backward(student, inner, outer, phi, images, meta, 0.05)
    assert (got - expected).norm() < 1e-5 * expected.norm()
    assert all(torch.equal(before[name], buffer) for name, buffer in student.named_buffers())


def test_group_loss_gap_skips_empty_cells_and_unknown_groups():
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0], [1.0, 1.0], [5.0, -5.0]])
    labels, groups = torch.tensor([0, 0, 1, 0]), torch.tensor([0, 1, 0, -1])
    a, b = (functional.cross_entropy(logits[i : i + 1], labels[i : i + 1]) for i in (0, 1))
    expected = (torch.stack([a, b]) - (a + b) / 2).abs().max()  # class 1 is seen in one group: gap 0
    torch.testing.assert_close(group_loss_gap(logits, labels, groups, 2), expected)
    assert group_loss_gap(logits, labels, torch.full_like(groups, -1), 2) == 0


def test_multiplier_equals_the_stored_rows(vector):
    rows = torch.tensor(vector("adversarial")["ip_objective_rows_lam_bias_eps_margin_multiplier"])
    got = [objective_multiplier(bias, lam.item(), eps.item(), margin.item()) for lam, bias, eps, margin, _ in rows]
    torch.testing.assert_close(torch.stack(got), rows[:, 4])


def test_batch_disparity_skips_classes_seen_in_one_group():
    logits = torch.tensor([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]])
    labels = torch.tensor([0, 0, 1])
    assert batch_disparity(logits, labels, torch.tensor([0, 1, 0]), 2).item() == pytest.approx(0.5)
    assert batch_disparity(logits, labels, torch.tensor([0, 0, 0]), 2) is None
    assert batch_disparity(logits, labels, torch.tensor([-1, 1, 0]), 2) is None


def test_the_critics_gradient_reaches_every_row_of_any_batch():
    torch.manual_seed(0)
    critic = Critic(3, 2, 16)
    for rows in (3, 8):
        logits = torch.randn(rows, 3, requires_grad=True)
        critic(logits, torch.arange(rows) % 3, torch.arange(rows) % 2).backward()
        assert (logits.grad.abs().sum(1) > 0).all()
