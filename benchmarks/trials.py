"""Networks of a long benchmark: each trained once in a folder of its own, continued from its last finished epoch."""

from collections.abc import Callable
from pathlib import Path

import common
import methods
import numpy as np

from edgefair.data import Examples
from edgefair.files import CHECKPOINT, atomic_path, digest, write_json
from edgefair.log import Log
from edgefair.models import Classifier, create
from edgefair.models.factory import save_weights
from edgefair.recipe import Recipe
from edgefair.runtimes.machine import describe_machine
from edgefair.training.stages import distil_student, train_teacher

WEIGHTS, ABOUT = "student.safetensors", "about.json"
_PLACE = ("data.path", "device")  # where it is trained says nothing of what it is
_OF_TEACHER = ("seed", "device", "data", "teacher")


class Trials:
    """Folder of finished and unfinished networks; a process may end at any time, and the next one goes on.

    A network belongs to its settings (dotted names of the recipe, as `methods.recipe_of` takes them), not to a version
    of the code: what a change of the code makes wrong has to be deleted by hand.
    """

    def __init__(self, folder: Path, log: Log):
        self.folder, self.log = folder, log

    def place(self, role: str, settings: dict) -> Path:
        """The folder of the network of these settings; role is "teacher" or "student"."""
        named = {name: value for name, value in settings.items() if name not in _PLACE}
        return self.folder / f"{role}-{digest(named)[:12]}"

    def teacher(self, settings: dict, examples: Examples) -> tuple[Classifier, Path]:
        """The network of the [teacher] settings, trained on labels, and its folder."""
        own = {name: value for name, value in settings.items() if name.split(".")[0] in _OF_TEACHER}

        def train(recipe: Recipe, folder: Path) -> Classifier:
            return train_teacher(recipe, examples, folder, self.log)[0]

        return self._trained("teacher", own, examples, train)

    def student(self, settings: dict, examples: Examples, teacher: Classifier | None) -> tuple[Classifier, Path]:
        """The student of these settings and this teacher, and its folder; the loss `none` needs no teacher."""

        def train(recipe: Recipe, folder: Path) -> Classifier:
            return distil_student(recipe, examples, teacher, folder, self.log)[0]

        return self._trained("student", settings, examples, train)

    def _trained(
        self, role: str, settings: dict, examples: Examples, train: Callable[[Recipe, Path], Classifier]
    ) -> tuple[Classifier, Path]:
        named = {name: value for name, value in settings.items() if name not in _PLACE}
        folder = self.place(role, settings)
        if not (folder / ABOUT).exists():
            folder.mkdir(parents=True, exist_ok=True)
            self.log.line(f"{folder.name}: {named}")
            model = train(methods.recipe_of(settings), folder)
            save_weights(model, folder / WEIGHTS, len(examples.class_names))
            about = {"settings": named, "date": common.today(), "machine": describe_machine()}
            write_json(folder / ABOUT, about)
            (folder / CHECKPOINT).unlink(missing_ok=True)
        # What was just trained is read back too: a later start must see the same network.
        return create(f"file:{folder / WEIGHTS}", len(examples.class_names), 0), folder


def classes_of(folder: Path, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What a finished network, or its files by name, say of the gate rows: classes [N] each, computed once."""
    stored = folder / "gate-classes.npz"
    if not stored.exists():
        found = compute()
        with atomic_path(stored) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **found)
    with np.load(stored) as found:
        return dict(found)
