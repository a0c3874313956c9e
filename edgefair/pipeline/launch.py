"""The main job in several processes: `accelerate launch -m edgefair distill-and-export ...` (or torchrun).

The first process does the job as ever and alone writes the run folder and the log. Whenever it begins to train, it says
so, and the others train along; what is trained is then the student that one process would have trained (see ranks.py).
The processes share a file system: the others read the prepared images and the teacher from there.
"""

import os
from datetime import timedelta
from pathlib import Path

from edgefair.errors import EdgefairError, require
from edgefair.log import Log
from edgefair.recipe import Recipe

# Exporting and judging may take the first process hours while the others wait for its next word.
PATIENCE = timedelta(days=7)


def distill_and_export(recipe: Recipe, out: Path, log: Log) -> dict | None:
    """The main job; returns the report, or None in a process that only trained along."""
    from edgefair.pipeline.job import distill_and_export as run

    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return run(recipe, out, log)
    state = _join(recipe.device)
    from edgefair.models.parallel import this_process

    ranks = this_process()
    report = None
    if ranks.first:
        log.line(f"training in {ranks.size} processes")
        report = run(recipe, out, log)
        ranks.agree("done")
    else:
        _follow(recipe, out)
    state.destroy_process_group()
    return report


def _join(device: str):
    """Meet the other processes; raises MissingExtra without accelerate."""
    accelerate = require("accelerate", "train", "training in several processes")
    return accelerate.PartialState(cpu=device == "cpu", timeout=PATIENCE)


def _follow(recipe: Recipe, out: Path) -> None:
    """Train along whenever the first process says so, until it is done."""
    from edgefair.data import load_examples
    from edgefair.models import create
    from edgefair.models.parallel import this_process
    from edgefair.training.stages import distil_student, train_teacher, training_device

    quiet = Log(quiet=True)
    try:
        while (stage := this_process().agree(None)) != "done":
            examples = load_examples(recipe.data, recipe.seed, quiet)
            if stage == "teacher":
                train_teacher(recipe, examples, out / stage, quiet)
            else:
                path = out / "teacher" / "teacher.safetensors"
                teacher = create(f"file:{path}", len(examples.class_names), 0).to(training_device(recipe))
                distil_student(recipe, examples, teacher, out / stage, quiet)
    except EdgefairError:
        raise SystemExit(2) from None  # the first process meets the same and says it
