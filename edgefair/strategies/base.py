"""What every strategy shares: the student, its optimiser and schedule, and the state of both."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgefair.losses import Loss
from edgefair.models import Classifier
from edgefair.recipe import StrategyRecipe, TrainRecipe
from edgefair.tensors import Batch, Output


@dataclass
class Parts:
    """What a strategy is built from; `teacher` maps a batch to an Output without gradient."""

    student: Classifier
    teacher: Callable[[Batch], Output | None]
    loss: Loss
    train: TrainRecipe
    strategy: StrategyRecipe
    steps: int
    probe: Output
    class_names: tuple[str, ...]
    num_groups: int
    seed: int
    teacher_probe: Output | None = None
    meta: Callable[[int], Batch] | None = None


class Strategy(ABC):
    """Owns one training step: `step(batch)` updates the student and returns each term's value as a float."""

    meaning = ""
    """One sentence that says what lambda means; the report prints it."""

    def __init__(self, parts: Parts):
        self.parts = parts
        self.device = parts.probe.logits.device
        self.optimizer = make_optimizer((parts.student, parts.loss), parts.train)
        self.done = 0
        self.measure_gradients = False

    @abstractmethod
    def step(self, batch: Batch) -> dict[str, float]:
        """Update the student with one batch and return the value of each term, the objective as "loss"."""

    def forward(self, batch: Batch) -> tuple[Output, dict[str, Tensor]]:
        """The student's output and the loss's terms, under autocast where the recipe says so."""
        bf16 = self.parts.train.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            student, teacher = self.parts.student(batch.images), self.teach(self.parts.teacher(batch))
        # Losses and adversaries are computed in full precision: norms and exponentials do not bear eight bits.
        student, teacher = _single(student), teacher and _single(teacher)
        return student, self.parts.loss.terms(student, teacher, batch)

    def teach(self, teacher: Output | None) -> Output | None:
        """What of the teacher's output the loss gets to see; all of it, unless a strategy gates it."""
        return teacher

    def start_epoch(self, epoch: int) -> None:
        """Told before each epoch, counted from 1; the first step of an epoch also logs each term's gradient norm."""
        self.parts.loss.start_epoch(epoch)
        self.measure_gradients = True

    def descend(
        self, terms: dict[str, Tensor], *others: torch.optim.Optimizer, adjust: Callable[[], None] | None = None
    ) -> dict[str, float]:
        """One step down the sum of the terms, with any other optimisers along; returns the values in one transfer.

        `adjust` is called between the backward pass and the step, to change gradients.
        """
        total = sum(terms.values())
        for group in self.optimizer.param_groups:
            group["lr"] = self.parts.train.lr * schedule(self.done, self.parts.steps)
        norms = self._gradient_norms(terms) if self.measure_gradients else {}
        for optimizer in (self.optimizer, *others):
            optimizer.zero_grad(set_to_none=True)
        total.backward()
        if adjust is not None:
            adjust()
        for optimizer in (self.optimizer, *others):
            optimizer.step()
        self.done += 1
        values = torch.stack([total.detach(), *(term.detach() for term in terms.values())]).tolist()
        return dict(zip(("loss", *terms), values, strict=True)) | norms

    def _gradient_norms(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """Length of each term's gradient in the student's parameters: weights can be set by looking at the log."""
        self.measure_gradients = False
        parameters = [p for p in self.parts.student.parameters() if p.requires_grad]
        norms = {}
        for name, term in terms.items():
            if term.requires_grad:
                gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
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
        return {"done": self.done, **{name: part.state_dict() for name, part in self._stateful().items()}}

    def restore(self, state: dict) -> None:
        """Take over what `state` returned."""
        self.done = state["done"]
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])


def _single(output: Output) -> Output:
    return Output(output.logits.float(), output.features.float(), output.maps)


def make_optimizer(modules: Iterable[nn.Module], train: TrainRecipe) -> torch.optim.Optimizer:
    """SGD or AdamW over all parameters; biases and normalisation (one dimension) are not decayed."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": train.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if train.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=train.lr)
    return torch.optim.SGD(groups, lr=train.lr, momentum=0.9, nesterov=True)


def schedule(done: int, steps: int) -> float:
    """Share of the peak learning rate: linear over the first tenth of the steps, then a cosine to zero."""
    warmup = max(1, steps // 10)
    if done < warmup:
        return (done + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / max(1, steps - warmup)))
