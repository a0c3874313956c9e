"""CTKD, KD++, FitNet, AT and MFD against numbers from the official code, and their curricula and projectors."""

import numpy as np
import pytest
import torch

from edgefair.errors import RecipeError
from edgefair.losses import LOSSES, LossContext
from edgefair.losses.at import attention_loss
from edgefair.losses.ctkd import CurriculumTemperature
from edgefair.losses.fitnet import Regressor, hint_loss
from edgefair.losses.kdpp import norm_direction_loss
from edgefair.losses.mfd import group_mmd
from edgefair.losses.soft_targets import soft_target_loss
from edgefair.recipe.losses import CtkdSettings, KdppSettings
from edgefair.tensors import Batch, Output


def tensor(array, grad=False):
    return torch.tensor(np.asarray(array), requires_grad=grad)


def test_ctkd_curriculum_equals_the_authors(vector):
    v = vector("ctkd")
    curriculum = CurriculumTemperature()
    got = [curriculum.strength(int(epoch)) for epoch in v["epochs"]]
    np.testing.assert_allclose(got, v["lambda_cos_loops10"], atol=1e-12)


def test_ctkd_loss_and_reversed_gradient_equal_the_authors(vector):
    v = vector("ctkd")
    for row, raw in enumerate(v["global_T_values"]):
        for column, strength in enumerate(v["lambda_values"]):
            curriculum = CurriculumTemperature().double()
            curriculum.raw.data.fill_(float(raw))
            curriculum.strength = lambda epoch, strength=strength: float(strength)
            student = tensor(v["logits_s"], grad=True)
            temperature = curriculum.temperature(1)
            loss = soft_target_loss(student, tensor(v["logits_t"]), temperature).squeeze()
            loss.backward()
            np.testing.assert_allclose(temperature.item(), v["temperature"][row], rtol=1e-10)
            np.testing.assert_allclose(loss.item(), v["kd_loss"][row], rtol=1e-9)
            np.testing.assert_allclose(student.grad, v["kd_grad_s"][row], atol=1e-10)
            np.testing.assert_allclose(
                curriculum.raw.grad.item(), v["global_T_grad_after_grl"][row, column], rtol=1e-6, atol=1e-12
            )


def test_ctkd_attenuated_temperature_falls():
    probe = Output(torch.zeros(2, 5), torch.zeros(2, 8))
    loss = LOSSES["ctkd"](
        CtkdSettings(schedule="attenuated", temperature=20, attenuation=0.5), LossContext(probe, probe, 5, 2)
    )
    seen = []
    for epoch in (1, 2, 5):
        loss.start_epoch(epoch)
        seen.append(loss.extra_metrics()["temperature"])
    assert seen == pytest.approx([20, 20 / 1.5, 20 / 3])
    assert list(loss.parameters()) == []


def test_kdpp_equals_the_authors(vector):
    v = vector("kdpp")
    student = tensor(v["emb_s"], grad=True)
    loss = norm_direction_loss(student, tensor(v["emb_t"]), tensor(v["labels"]), tensor(v["centers"]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), v["nd_loss_factor1"], rtol=1e-10)
    np.testing.assert_allclose(student.grad, v["nd_grad_s_factor1"], atol=1e-12)


def test_kdpp_of_zero_features_is_finite():
    student = torch.zeros(3, 4, requires_grad=True)
    loss = norm_direction_loss(student, torch.zeros(3, 4), torch.zeros(3, dtype=torch.long), torch.ones(1, 4))
    loss.backward()
    assert loss.item() == 1
    assert torch.isfinite(student.grad).all()


def test_kdpp_warm_up_turns_the_soft_target_on():
    random = torch.Generator().manual_seed(0)
    output = Output(torch.randn(4, 5, generator=random), torch.randn(4, 8, generator=random))
    teacher = Output(torch.randn(4, 5, generator=random), torch.randn(4, 8, generator=random))
    batch = Batch(torch.zeros(4, 3, 8, 8), torch.arange(4), torch.zeros(4, dtype=torch.long), torch.arange(4))
    loss = LOSSES["kdpp"](KdppSettings(kd_warmup_epochs=4), LossContext(output, teacher, 5, 2, torch.ones(5, 8)))
    values = []
    for epoch in (1, 3, 5, 9):
        loss.start_epoch(epoch)
        values.append(loss.terms(output, teacher, batch)["kd"].item())
    assert values[0] == 0
    assert values[1] == pytest.approx(values[2] / 2)
    assert values[2] == pytest.approx(values[3])


def test_fitnet_equals_repdistiller(vector):
    v = vector("fitnet")
    student = tensor(v["fs"], grad=True)
    loss = hint_loss(student, tensor(v["ft_same"]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), v["repdistiller_hint"], rtol=1e-10)
    np.testing.assert_allclose(student.grad, v["repdistiller_hint_grad_s"], atol=1e-12)


