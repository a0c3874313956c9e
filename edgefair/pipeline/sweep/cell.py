"""One cell in this process: what every worker of a sweep runs, and each job of an array on a cluster."""

import os
import threading

from edgefair.errors import EdgefairError
from edgefair.log import Log
from edgefair.pipeline.launch import distill_and_export
from edgefair.pipeline.run_folder import RunFolderInUse
from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import Cell


def run_cell(sweep: SweepFolder, cell: Cell, log: Log) -> dict | None:
    """The main job in the cell's run folder, with the sweep's teachers; returns its report.

    What a user must mend is raised and noted, so that the sweep does not try the cell again as it is.
    """
    try:
        return distill_and_export(cell.recipe, sweep.run(cell), log, sweep.teachers)
    except RunFolderInUse:
        raise
    except EdgefairError as error:
        sweep.refuse(cell, str(error))
        raise


def end_with_parent() -> None:
    """End this process when its standard input ends, as it does when whoever holds the other side dies.

    However a worker is killed, nothing that it started is left behind that holds a run folder.
    """

    def watch() -> None:
        # Not sys.stdin, whose lock would be held when this process ends by itself.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
