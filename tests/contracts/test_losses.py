"""What every loss in the table must do."""

import pytest
import torch

from edgefair.losses import LOSSES, LossContext
from edgefair.tensors import Batch, Output

every_loss = pytest.mark.parametrize("name", sorted(LOSSES))


def outputs(rows, classes=5, width=8, seed=0, grad=False):
    random = torch.Generator().manual_seed(seed)
    dtype = torch.float32
    logits = torch.randn(rows, classes, generator=random).to(dtype).requires_grad_(grad)
    features = torch.randn(rows, width, generator=random).to(dtype).requires_grad_(grad)
    sizes = ((width, 8), (2 * width, 4))
    maps = tuple(torch.randn(rows, k, hw, hw, generator=random).to(dtype).requires_grad_(grad) for k, hw in sizes)
    return Output(logits, features, maps)


def batch_of(rows, classes=5, groups=2, seed=0):
    random = torch.Generator().manual_seed(seed)
    labels, group = (torch.randint(high, (rows,), generator=random) for high in (classes, groups))
    return Batch(torch.zeros(rows, 3, 8, 8, dtype=torch.uint8), labels, group, torch.arange(rows))


def make(name, student, teacher):
    torch.manual_seed(0)
    means = torch.randn(5, teacher.features.shape[1], generator=torch.Generator().manual_seed(9))
    loss = LOSSES[name](LOSSES[name].settings_class(), LossContext(student, teacher, 5, 2, means))
    loss.start_epoch(3)
    return loss.eval()  # projectors hold dropout


@every_loss
def test_gradient_reaches_the_student(name):
    student, teacher = outputs(6, grad=True), outputs(6, width=12, seed=1)
    loss = make(name, student, teacher)(student, teacher, batch_of(6))
    assert loss.ndim == 0
    assert torch.isfinite(loss)
    loss.backward()
    assert student.logits.grad.abs().sum() > 0


@every_loss
def test_a_gated_teacher_keeps_its_gradient(name):
    student, teacher = outputs(6, grad=True), outputs(6, width=12, seed=1, grad=True)
    loss = make(name, student, teacher)(student, teacher, batch_of(6))
    parts = (teacher.logits, teacher.features, *teacher.maps)
    reached = torch.autograd.grad(loss, parts, allow_unused=True)
    assert any(part is not None for part in reached) == (name != "none")


@every_loss
def test_terms_add_up_to_the_loss(name):
    student, teacher, batch = outputs(6), outputs(6, seed=1), batch_of(6)
    loss = make(name, student, teacher)
    torch.testing.assert_close(sum(loss.terms(student, teacher, batch).values()), loss(student, teacher, batch))


@every_loss
@pytest.mark.parametrize("rows", [1, 2])
def test_small_batches_are_finite(name, rows):
    student, teacher = outputs(rows, grad=True), outputs(rows, seed=1)
    loss = make(name, student, teacher)(student, teacher, batch_of(rows))
    loss.backward()
    assert torch.isfinite(student.features.grad if student.features.grad is not None else loss).all()


@every_loss
def test_order_of_rows_does_not_matter(name):
    student, teacher, batch = outputs(7), outputs(7, width=12, seed=1), batch_of(7)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(5))
    shuffled = [Output(o.logits[order], o.features[order], tuple(m[order] for m in o.maps)) for o in (student, teacher)]
    loss = make(name, student, teacher)
    other = loss(*shuffled, batch.at(order))
    torch.testing.assert_close(other, loss(student, teacher, batch))


@every_loss
def test_bf16_autocast_is_close_to_single(name):
    student, teacher, batch = outputs(6), outputs(6, seed=1), batch_of(6)
    loss = make(name, student, teacher)
    with torch.autocast("cpu", torch.bfloat16):
        half = loss(student, teacher, batch)
    torch.testing.assert_close(half.float(), loss(student, teacher, batch), rtol=0.05, atol=0.05)
