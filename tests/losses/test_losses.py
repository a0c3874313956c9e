"""Losses against numbers from the official code, and against formulas written out the slow way."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional

from edgefair.losses import rkd_angles as angles
from edgefair.losses.rkd import angle_loss, distance_loss
from edgefair.losses.soft_targets import soft_target_loss


def tensor(array, grad=False):
    return torch.tensor(np.asarray(array), requires_grad=grad)


def test_soft_target_equals_mdistiller(vector):
    v = vector("ckd")
    for row, temperature in enumerate(v["temperatures"]):
        student = tensor(v["logits_s"], grad=True)
        loss = soft_target_loss(student, tensor(v["logits_t"]), float(temperature))
        loss.backward()
        np.testing.assert_allclose(loss.item(), v["mdistiller_kd"][row], rtol=1e-10)
        np.testing.assert_allclose(student.grad, v["mdistiller_kd_grad_s"][row], atol=1e-12)


def test_soft_target_gradient_has_the_closed_form():
    random = torch.Generator().manual_seed(0)
    student = torch.randn(6, 4, generator=random, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(6, 4, generator=random, dtype=torch.float64)
    soft_target_loss(student, teacher, 3.0).backward()
    expected = 3.0 / 6 * (functional.softmax(student / 3, 1) - functional.softmax(teacher / 3, 1))
    torch.testing.assert_close(student.grad, expected.detach())


def test_soft_target_survives_extreme_logits():
    loss = soft_target_loss(torch.tensor([[1e4, -1e4]]), torch.tensor([[-1e4, 1e4]]), 1.0)
    assert loss.item() == pytest.approx(2e4)


@pytest.mark.parametrize(("name", "loss"), [("distance", distance_loss), ("angle", angle_loss)])
def test_rkd_equals_the_authors(vector, name, loss):
    v = vector("rkd")
    student = tensor(v["feat_s"], grad=True)
    value = loss(student, tensor(v["feat_t"]))
    value.backward()
    np.testing.assert_allclose(value.item(), v[f"lenscloth_{name}"], rtol=1e-9)
    np.testing.assert_allclose(student.grad, v[f"lenscloth_{name}_grad_s"], atol=1e-9)


def slow_angles(x):
    """Cosines by loops over all triples, from the definition."""
    n = len(x)
    result = torch.zeros(n, n, n, dtype=x.dtype)
    for i in range(n):
        for j in range(n):
            for k in range(n):
                a, b = x[j] - x[i], x[k] - x[i]
                result[i, j, k] = functional.normalize(a, dim=0) @ functional.normalize(b, dim=0)
    return result


def test_angles_equal_the_definition_also_with_coincident_rows():
    random = torch.Generator().manual_seed(1)
    student = torch.randn(7, 5, generator=random, dtype=torch.float64)
    student[3] = student[1]
    teacher = torch.randn(7, 9, generator=random, dtype=torch.float64)
    expected = functional.smooth_l1_loss(slow_angles(student), slow_angles(teacher))
    torch.testing.assert_close(angle_loss(student, teacher), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_rkd_ignores_a_common_offset_in_single_precision(loss):
    random = torch.Generator().manual_seed(2)
    student, teacher = torch.randn(16, 8, generator=random), torch.randn(16, 12, generator=random)
    torch.testing.assert_close(loss(student + 1000, teacher), loss(student, teacher), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_rkd_has_finite_gradients_for_equal_rows_and_for_one_row(loss):
    for rows in (1, 4):
        student = torch.ones(rows, 3, requires_grad=True)
        value = loss(student, torch.randn(rows, 5, generator=torch.Generator().manual_seed(0)))
        value.backward()
        assert torch.isfinite(value)
        assert torch.isfinite(student.grad).all()


def test_rkd_of_a_network_and_itself_is_zero():
    x = torch.randn(9, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert distance_loss(x, x).item() == 0
    assert angle_loss(x, x).item() == 0
    assert distance_loss(3 * x, x).item() == pytest.approx(0, abs=1e-20)


def plain_angles(student, teacher):
    """The authors' form, with a B x B x D tensor."""
    cosines = []
    for x in (student, teacher):
        apart = x[None] - x[:, None]  # [B, B, D]
        length = (apart.square().sum(2, keepdim=True) + torch.eye(len(x), dtype=x.dtype)[..., None]).sqrt()
        e = apart / length  # a point is not apart from itself: 0 / 1, with a second derivative
        cosines.append(e @ e.transpose(1, 2))
    return functional.smooth_l1_loss(*cosines)


def points(rows, width, seed):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=random, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("held", [2**18, 500], ids=["at once", "in parts"])
def test_angles_and_their_first_and_second_derivatives_equal_the_plain_form(monkeypatch, held):
    monkeypatch.setitem(angles._CHUNK, "cpu", held)
    student, teacher = points(18, 7, 0), points(18, 11, 1)
    results = []
    for loss in (angle_loss, plain_angles):
        value = loss(student, teacher)
        first = torch.autograd.grad(value, (student, teacher), create_graph=True)
        # What BIRD differentiates: a product with the gradient in the student, by the teacher.
        second = torch.autograd.grad((first[0] * student.detach().sin()).sum(), (student, teacher))
        results.append((value.detach(), *(g.detach() for g in first), *second))
        results[-1] += torch.autograd.grad(loss(student, teacher), (student, teacher))  # not to be differentiated again
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-13)


def test_angles_with_one_side_that_needs_no_gradient():
    student, teacher = points(6, 4, 0), points(6, 4, 1)
    both = torch.autograd.grad(angle_loss(student, teacher), (student, teacher))
    for index, parts in enumerate(((student, teacher.detach()), (student.detach(), teacher))):
        (alone,) = torch.autograd.grad(angle_loss(*parts), parts[index])
        torch.testing.assert_close(alone, both[index])


MEMORY = """
import resource
import torch
from edgefair.losses.rkd import angle_loss

def step(rows, width):
    student = torch.randn(rows, width, requires_grad=True)
    angle_loss(student, torch.randn(rows, width)).backward()

step(8, 16)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
step(256, 1280)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
def test_angles_of_a_large_batch_stay_within_300_mib():
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 300
