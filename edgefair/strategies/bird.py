"""BIRD: Java, Jandial, Agarwal, "Towards fair knowledge distillation using student feedback".

A gate sigmoid(phi) on the teacher's features is learned from the student: after one imagined step of the student, how
fair is it on meta rows? The paper leaves much open; phi is unconstrained here and begins near the identity.
"""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from edgefair.models.parallel import ALONE, Ranks
from edgefair.recipe.strategies import BirdSettings
from edgefair.strategies.base import Parts, Strategy
from edgefair.strategies.cell_sums import cell_sums
from edgefair.tensors import Batch, Output


def group_loss_gap(logits: Tensor, labels: Tensor, groups: Tensor, num_groups: int) -> Tensor:
    """L_o = sum over classes i of max over groups j of |CE(class i, group j) - CE(class i)| (the paper's regulariser).

    logits [B, C]; labels, groups [B], group -1 left out; cells without rows are skipped.
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
    ranks: Ranks = ALONE,
) -> list[Tensor]:
    """d L_outer(theta') / d phi with theta' = theta - step_size * d inner / d theta, exact, without double backward.

    inner maps the student's Output on `images` to the inner loss, which depends on phi; outer maps its Output on
    `meta_images` to the outer loss. With v = d L_outer / d theta' and J the student's Jacobian,

        d L_outer / d phi = - step_size * d / d phi < d inner / d output, J v >,

    and J v is one forward-mode pass. Returns a tensor shaped as each phi; zeros where inner does not depend on it.
    Buffers (batch statistics) of the student are not touched. The student's parameters must all be differentiable.
    With several `ranks` each runs its rows through the student; inner and outer see all of them.
    """
    names, weights = zip(*((name, p) for name, p in student.named_parameters() if p.requires_grad), strict=True)

    def run(values: Sequence[Tensor], x: Tensor) -> tuple[Tensor, ...]:
        buffers = {name: buffer.clone() for name, buffer in student.named_buffers()}
        state = {**dict(zip(names, values, strict=True)), **buffers}
        with ranks.part(len(x), x.device):
            return _flat(functional_call(student, state, (ranks.mine(x),)))

    theta = [w.detach().requires_grad_() for w in weights]
    output = ranks.gather(run(theta, images), len(images))
    # The loss is asked once, outside the network: its slopes at the output give both the inner step and what phi does.
    leaves = [part.detach().requires_grad_() for part in output]
    slopes = torch.autograd.grad(inner(_output(leaves)), leaves, create_graph=True, allow_unused=True)
    reached = [(part, slope) for part, slope in zip(output, slopes, strict=True) if slope is not None]
    if not _depends([slope for _, slope in reached], phi):
        return [torch.zeros_like(p) for p in phi]
    step = torch.autograd.grad([p for p, _ in reached], theta, [s.detach() for _, s in reached], allow_unused=True)
    step = ranks.total(step)
    ahead = [w.detach() if g is None else w.detach() - step_size * g for w, g in zip(theta, step, strict=True)]
    ahead = [w.requires_grad_() for w in ahead]
    later = ranks.gather(run(ahead, meta_images), len(meta_images))
    pull = ranks.total(torch.autograd.grad(outer(_output(later)), ahead, allow_unused=True))
    pull = tuple(torch.zeros_like(w) if g is None else g for w, g in zip(ahead, pull, strict=True))
    moved = _forward_mode(lambda *values: run(values, images), tuple(w.detach() for w in theta), pull)
    moved = ranks.gather(moved, len(images))
    along = sum((s * m).sum() for s, m in zip(slopes, moved, strict=True) if s is not None)
    gradients = torch.autograd.grad(along, list(phi), allow_unused=True)
    return [torch.zeros_like(p) if g is None else -step_size * g for p, g in zip(phi, gradients, strict=True)]


def _depends(slopes: Sequence[Tensor], phi: Sequence[Tensor]) -> bool:
    """Whether any slope depends on phi: a loss that does not look at what is gated has nothing to teach the gate."""
    asked = [slope.sum() for slope in slopes if slope.requires_grad]
    if not asked:
        return False
    found = torch.autograd.grad(sum(asked), list(phi), retain_graph=True, allow_unused=True)
    return any(part is not None for part in found)


def _forward_mode(run: Callable, at: tuple[Tensor, ...], along: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """J v: the change of every output of `run` at `at`, per unit of moving along `along`."""
    # Of attention's kernels only the plain one has forward-mode rules.
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        # torch loads its forward-mode rules through torch.jit.script, and warns of that once.
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
        return tuple(part.detach() for part in jvp(run, at, along)[1])


def _flat(output: Output) -> tuple[Tensor, ...]:
    return (output.logits, output.features, *(output.maps or ()))


def _output(parts: Sequence[Tensor]) -> Output:
    return Output(parts[0], parts[1], tuple(parts[2:]) or None)


class Gate(nn.Module):
    """sigmoid(phi) on every teacher feature, and on every channel of its maps where the loss compares maps."""

    def __init__(self, teacher: Output, maps: bool, start: float):
        super().__init__()
        widths = [teacher.features.shape[1], *(part.shape[1] for part in (teacher.maps or ()) if maps)]
        self.phi = nn.ParameterList(torch.full((width,), float(start)) for width in widths)

    def forward(self, teacher: Output) -> Output:
        features = teacher.features * torch.sigmoid(self.phi[0])
        gates = [torch.sigmoid(phi)[:, None, None] for phi in self.phi[1:]]
        maps = tuple(part * gate for part, gate in zip(teacher.maps, gates, strict=True)) if gates else teacher.maps
        return teacher._replace(features=features, maps=maps)


class Bird(Strategy):
    """L = L_task(gated teacher) + lambda * L_o; the gate follows the meta-gradient after `warmup_epochs`."""

    settings_class = BirdSettings
    settings: BirdSettings

    def __init__(self, parts: Parts):
        super().__init__(parts)
        settings = self.settings
        self.gate = None
        if parts.teacher_probe is not None:
            self.gate = Gate(parts.teacher_probe, parts.loss.needs_maps, settings.gate_start).to(self.device)
        self.epoch = 1

    @property
    def meaning(self) -> str:
        return (
            f"bird: L = L_task(gated teacher) + lambda * L_o, lambda = {self.settings.lam:g}; L_o is the "
            "sum over classes of the largest gap between a group's cross-entropy and the class's."
        )

    def extra_modules(self) -> dict[str, nn.Module]:
        return {} if self.gate is None else {"gate": self.gate}

    def start_epoch(self, epoch: int) -> None:
        super().start_epoch(epoch)
        self.epoch = epoch

    def step(self, batch: Batch) -> dict[str, float]:
        settings, seen = self.settings, self.see(batch)
        if seen is None or self.gate is None:
            student, terms = self.learn(batch, seen)
        else:
            if settings.meta and self.epoch > settings.warmup_epochs:
                self._meta_step(batch, seen)
            # phi follows the meta-gradient alone, so the joint step asks for no gradient of the gate.
            with torch.no_grad():
                gated = self.gate(seen)
            student, terms = self.learn(batch, gated)
        gap = group_loss_gap(student.logits, batch.labels, batch.groups, self.parts.num_groups)
        values = self.descend(terms, extra={"group_gap": settings.lam * gap})
        if self.gate is not None:
            values["gate"] = float(torch.cat([torch.sigmoid(p.detach()) for p in self.gate.phi]).mean())
        return values

    def _meta_step(self, batch: Batch, seen: Output) -> None:
        settings, loss, meta = self.settings, self.parts.loss, self.parts.meta(self.done)

        def inner(output: Output) -> Tensor:
            return sum(loss.terms(output, self.gate(seen), batch).values())

        def outer(output: Output) -> Tensor:
            return group_loss_gap(output.logits, meta.labels, meta.groups, self.parts.num_groups)

        phi = list(self.gate.phi)
        images = (batch.images, meta.images)
        gradients = meta_gradient(self.parts.student, inner, outer, phi, *images, settings.inner_lr, self.parts.ranks)
        with torch.no_grad():
            for parameter, gradient in zip(phi, gradients, strict=True):
                parameter -= settings.meta_lr * gradient
