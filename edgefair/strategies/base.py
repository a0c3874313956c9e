"""What every strategy shares: the student, its optimizer and schedule, and the state of both."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from edgefair.losses import Loss
from edgefair.models import Classifier
from edgefair.models.parallel import SINGLE_PROCESS, ProcessGroup
from edgefair.recipe.strategies import StrategySettings
from edgefair.recipe.training import TrainSettings
from edgefair.strategies.gradient_cap import GradientCap, squared_length
from edgefair.strategies.optim import Accumulator, make_optimizer, schedule
from edgefair.tensors import Batch, Output, add, to_fp32


class SplitRows(NamedTuple):
    """All rows of a split: `labels` [N], `groups` [N] (-1: unknown), and `images()`, uint8 batches of them in order."""

    labels: Tensor
    groups: Tensor
    images: Callable[[], Iterator[Tensor]]


@dataclass
class StepContext:
    """What a strategy is built from.

    student, loss    what is trained; `train` and `strategy` are their settings
    teacher          maps a batch to an Output without gradient, or to None
    meta             a batch of meta rows for a step, the same for the same step
    splits           rows that may be looked at in all: "train", "meta" and "validation"
    row_chances      chance of each training row to be shown next, [N], sum 1
    probe            an Output of the student on two rows, which has its shapes; `teacher_probe` of the teacher
    steps            batches that are shown in all, `epoch_steps` in an epoch (0: as many)
    rate             share of the peak learning rate after so many batches, where it is not the recipe's schedule
    seed             of what the strategy draws, such as an adversary's first weights
    processes        who trains along
    """

    student: Classifier
    teacher: Callable[[Batch], Output | None]
    loss: Loss
    train: TrainSettings
    strategy: StrategySettings
    steps: int
    probe: Output
    class_names: tuple[str, ...]
    num_groups: int
    seed: int
    teacher_probe: Output | None = None
    meta: Callable[[int], Batch] | None = None
    splits: Mapping[str, SplitRows] = field(default_factory=dict)
    row_chances: Tensor | None = None
    epoch_steps: int = 0
    rate: Callable[[int], float] | None = None
    processes: ProcessGroup = SINGLE_PROCESS


class Strategy(ABC):
    """Owns one training step: `step(batch)` updates the student and returns each term's value as a float."""

    settings_class: ClassVar[type[StrategySettings]]
    settings: StrategySettings

    def __init__(self, context: StepContext):
        self.context = context
        self.settings = context.strategy
        self.device = context.probe.logits.device
        self.optimizer = make_optimizer((context.student, context.loss), context.train)
        self.global_step = 0
        self.optimizer_steps = 0
        self.measure_gradients = False
        self.extra_terms: tuple[str, ...] = ()  # names of what the last step minimised beside the loss
        self.sums = Accumulator(context.train.accumulate, context.epoch_steps or context.steps)

    @property
    @abstractmethod
    def objective(self) -> str:
        """The formula that is minimised, in one sentence that says what lambda means; the report prints it."""

    def step(self, batch: Batch) -> dict[str, float]:
        """Update the student with one batch and return the value of each term, the objective as "loss".

        Here down the loss alone, which is all that a strategy needs that acts after training.
        """
        _, terms = self.forward(batch)
        return self.backward_and_step(terms)

    def finish(self) -> str:
        """Called once, when the chosen epoch's weights are back in the student; it may change the student.

        Returns in a few words what was changed, for the log; empty where nothing was.
        """
        return ""

    def reopen(self) -> None:
        """Called before training goes on from a student that this strategy has finished; it takes back what must be."""
        return

    def autocast(self) -> torch.autocast:
        """The arithmetic of networks: bf16 where the recipe says so."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.context.train.precision == "bf16")

    def teacher_output(self, batch: Batch) -> Output | None:
        """The teacher's output for a batch, or None where the loss needs none."""
        with self.autocast():
            teacher = self.context.teacher(batch)
        return teacher and output_to_fp32(teacher)

    def forward(self, batch: Batch) -> tuple[Output, dict[str, Tensor]]:
        """The student's output and the loss's terms."""
        return self.student_terms(batch, self.teacher_output(batch))

    def student_terms(self, batch: Batch, teacher: Output | None) -> tuple[Output, dict[str, Tensor]]:
        """The student's output and the loss's terms for a teacher's output, or what of it is to be learned."""
        with self.autocast():
            student = self.context.processes.forward(self.context.student, batch.images)
        # Losses and adversaries are computed in full precision: norms and exponentials do not bear eight bits.
        student = output_to_fp32(student)
        return student, self.context.loss.terms(student, teacher, batch)

    def start_epoch(self, epoch: int) -> None:
        """Called before each epoch, counted from 1; the first step of an epoch also logs each term's gradient norm."""
        modules = (self.context.student, self.context.loss, *self.extra_modules().values())
        self.context.processes.broadcast_parameters(modules)
        self.context.loss.start_epoch(epoch)
        self.measure_gradients = True

    def backward_and_step(
        self,
        terms: dict[str, Tensor],
        *others: torch.optim.Optimizer,
        extra: dict[str, Tensor] | None = None,
        adjust: Callable[[], None] | None = None,
    ) -> dict[str, float]:
        """One step down the sum of the loss's terms and a strategy's extra ones, together with other optimizers.

        terms: the loss's summands by name; extra: those of the strategy. others: optimizers that step along.
        adjust: called between the backward pass and the step, to change gradients. Where the recipe accumulates, a step
        is taken only after the last batch that belongs to it, down the mean of their gradients. Returns the value of
        each term, of the sum as "loss" and of the loss's share in it as "task", in one transfer.
        """
        task, self.extra_terms = add(terms.values()), tuple(extra or {})
        terms = terms | (extra or {})
        total = task + sum((extra or {}).values())
        for group in self.optimizer.param_groups:
            group["lr"] = self.context.train.lr * self.rate()
        norms = self._gradient_norms(terms) if self.measure_gradients else {}
        for optimizer in (self.optimizer, *others):
            optimizer.zero_grad(set_to_none=True)
        total.backward()
        self._sum_gradients()
        if adjust is not None:
            adjust()
        if self.sums.complete(self.global_step, (self.optimizer, *others)):
            for optimizer in (self.optimizer, *others):
                optimizer.step()
            self.optimizer_steps += 1
        self.global_step += 1
        values = torch.stack([value.detach() for value in (total, task, *terms.values())]).tolist()
        return dict(zip(("loss", "task", *terms), values, strict=True)) | norms

    def rate(self) -> float:
        """Share of the peak learning rate for the next step."""
        if self.context.rate is not None:
            return self.context.rate(self.global_step)
        return schedule(self.global_step, self.context.steps, self.context.train)

    def _sum_gradients(self) -> None:
        """Give the student the gradient of the whole batch; the loss's own parameters saw all of it everywhere."""
        if self.context.processes.size == 1:
            return
        parameters = list(self.context.student.parameters())
        gradients = self.context.processes.all_reduce([p.grad for p in parameters])
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient

    def _gradient_norms(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """Length of each term's gradient in the student's parameters: weights can be set by looking at the log."""
        self.measure_gradients = False
        parameters, processes = self.trained_parameters(), self.context.processes
        return {
            f"gradient_{name}": math.sqrt(squared_length(term, parameters, processes))
            for name, term in terms.items()
            if term.requires_grad
        }

    def trained_parameters(self) -> list[Tensor]:
        """The student's parameters that training changes."""
        return [p for p in self.context.student.parameters() if p.requires_grad]

    def capped(self, cap: GradientCap, lam: float, terms: dict[str, Tensor], extra: Tensor) -> float:
        """The weight of a strategy's term at which it pulls at most `lam` times as hard as the loss's terms."""
        parameters, processes = self.trained_parameters(), self.context.processes
        return cap.weight(lam, add(terms.values()), extra, parameters, self.global_step, processes)

    def extra_modules(self) -> dict[str, nn.Module]:
        """Networks of the strategy's own, for the checkpoint."""
        return {}

    def extra_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Optimizers of the strategy's own, for the checkpoint."""
        return {}

    def _stateful(self) -> dict:
        named = {"student": self.context.student, "loss": self.context.loss, "optimizer": self.optimizer}
        return {**named, **self.extra_modules(), **self.extra_optimizers()}

    def state(self) -> dict:
        """All that a later process needs to resume as if nothing had happened."""
        return {
            "global_step": self.global_step,
            "optimizer_steps": self.optimizer_steps,
            **{name: part.state_dict() for name, part in self._stateful().items()},
        }

    def restore(self, state: dict) -> None:
        """Take over what `state` returned."""
        self.global_step, self.optimizer_steps = state["global_step"], state["optimizer_steps"]
        for name, part in self._stateful().items():
            part.load_state_dict(state[name])


def output_to_fp32(output: Output) -> Output:
    """The same output in fp32; what is in fp32 or wider is not copied."""
    maps = output.maps and tuple(to_fp32(part) for part in output.maps)
    return Output(to_fp32(output.logits), to_fp32(output.features), maps)
