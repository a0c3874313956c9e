"""Adversarial debiasing: Zhang, Lemoine, Mitchell, "Mitigating unwanted biases with adversarial learning" (AIES 2018).

An adversary guesses the group from the student's features; a gradient reversal (Ganin et al. 2016) makes the student
unlearn what it uses: L_student = L_task - lambda * L_adv, while the adversary goes down L_adv itself.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from edgefair.errors import RecipeError, nearest
from edgefair.losses.gradient_reversal import reverse_gradient
from edgefair.models import seeded
from edgefair.recipe.strategies import AdversarialSettings
from edgefair.seeds import generator
from edgefair.strategies.adversary import PROTECTED_ATTRIBUTES, Adversary, Information
from edgefair.strategies.base import StepContext, Strategy
from edgefair.strategies.gradient_cap import GradientCap
from edgefair.strategies.replay import RowMemory
from edgefair.tensors import Batch, Output

REPLAY = 16
"""Batches whose rows an adversary learns from."""

FORMS = {
    "reversal": "L = L_task - lambda * L_adv by gradient reversal",
    "projection": "g = g_task - projection of g_task onto g_adv - lambda * g_adv, for each parameter tensor",
    "confusion": "L = L_task + lambda * L_confusion, how far the adversary's guess is from saying nothing",
}


class Adversarial(Strategy):
    """The student unlearns what lets an adversary guess the group; `strategy.form` says how.

    reversal: L_task - lambda * L_adv. projection: Zhang et al., eq. 1, with Frobenius products. confusion: Wang et al.,
    "Towards fairness in visual recognition" (CVPR 2020), which is bounded below and cannot run away.
    """

    settings_class = AdversarialSettings
    settings: AdversarialSettings

    def __init__(self, context: StepContext):
        super().__init__(context)
        settings = self.settings
        self.attribute = PROTECTED_ATTRIBUTES[settings.target]
        width = getattr(context.probe, settings.adversary_input).shape[1]
        outputs = self.attribute.outputs(context.num_groups)
        with seeded(context.seed):
            adversary = Adversary(
                width, settings.adversary_hidden, context.probe.logits.shape[1], outputs, settings.conditional
            )
        self.adversary = adversary.to(self.device)
        self.adversary_optimizer = torch.optim.Adam(self.adversary.parameters(), lr=settings.adversary_lr)
        self.running = self._running(width) if settings.estimate == "running" else None
        self.class_weights = class_weights(settings.class_weights, context.class_names).to(self.device)

    @property
    def objective(self) -> str:
        settings = self.settings
        form = "the true class is known to it: equalised odds" if settings.conditional else "demographic parity"
        return (
            f"adversarial: {FORMS[settings.form]}, lambda = {settings.lam:g}; L_adv is the "
            f"{self.attribute.description} from the student's {settings.adversary_input} ({form})."
        )

    def _running(self, width: int) -> nn.ModuleDict:
        """What the adversary keeps of earlier batches: rows to learn from, what it knows, and lengths of gradients."""
        settings, context = self.settings, self.context
        values = torch.int64 if settings.target == "group" else torch.float32
        groups = context.num_groups if settings.target == "group" else 1
        parts = {
            "rows": RowMemory(REPLAY * context.train.batch_size, width, values),
            "information": Information(self.attribute, context.probe.logits.shape[1], groups, settings.memory),
            "cap": GradientCap(),
        }
        return nn.ModuleDict(parts).to(self.device)

    def extra_modules(self) -> dict[str, nn.Module]:
        return {"adversary": self.adversary} | ({} if self.running is None else {"running": self.running})

    def extra_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adversary_optimizer": self.adversary_optimizer}

    def adversary_loss(self, student: Output, batch: Batch, lam: float) -> Tensor:
        """How wrong the adversary is over rows of known group; the student gets its gradient times -lam."""
        return self._over_rows(student, batch, lam, self.attribute.loss)

    def confusion_loss(self, student: Output, batch: Batch) -> Tensor:
        """How far the adversary is from saying nothing: - mean over groups of log softmax, or (guess - 1/2)^2."""
        return self._over_rows(student, batch, -1.0, lambda guess, _: self.attribute.confusion_loss(guess))

    def _over_rows(self, student: Output, batch: Batch, lam: float, loss: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Mean of a loss of (guess, truth) over the K rows whose truth is known, weighted by class."""
        values = self.attribute.values(batch)
        known = self.attribute.known(values)
        z = reverse_gradient(getattr(student, self.settings.adversary_input)[known], lam)
        return self._weighted(loss(self.adversary(z, batch.labels[known]), values[known]), batch.labels[known])

    def _weighted(self, rows: Tensor, labels: Tensor) -> Tensor:
        weight = self.class_weights[labels]  # [K]
        return (weight * rows).sum() / weight.sum().clamp(min=1e-12)

    def step(self, batch: Batch) -> dict[str, float]:
        student, terms = self.forward(batch)
        if self.running is not None:
            return self._running_step(self.running, student, batch, terms)
        frozen = Output(student.logits.detach(), student.features.detach())
        # With the reversal the last of the adversary's steps is taken together with the student's.
        for _ in range(self.settings.adversary_steps - (self.settings.form == "reversal")):
            self._adversary_step(self.adversary_loss(frozen, batch, 0.0))
        lam = self.settings.lam
        if self.settings.form == "projection":
            return self._projection(student, batch, terms, lam)
        if self.settings.form == "confusion":
            return self.backward_and_step(terms, extra={"confusion": lam * self.confusion_loss(student, batch)})
        adversary = {"adversary": self.adversary_loss(student, batch, lam)}
        values = self.backward_and_step(terms, self.adversary_optimizer, extra=adversary)
        # The sum that was differentiated holds L_adv with its own sign, for the adversary's sake.
        return values | {"loss": values["task"] - lam * values["adversary"]}

    def _adversary_step(self, loss: Tensor) -> None:
        self.adversary_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.adversary_optimizer.step()

    def _running_step(
        self, running: nn.ModuleDict, student: Output, batch: Batch, terms: dict[str, Tensor]
    ) -> dict[str, float]:
        """A step against an adversary that has not seen the batch, as far as it knows anything of the groups."""
        rows, information, cap = (running[name] for name in ("rows", "information", "cap"))
        for number in range(self.settings.adversary_steps):
            rng = generator(self.context.seed, "replay", self.global_step, number)
            drawn = rows.draw(len(batch.labels), rng)  # type: ignore[operator]
            if drawn is not None:
                z, labels, values = drawn
                self._adversary_step(self._weighted(self.attribute.loss(self.adversary(z, labels), values), labels))
        values = self.attribute.values(batch)
        known = self.attribute.known(values)
        z, labels, values = getattr(student, self.settings.adversary_input)[known], batch.labels[known], values[known]
        if len(z):
            guess = self.adversary(z.detach(), labels)
            information.update(guess, labels if self.settings.conditional else labels * 0, values)  # type: ignore[operator]
        lam = self.settings.lam * information.reliability()  # type: ignore[operator]
        told = {"information": information.mean()}  # type: ignore[operator]
        rows.push(z, labels, values)  # type: ignore[operator]
        if self.settings.form == "projection":
            return self._projection(student, batch, terms, lam) | told
        confusion = self.settings.form == "confusion"
        loss = self.confusion_loss(student, batch) if confusion else self.adversary_loss(student, batch, -1.0)
        weight = self.capped(cast("GradientCap", cap), lam, terms, loss)
        extra = {"confusion": weight * loss} if confusion else {"against_adversary": -weight * loss}
        return self.backward_and_step(terms, extra=extra) | told | {"adversary": loss.item(), "weight": weight}

    def _projection(self, student: Output, batch: Batch, terms: dict[str, Tensor], lam: float) -> dict[str, float]:
        parameters = self.trained_parameters()
        loss = self.adversary_loss(student, batch, -1.0)  # -1 reverses nothing
        own = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        adversary_gradients = self.context.processes.all_reduce(own)

        def adjust() -> None:
            for parameter, g_adv in zip(parameters, adversary_gradients, strict=True):
                if g_adv is not None:
                    assert parameter.grad is not None  # the loss reaches whatever the adversary's does
                    parameter.grad = projected(parameter.grad, g_adv, lam)

        values = self.backward_and_step(terms, adjust=adjust)
        return values | {"adversary": loss.item()}


def projected(g_task: Tensor, g_adv: Tensor, lam: float) -> Tensor:
    """g_task - <g_task, u> u - lam * g_adv, with u = g_adv at unit Frobenius length; g_task where g_adv is zero."""
    length = g_adv.norm()
    unit = torch.where(length > 1e-12, g_adv / length.clamp(min=1e-12), 0)
    return g_task - (g_task * unit).sum() * unit - lam * g_adv


def class_weights(weights: dict[str, float], names: tuple[str, ...]) -> Tensor:
    """Weight of each class in the adversary's loss, [C]; 1 unless named. Raises RecipeError for an unknown class."""
    for name in weights:
        if name not in names:
            raise RecipeError(f"strategy.class_weights names the class '{name}'; {nearest(name, names)}")
    return torch.tensor([float(weights.get(name, 1.0)) for name in names])