def test_fitnet_regressor_equals_mdistiller(vector):
    v = vector("fitnet")
    xs, xt = tensor(v["convreg_same__xs"], grad=True), tensor(v["convreg_same__xt"])
    regressor = Regressor(xs, xt).double().train()
    parameters = {name: tensor(v[f"convreg_same__param__{name}"]) for name in dict(regressor.named_parameters())}
    regressor.load_state_dict(parameters, strict=False)
    out = regressor(xs)
    loss = hint_loss(out, xt)
    loss.backward()
    np.testing.assert_allclose(out.detach(), v["convreg_same__out"], atol=1e-10)
    np.testing.assert_allclose(loss.item(), v["convreg_same__loss"], rtol=1e-10)
    np.testing.assert_allclose(xs.grad, v["convreg_same__grad_xs"], atol=1e-10)
    for name, parameter in regressor.named_parameters():
        np.testing.assert_allclose(parameter.grad, v[f"convreg_same__gradparam__{name}"], atol=1e-10)


@pytest.mark.parametrize(
    ("student", "teacher"), [((6, 8, 8), (10, 4, 4)), ((6, 4, 4), (10, 8, 8)), ((6, 7, 9), (10, 5, 5))]
)
def test_fitnet_regressor_reaches_the_teachers_shape(student, teacher):
    xs, xt = torch.zeros(2, *student), torch.zeros(2, *teacher)
    assert Regressor(xs, xt)(xs).shape == xt.shape


def test_shapes_that_do_not_fit_are_refused_with_both():
    with pytest.raises(RecipeError, match=r"\(6, 3, 3\) to the teacher's \(10, 8, 8\)"):
        Regressor(torch.zeros(2, 6, 3, 3), torch.zeros(2, 10, 8, 8))
    bare = Output(torch.zeros(2, 5), torch.zeros(2, 8))
    full = bare._replace(maps=(torch.zeros(2, 4, 4, 4),))
    missing = r"there are 0 \(student: none\) and 1 \(teacher: stage 0 \(4, 4, 4\)\)"
    for name, words in (("fitnet", "the student has 0 stage maps"), ("at", missing)):
        with pytest.raises(RecipeError, match=words):
            LOSSES[name](LOSSES[name].settings_class(), LossContext(bare, full, 5, 2))


def test_at_equals_the_authors(vector):
    v = vector("at")
    student = tensor(v["s0"], grad=True)
    loss = attention_loss(student, tensor(v["t0"]))
    loss.backward()
    np.testing.assert_allclose(loss.item(), v["szagoruyko_at_loss_0"], rtol=1e-10)
    np.testing.assert_allclose(student.grad, v["szagoruyko_grad_s0"], atol=1e-14)
    paper = attention_loss(tensor(v["s0"]), tensor(v["t0"]), form="paper")
    np.testing.assert_allclose(paper.item(), v["torchdistill_paper_0"], rtol=1e-10)


def test_at_pools_the_larger_map():
    student, teacher = torch.rand(2, 3, 8, 8), torch.rand(2, 5, 4, 4)
    assert attention_loss(student, teacher).isfinite()
    assert attention_loss(teacher, student).isfinite()
    with pytest.raises(RecipeError, match="'code' and 'paper'"):
        attention_loss(student, teacher, form="book")


def test_mfd_equals_the_authors(vector):
    v = vector("mfd")
    student = tensor(v["feat_s"], grad=True)
    sizes = (int(v["labels"].max()) + 1, 2)
    loss = 0.5 * group_mmd(student, tensor(v["feat_t"]), tensor(v["labels"]), tensor(v["groups"]), *sizes)
    loss.backward()
    np.testing.assert_allclose(loss.item(), v["rbf_w1_s1_loss"], rtol=1e-9)
    np.testing.assert_allclose(student.grad, v["rbf_w1_s1_grad_s"], atol=1e-11)


def test_mfd_equals_loops_over_cells_with_empty_ones_and_unknown_groups():
    random = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(30, 6, generator=random, dtype=torch.float64) for _ in range(2))
    labels, groups = torch.randint(3, (30,), generator=random), torch.randint(-1, 3, (30,), generator=random)
    groups[labels == 1] = torch.where(groups[labels == 1] == 2, 0, groups[labels == 1])
    known = groups >= 0
    mean = torch.cdist(teacher[known], student[known]).pow(2).mean()

    def kernel(a, b):
        return torch.exp(-torch.cdist(a, b).pow(2) / (2 * mean)).mean()

    expected = 0.0
    for c in range(3):
        for g in range(3):
            t, s = teacher[known & (labels == c)], student[(labels == c) & (groups == g)]
            if len(s):
                expected += kernel(t, t) + kernel(s, s) - 2 * kernel(t, s)
    torch.testing.assert_close(group_mmd(student, teacher, labels, groups, 3, 3), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["kdpp", "mfd"])
def test_a_projector_bridges_widths_and_learns(name):
    random = torch.Generator().manual_seed(0)
    student = Output(torch.randn(6, 5, generator=random), torch.randn(6, 8, generator=random))
    teacher = Output(torch.randn(6, 5, generator=random), torch.randn(6, 12, generator=random))
    batch = Batch(torch.zeros(6, 3, 8, 8), torch.arange(6) % 5, torch.arange(6) % 2, torch.arange(6))
    loss = LOSSES[name](LOSSES[name].settings_class(), LossContext(student, teacher, 5, 2, torch.ones(5, 12)))
    loss(student, teacher, batch).backward()
    assert all(p.grad is not None for p in loss.project.parameters())
