"""The main job in several processes: `torchrun --nproc_per_node N -m edgefair distill-and-export ...`.

The first process does the job as ever and alone writes the run folder and the log. Whenever it begins to train, it says
so, and the others train along; what is trained is then the student that one process would have trained (see
models/parallel.py). The processes share a file system: the others read the prepared images and the teacher from there.
"""

import os
from datetime import timedelta
from pathlib import Path

from edgefair.errors import EdgefairError, require
from edgefair.log import Log
from edgefair.recipe import Recipe

# Exporting and judging may take the first process hours while the others wait for its next word.
PATIENCE = timedelta(days=7)


def distill_and_export(recipe: Recipe, out: Path, log: Log, teachers: Path | None = None) -> dict | None:
    """The main job, as in job.py; returns the report, or None in a process that only trained along."""
    from edgefair.pipeline.job import distill_and_export as run

    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return run(recipe, out, log, teachers)
    join_processes(recipe.device)
    import torch

    from edgefair.models.parallel import this_process

    processes = this_process()
    report = None
    if processes.first:
        log.line(f"training in {processes.size} processes")
        report = run(recipe, out, log, teachers)
        processes.broadcast_object("done")
    else:
        _follow(recipe, out)
    torch.distributed.barrier()  # they leave together: none takes its connections away while another still answers
    torch.distributed.destroy_process_group()
    return report


def join_processes(device: str) -> None:
    """Meet the other processes, whose number and address torchrun puts into the environment: NCCL on GPUs, else Gloo.

    Does nothing where they have met. Raises MissingExtra without torch.
    """
    torch = require("torch", "train", "training in several processes")
    if torch.distributed.is_initialized():
        return
    on_gpu = device == "cuda" and torch.cuda.is_available()  # a GPU that is not there is an error of the main job
    if on_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    torch.distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)


def _follow(recipe: Recipe, out: Path) -> None:
    """Train along whenever the first process says so, until it is done."""
    from edgefair.data import load_examples
    from edgefair.models import create
    from edgefair.models.parallel import this_process
    from edgefair.training.stages import distil_student, train_teacher, training_device

    quiet = Log(quiet=True)
    try:
        while (stage := this_process().broadcast_object(None)) != "done":
            examples = load_examples(recipe.data, recipe.seed, quiet)
            if stage == "teacher":
                train_teacher(recipe, examples, out / stage, quiet)
            else:
                path = out / "teacher" / "teacher.safetensors"
                teacher = create(f"file:{path}", len(examples.class_names), 0).to(training_device(recipe))
                distil_student(recipe, examples, teacher, out / stage, quiet)
    except EdgefairError:
        raise SystemExit(2) from None  # the first process meets the same and says it
