"""BIRD: Java, Jandial, Agarwal, "Towards fair knowledge distillation using student feedback".

A gate sigmoid(phi) on the teacher's features is learned from the student: after one imagined step of the student, how
fair is it on meta rows? The paper leaves much open; phi is unconstrained here and begins near the identity.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from edgefair.models.parallel import SINGLE_PROCESS, ProcessGroup
from edgefair.recipe.strategies import BirdSettings
from edgefair.strategies.base import StepContext, Strategy
from edgefair.strategies.cell_averages import CellAverages, running_gap_loss
from edgefair.strategies.cell_sums import cell_sums
from edgefair.strategies.gradient_cap import GradientCap
from edgefair.tensors import Batch, Output, add


def group_loss_gap(logits: Tensor, labels: Tensor, groups: Tensor, num_groups: int) -> Tensor:
    """L_o = sum over classes i of max over groups j of |CE(class i, group j) - CE(class i)| (the paper's regulariser).

    logits [B, C]; labels, groups [B] below num_groups, group -1 left out; cells without rows are skipped.
    """
    loss = functional.cross_entropy(logits, labels, reduction="none")  # [B]
    total, count = cell_sums(loss, labels, groups, logits.shape[1], num_groups)  # [C, G]
    of_cell = total / count.clamp(min=1)  # [C, G]
    of_class = total.sum(1) / count.sum(1).clamp(min=1)  # [C]
    gap = (of_cell - of_class[:, None]).abs().masked_fill(count == 0, 0)
    return gap.amax(dim=1).sum()


def meta_gradient(
    student: nn.Module,
    inner: Callable[[Output], Tensor],
    outer: Callable[[Output], Tensor],
    phi: Sequence[Tensor],
    images: Tensor,
    meta_images: Tensor,
    step_size: float,
    processes: ProcessGroup = SINGLE_PROCESS,
) -> list[Tensor]:
    """d L_outer(theta') / d phi with theta' = theta - step_size * d inner / d theta, exact, without double backward.

    inner maps the student's Output on `images` [B, 3, S, S] to the inner loss, which depends on phi; outer maps its
    Output on `meta_images` to the outer loss. With v = d L_outer / d theta' and J the student's Jacobian,

        d L_outer / d phi = - step_size * d / d phi < d inner / d output, J v >,

    and J v is one forward-mode pass. Returns a tensor shaped as each phi; zeros where inner does not depend on it.
    Buffers (batch statistics) of the student are not touched. The student's parameters must all be differentiable.
    With several `processes` each runs its rows through the student; inner and outer see all of them.
    """
    names, weights = zip(*((name, p) for name, p in student.named_parameters() if p.requires_grad), strict=True)

    def run(values: Sequence[Tensor], x: Tensor) -> tuple[Tensor, ...]:
        buffers = {name: buffer.clone() for name, buffer in student.named_buffers()}
        state = {**dict(zip(names, values, strict=True)), **buffers}
        with processes.sharded_forward(len(x), x.device):
            return _flat(functional_call(student, state, (processes.local_shard(x),)))

    theta = [w.detach().requires_grad_() for w in weights]
    output = processes.gather(run(theta, images), len(images))  # logits [B, C], features [B, D], maps [B, K, H, W]
    # The loss is asked once, outside the network: its gradient at the output gives both the inner step and what phi
    # does.
    leaves = [part.detach().requires_grad_() for part in output]
    inner_grad = torch.autograd.grad(inner(_output(leaves)), leaves, create_graph=True, allow_unused=True)
    if not _depends([grad for grad in inner_grad if grad is not None], phi):
        return [torch.zeros_like(p) for p in phi]
    theta_prime = _inner_step(theta, output, inner_grad, step_size, processes)
    meta_output = processes.gather(run(theta_prime, meta_images), len(meta_images))
    outer_grad = processes.all_reduce(torch.autograd.grad(outer(_output(meta_output)), theta_prime, allow_unused=True))
    v = tuple(torch.zeros_like(w) if g is None else g for w, g in zip(theta_prime, outer_grad, strict=True))
    jvp_outputs = _forward_mode(lambda *values: run(values, images), tuple(w.detach() for w in theta), v)
    jvp_outputs = processes.gather(jvp_outputs, len(images))  # J v, shaped as output
    inner_product = add((g * jv).sum() for g, jv in zip(inner_grad, jvp_outputs, strict=True) if g is not None)
    gradients = torch.autograd.grad(inner_product, list(phi), allow_unused=True)
    return [torch.zeros_like(p) if g is None else -step_size * g for p, g in zip(phi, gradients, strict=True)]


def _inner_step(
    theta: list[Tensor],
    output: Sequence[Tensor],
    inner_grad: Sequence[Tensor | None],
    step_size: float,
    processes: ProcessGroup,
) -> list[Tensor]:
    """theta' = theta - step_size * d inner / d theta, from the inner loss's gradient at the student's output."""
    reached = [(part, grad.detach()) for part, grad in zip(output, inner_grad, strict=True) if grad is not None]
    parts, grads = zip(*reached, strict=True)
    theta_grad = processes.all_reduce(torch.autograd.grad(parts, theta, grads, allow_unused=True))
    moved = [w.detach() if g is None else w.detach() - step_size * g for w, g in zip(theta, theta_grad, strict=True)]
    return [w.requires_grad_() for w in moved]


def _depends(gradients: Sequence[Tensor], phi: Sequence[Tensor]) -> bool:
    """Whether any gradient depends on phi: a loss that does not look at what is gated has nothing to teach the gate."""
    differentiable = [gradient.sum() for gradient in gradients if gradient.requires_grad]
    if not differentiable:
        return False
    gradients_phi = torch.autograd.grad(add(differentiable), list(phi), retain_graph=True, allow_unused=True)
    return any(part is not None for part in gradients_phi)


def _forward_mode(run: Callable, theta: tuple[Tensor, ...], v: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """J v: the change of every output of `run` at theta, per unit of moving theta along v."""
    # Of attention's kernels only the plain one has forward-mode rules.
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        # torch loads its forward-mode rules through torch.jit.script, and warns of that once.
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
        return tuple(part.detach() for part in jvp(run, theta, v)[1])


def _flat(output: Output) -> tuple[Tensor, ...]:
    return (output.logits, output.features, *(output.maps or ()))


def _output(parts: Sequence[Tensor]) -> Output:
    return Output(parts[0], parts[1], tuple(parts[2:]) or None)


class FeatureGate(nn.Module):
    """sigmoid(phi) on every teacher feature, and on every channel of its maps where the loss compares maps."""

    def __init__(self, teacher: Output, maps: bool, start: float):
        super().__init__()
        widths = [teacher.features.shape[1], *(part.shape[1] for part in (teacher.maps or ()) if maps)]
        self.phi = nn.ParameterList(torch.full((width,), float(start)) for width in widths)

    def forward(self, teacher: Output) -> Output:
        features = teacher.features * torch.sigmoid(self.phi[0])
        gates = [torch.sigmoid(phi)[:, None, None] for phi in self.phi[1:]]
        maps = teacher.maps
        if maps and gates:
            maps = tuple(part * gate for part, gate in zip(maps, gates, strict=True))
        return teacher._replace(features=features, maps=maps)


class Bird(Strategy):
    """L = L_task(gated teacher) + lambda * L_o; the gate follows the meta-gradient after `warmup_epochs`."""

    settings_class = BirdSettings
    settings: BirdSettings

    def __init__(self, context: StepContext):
        super().__init__(context)
        settings = self.settings
        self.gate: FeatureGate | None = None
        if context.teacher_probe is not None:
            self.gate = FeatureGate(context.teacher_probe, context.loss.needs_maps, settings.gate_start).to(self.device)
        self.running: nn.ModuleDict | None = None
        if settings.estimate == "running":
            sizes = (context.probe.logits.shape[1], context.num_groups, settings.memory)
            parts = {"train_rows": CellAverages(*sizes), "meta_rows": CellAverages(*sizes), "cap": GradientCap()}
            self.running = nn.ModuleDict(parts).to(self.device)
        self.epoch = 1

    @property
    def objective(self) -> str:
        return (
            f"bird: L = L_task(gated teacher) + lambda * L_o, lambda = {self.settings.lam:g}; L_o is the "
            "sum over classes of the largest gap between a group's cross-entropy and the class's."
        )

    def extra_modules(self) -> dict[str, nn.Module]:
        parts = {"gate": self.gate, "running": self.running}
        return {name: part for name, part in parts.items() if part is not None}

    def start_epoch(self, epoch: int) -> None:
        super().start_epoch(epoch)
        self.epoch = epoch

    def step(self, batch: Batch) -> dict[str, float]:
        settings, teacher = self.settings, self.teacher_output(batch)
        if teacher is None or self.gate is None:
            student, terms = self.student_terms(batch, teacher)
        else:
            if settings.meta and self.epoch > settings.warmup_epochs:
                self._meta_step(self.gate, batch, teacher)
            # phi follows the meta-gradient alone, so the joint step asks for no gradient of the gate.
            with torch.no_grad():
                gated = self.gate(teacher)
            student, terms = self.student_terms(batch, gated)
        gap, lam = self._gap(student.logits, batch, "train_rows"), settings.lam
        if self.running is not None:
            lam = self.capped(cast("GradientCap", self.running["cap"]), lam, terms, gap)
        values = self.backward_and_step(terms, extra={"group_gap": lam * gap})
        if self.gate is not None:
            values["gate"] = float(torch.cat([torch.sigmoid(p.detach()) for p in self.gate.phi]).mean())
        return values

    def _gap(self, logits: Tensor, batch: Batch, rows: str) -> Tensor:
        """L_o of a batch, as published, or by running means of the cells' losses over "train_rows" or "meta_rows"."""
        if self.running is None:
            return group_loss_gap(logits, batch.labels, batch.groups, self.context.num_groups)
        averages = cast("CellAverages", self.running[rows])
        loss = functional.cross_entropy(logits, batch.labels, reduction="none")
        averages.update(loss, batch.labels, batch.groups)
        return running_gap_loss(loss, batch.labels, batch.groups, averages.gaps())

    def _meta_step(self, gate: FeatureGate, batch: Batch, teacher: Output) -> None:
        assert self.context.meta is not None  # whoever trains with a gate gives meta rows
        settings, loss, meta = self.settings, self.context.loss, self.context.meta(self.global_step)

        def inner(output: Output) -> Tensor:
            return add(loss.terms(output, gate(teacher), batch).values())

        def outer(output: Output) -> Tensor:
            return self._gap(output.logits, meta, "meta_rows")

        phi = list(gate.phi)
        student, processes = self.context.student, self.context.processes
        gradients = meta_gradient(student, inner, outer, phi, batch.images, meta.images, settings.inner_lr, processes)
        with torch.no_grad():
            for parameter, gradient in zip(phi, gradients, strict=True):
                parameter -= settings.meta_lr * gradient
