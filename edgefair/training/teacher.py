"""Outputs of a teacher: computed for each batch, or cached where they are exact."""

import hashlib
import weakref
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgefair.data import Examples
from edgefair.losses import Loss
from edgefair.models import Classifier
from edgefair.models.parallel import SINGLE_PROCESS, ProcessGroup, this_process
from edgefair.predictions import batches
from edgefair.recipe import TrainSettings
from edgefair.tensors import Batch, Output, to_fp32


@torch.no_grad()
def outputs(
    model: Classifier,
    images: np.ndarray,
    rows: np.ndarray,
    device: torch.device,
    batch_size: int = 256,
    run: Callable[[Tensor], Output] | None = None,
) -> Output:
    """Logits [N, C] and features [N, D] of a model in eval mode, on the CPU.

    images [all, 3, S, S] uint8, of which `rows` [N] are computed on `device`, `batch_size` at a time; `run` replaces a
    plain call of the model.
    """
    model.eval()
    parts = []
    for place in batches(len(rows), batch_size):
        part = torch.from_numpy(images[rows[place]]).to(device, memory_format=torch.channels_last)
        output = (run or model)(part)
        parts.append((to_fp32(output.logits).cpu(), to_fp32(output.features).cpu()))
    return Output(torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]))


class LiveTeacher:
    """A teacher that computes every batch, in eval mode and without gradient.

    It always sees `batch_size` rows, a smaller batch filled up with rows of its own: the last bits of an output can
    depend on the number of rows beside it, and so a cached output is the same as a fresh one.
    """

    def __init__(self, model: Classifier, batch_size: int, processes: ProcessGroup = SINGLE_PROCESS):
        self.model, self.processes = model.eval().requires_grad_(False), processes
        self.batch_size = -(-batch_size // processes.size)

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Output:
        return self.processes.forward(self.forward_padded, batch.images)

    @torch.no_grad()
    def forward_padded(self, images: Tensor) -> Output:
        """The output for up to `batch_size` images."""
        # A training loop may have switched modes of modules it reaches; the teacher never trains.
        self.model.eval()
        rows = len(images)
        if rows < self.batch_size:
            repeated = images[torch.arange(self.batch_size, device=images.device) % rows]
            images = repeated.contiguous(memory_format=torch.channels_last)
        output = self.model(images)
        maps = output.maps and tuple(part[:rows] for part in output.maps)
        return Output(output.logits[:rows], output.features[:rows], maps)


class CachedTeacher:
    """A teacher that computes every training row once: bit for bit the outputs of a live one for rows not augmented."""

    def __init__(self, compute: Callable[[], Output], device: torch.device):
        self.compute, self.device = compute, device

    @cached_property
    def cached_output(self) -> Output:
        """Its output for all training rows, computed when the first batch comes."""
        output = self.compute()
        return Output(output.logits.to(self.device), output.features.to(self.device))

    def __call__(self, batch: Batch) -> Output:
        return Output(self.cached_output.logits[batch.ids], self.cached_output.features[batch.ids])


def probe_output(model: Classifier, examples: Examples, device: torch.device) -> Output:
    """The output for two training rows, which has the shapes of all others."""
    with torch.no_grad():
        images = torch.from_numpy(examples.images[examples.rows["train"][:2]]).to(device)
        return model.eval()(images)


# Students of one teacher that are trained after one another share its outputs: a search has two teachers, or three.
TEACHERS_KEPT, MOST_KEPT = 3, 1 << 28  # bytes of one teacher's outputs
_recent: dict[str, tuple[Callable, Output]] = {}


class TeacherSource:
    """A teacher and, once they are needed, its outputs for all training rows."""

    def __init__(self, model: Classifier | None, examples: Examples, train: TrainSettings, device: torch.device):
        self.model, self.examples, self.train, self.device = model, examples, train, device

    @cached_property
    def outputs(self) -> Output:
        """Its outputs for all training rows; those of an equal teacher, where this process has them."""
        key, images = self._key(), self.examples.images
        seen, known = _recent.get(key, (lambda: None, None))
        if known is None or seen() is not images:
            known = self._compute()
            if known.logits.nbytes + known.features.nbytes <= MOST_KEPT:
                _recent[key] = (weakref.ref(images), known)
                while len(_recent) > TEACHERS_KEPT:
                    del _recent[next(iter(_recent))]
        return known

    def _key(self) -> str:
        """A hash of the weights, the rows and how they are computed."""
        content = hashlib.sha256(self.examples.rows["train"].tobytes())
        for name, value in self.model.state_dict().items():
            content.update(name.encode())
            content.update(value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        how = (self.model.spec, self.model.backbone.options, self.train.batch_size, self.train.precision, self.device)
        content.update(repr(how).encode())
        return content.hexdigest()

    def _compute(self) -> Output:
        live = LiveTeacher(self.model, self.train.batch_size)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.train.precision == "bf16"):
            return outputs(
                self.model,
                self.examples.images,
                self.examples.rows["train"],
                self.device,
                self.train.batch_size,
                live.forward_padded,
            )

    def class_means(self, compute: bool = True) -> Tensor:
        """Mean feature of each class over the training rows, in eval mode and without augmentation: [C, D].

        Zeros of that shape unless they are to be computed.
        """
        if not compute:
            width = probe_output(self.model, self.examples, self.device).features.shape[1]
            return torch.zeros(len(self.examples.class_names), width)
        labels = torch.from_numpy(self.examples.labels[self.examples.rows["train"]])
        of_class = functional.one_hot(labels, len(self.examples.class_names)).to(self.outputs.features.dtype)  # [N, C]
        return (of_class.T @ self.outputs.features) / of_class.sum(0).clamp(min=1)[:, None]

    def outputs_for(self, loss: Loss) -> Callable[[Batch], Output | None]:
        """What gives a strategy the teacher's output of a batch: cached outputs where they are exact."""
        if self.model is None or not loss.needs_teacher:
            return lambda batch: None
        if self.train.augment == "none" and not loss.needs_maps:
            return CachedTeacher(lambda: self.outputs, self.device)
        return LiveTeacher(self.model, self.train.batch_size, this_process())
