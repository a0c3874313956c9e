"""What every strategy shares: the student, its optimiser and schedule, and the state of both."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from edgefair.losses import Loss
from edgefair.models import Classifier
from edgefair.models.parallel import ALONE, Ranks
from edgefair.recipe.strategies import StrategySettings
from edgefair.recipe.training import TrainRecipe
from edgefair.strategies.optim import Accumulator, make_optimizer, schedule
from edgefair.tensors import Batch, Output, widened


@dataclass
class Parts:
    """What a strategy is built from; `teacher` maps a batch to an Output without gradient.

    `steps` batches are shown in all, `epoch_steps` in an epoch (0: as many). `rate` gives the share of the peak
    learning rate after so many batches, where it is not the recipe's schedule.
    """

    student: Classifier
    teacher: Callable[[Batch], Output | None]
    loss: Loss
    train: TrainRecipe
    strategy: StrategySettings
    steps: int
    probe: Output
    class_names: tuple[str, ...]
    num_groups: int
    seed: int
    teacher_probe: Output | None = None
    meta: Callable[[int], Batch] | None = None
    epoch_steps: int = 0
    rate: Callable[[int], float] | None = None
    ranks: Ranks = ALONE


class Strategy(ABC):
    """Owns one training step: `step(batch)` updates the student and returns each term's value as a float."""

    settings_class: ClassVar[type[StrategySettings]]
    settings: StrategySettings
    meaning = ""
    """One sentence that says what lambda means; the report prints it."""

    def __init__(self, parts: Parts):
        self.parts = parts
        self.settings = parts.strategy
        self.device = parts.probe.logits.device
        self.optimizer = make_optimizer((parts.student, parts.loss), parts.train)
        self.done = 0
        self.updates = 0
        self.measure_gradients = False
        self.sums = Accumulator(parts.train.accumulate, parts.epoch_steps or parts.steps)

    @abstractmethod
    def step(self, batch: Batch) -> dict[str, float]:
        """Update the student with one batch and return the value of each term, the objective as "loss"."""

    def autocast(self) -> torch.autocast:
        """The arithmetic of networks: bf16 where the recipe says so."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.parts.train.precision == "bf16")

    def see(self, batch: Batch) -> Output | None:
        """The teacher's output for a batch, or None where the loss needs none."""
        with self.autocast():
            teacher = self.parts.teacher(batch)
        return teacher and single(teacher)

    def forward(self, batch: Batch) -> tuple[Output, dict[str, Tensor]]:
        """The student's output and the loss's terms."""
        return self.learn(batch, self.see(batch))

    def learn(self, batch: Batch, teacher: Output | None) -> tuple[Output, dict[str, Tensor]]:
        """The student's output and the loss's terms beside what the teacher said, or what of it is to be learned."""
        with self.autocast():
            student = self.parts.ranks.forward(self.parts.student, batch.images)
        # Losses and adversaries are computed in full precision: norms and exponentials do not bear eight bits.
        student = single(student)
        return student, self.parts.loss.terms(student, teacher, batch)

    def start_epoch(self, epoch: int) -> None:
        """Told before each epoch, counted from 1; the first step of an epoch also logs each term's gradient norm."""
        self.parts.ranks.align((self.parts.student, self.parts.loss, *self.extra_modules().values()))
        self.parts.loss.start_epoch(epoch)
        self.measure_gradients = True

    def descend(
        self,
        terms: dict[str, Tensor],
        *others: torch.optim.Optimizer,
        extra: dict[str, Tensor] | None = None,
        adjust: Callable[[], None] | None = None,
    ) -> dict[str, float]:
        """One step down the sum of the loss's terms and a strategy's extra ones, with any other optimisers along.

        Returns the value of each term, of the sum as "loss" and of the loss's share in it as "task", in one transfer.
        `adjust` is called between the backward pass and the step, to change gradients. Where the recipe accumulates,
        a step is taken only after the last batch that belongs to it, down the mean of their gradients.
        """
        task = sum(terms.values())
        terms = terms | (extra or {})
        total = task + sum((extra or {}).values())
        for group in self.optimizer.param_groups:
            group["lr"] = self.parts.train.lr * self.rate()
        norms = self._gradient_norms(terms) if self.measure_gradients else {}
        for optimizer in (self.optimizer, *others):
            optimizer.zero_grad(set_to_none=True)
        total.backward()
        self._add_up_ranks()
        if adjust is not None:
            adjust()
        if self.sums.complete(self.done, (self.optimizer, *others)):
            for optimizer in (self.optimizer, *others):
                optimizer.step()
            self.updates += 1
        self.done += 1
        values = torch.stack([value.detach() for value in (total, task, *terms.values())]).tolist()
        return dict(zip(("loss", "task", *terms), values, strict=True)) | norms

    def rate(self) -> float:
        """Share of the peak learning rate for the next step."""
        if self.parts.rate is not None:
            return self.parts.rate(self.done)
        return schedule(self.done, self.parts.steps, self.parts.train)

    def _add_up_ranks(self) -> None:
        """Give the student the gradient of the whole batch; the loss's own parameters saw all of it everywhere."""
        if self.parts.ranks.size > 1:
            parameters = list(self.parts.student.parameters())
            for parameter, gradient in zip(
                parameters, self.parts.ranks.total([p.grad for p in parameters]), strict=True
            ):
                parameter.grad = gradient

    def _gradient_norms(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """Length of each term's gradient in the student's parameters: weights can be set by looking at the log."""
        self.measure_gradients = False
        parameters = [p for p in self.parts.student.parameters() if p.requires_grad]
        norms = {}
        for name, term in terms.items():
            if term.requires_grad:
                gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
                gradients = self.parts.ranks.total(gradients)
                norms[f"gradient_{name}"] = math.sqrt(sum(float(g.pow(2).sum()) for g in gradients if g is not None))
        return norms

    def extra_modules(self) -> dict[str, nn.Module]:
        """Networks of the strategy's own, for the checkpoint."""
        return {}

    def extra_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimisers of the strategy's own, for the checkpoint."""
        return {}

    def _stateful(self) -> dict:
        named = {"student": self.parts.student, "loss": self.parts.loss, "optimizer": self.optimizer}
        return {**named, **self.extra_modules(), **self.extra_optimizers()}

    def state(self) -> dict:
        """All that a later process needs to go on as if nothing had happened."""
        return {
            "done": self.done,
            "updates": self.updates,
            **{name: part.state_dict() for name, part in self._stateful().items()},
        }

    def restore(self, state: dict) -> None:
        """Take over what `state` returned."""
        self.done, self.updates = state["done"], state["updates"]
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])


def single(output: Output) -> Output:
    """The same output in single precision; one that is there already is not copied."""
    maps = output.maps and tuple(widened(part) for part in output.maps)
    return Output(widened(output.logits), widened(output.features), maps)
