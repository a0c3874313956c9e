"""A sweep from its grid to its table."""

from pathlib import Path

from edgefair.errors import RecipeError
from edgefair.log import Log
from edgefair.pipeline.sweep.folder import SweepFolder
from edgefair.pipeline.sweep.grid import Cell
from edgefair.pipeline.sweep.schedule import Schedule, varied_settings
from edgefair.pipeline.sweep.workers import Pool, Workers, local_slots


def run_sweep(
    sweep: SweepFolder,
    log: Log,
    workers: int | None = None,
    address: str | None = None,
    gpus_per_run: float = 1.0,
    attempts: int = 3,
    retry_refused: bool = False,
) -> dict[str, str]:
    """Work off whatever of a sweep is neither finished nor refused; returns how the cells that were given up ended.

    workers: cells at a time, None for as many as fit this machine or the cluster takes. address: a Ray cluster's, None
    for processes on this machine. attempts: how often a cell is tried whose process does not end by itself.
    """
    cells = sweep.grid.cells
    if not cells:
        raise RecipeError("the grid has no cell: everything in it is left out.")
    sweep.write_grid()
    if retry_refused:
        for cell in cells:
            sweep.allow(cell)
    states = {cell.name: sweep.state(cell) for cell in cells}
    left = [cell for cell in cells if states[cell.name] in ("begun", "new")]
    log.line(describe(sweep, list(states.values())))
    if not left:
        return {}
    schedule = Schedule(sweep, _workers(sweep, left, workers, address, gpus_per_run, attempts, log), attempts, log)
    schedule.run(left)
    return schedule.given_up


def describe(sweep: SweepFolder, states: list[str]) -> str:
    """The sweep in a sentence: cells, teachers, what is done."""
    cells, grid = sweep.grid.cells, sweep.grid
    text = f"{len(cells)} cells, {len({cell.teacher for cell in cells})} teachers"
    text += f"; they differ in {varied_settings(cells)}" if len(cells) > 1 else ""
    parts = [(grid.same, "the same as another"), (grid.left_out, "left out")]
    parts += [(states.count("finished"), "finished"), (states.count("refused"), "refused")]
    return "; ".join([text, *(f"{count} {what}" for count, what in parts if count)])


def _workers(
    sweep: SweepFolder,
    cells: list[Cell],
    workers: int | None,
    address: str | None,
    gpus_per_run: float,
    attempts: int,
    log: Log,
) -> Workers:
    if address:
        from edgefair.pipeline.sweep.cluster import AT_ONCE, Cluster

        log.line(f"Ray cluster at {address}; {sweep.path.absolute()} and {Path.cwd()} must be shared by its machines")
        return Cluster(sweep, address, gpus_per_run, attempts, workers or AT_ONCE)
    from edgefair.data.cache.decode_pool import cores

    slots = local_slots(tuple(cells), workers, gpus_per_run, cores)
    log.line(f"{min(len(slots), len(cells))} at a time on this machine")
    return Pool(sweep, slots)
