"""A folder of trained teachers that several runs share: each is trained once and copied into every run that needs it.

    STORE/KEY/.lock        held by the run that trains; the others wait
    STORE/KEY/teacher/     the stage as in a run folder, with its checkpoint while it is unfinished

KEY is the key of the stage: hash of teacher settings, data, seed, device and version. So a run gets, bit for bit, the
teacher that it would have trained alone, and what one process began before it was killed is gone on with by the next.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from edgefair.errors import RunFolderError
from edgefair.files import atomic_path
from edgefair.log import Log
from edgefair.pipeline.run_folder import RunFolder, stage_key
from edgefair.recipe import Recipe

STAGE = "teacher"


def copy_shared_teacher(
    store: Path, made_from: dict, train: Callable[[Path], None], folder: Path, recipe: Recipe, log: Log
) -> None:
    """Copy the files of the teacher stage into `folder`, from `store`, where `train(folder)` makes them if need be.

    made_from: what the stage is made from, as in RunFolder.stage. Waits while another process trains the same teacher.
    Raises RunFolderError where the store cannot be written.
    """
    place = Path(store) / stage_key(STAGE, made_from)
    shared = RunFolder(place, recipe, Log(quiet=True))  # the run says that the stage begins and ends
    with _alone(place, log):
        if shared.record(STAGE).finished:
            log.line(f"teacher: taken from {place}")
        trained = shared.stage(STAGE, made_from, train)
        for name in shared.hashes(STAGE):
            with atomic_path(folder / name) as copy:
                shutil.copyfile(trained / name, copy)


@contextlib.contextmanager
def _alone(place: Path, log: Log) -> Iterator[None]:
    """Hold the lock of a teacher; the system lets go of it when this process ends, however it ends."""
    from filelock import FileLock, Timeout  # not at the top: see RunFolder.open

    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.line("teacher: another run trains the same one; waiting for it")
            lock.acquire()
    except OSError as error:
        raise RunFolderError(
            f"cannot use the folder of teachers {place.parent}: {error.strerror or error}. Choose a writable one."
        ) from None
    with lock:
        yield
