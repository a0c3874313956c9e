"""Cores and clocks: pin the process, and say on which cores and at which frequencies it was measured."""

import os
from pathlib import Path

from edgefair.errors import RecipeError
from edgefair.runtimes.machine import read_text

CPUS = Path("/sys/devices/system/cpu")


def pin(cores: tuple[int, ...]) -> None:
    """Bind this process, and the threads that it will start, to these cores; raises RecipeError where they are not."""
    if not hasattr(os, "sched_setaffinity"):
        raise RecipeError("this system cannot bind a process to cores; leave --cores out.")
    allowed = os.sched_getaffinity(0)
    if not cores or not set(cores) <= allowed:
        raise RecipeError(f"cores {list(cores)} were asked for; this process may use {sorted(allowed)}.")
    os.sched_setaffinity(0, cores)


def clocks(root: Path = CPUS) -> dict:
    """The cores in use, their governors and their frequencies now; None where that is not readable."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    folders = [root / f"cpu{core}" / "cpufreq" for core in cores]
    governors = sorted({text for folder in folders if (text := read_text(folder / "scaling_governor"))})
    khz = [int(text) for folder in folders if (text := read_text(folder / "scaling_cur_freq")).isdigit()]
    mhz = [round(value / 1000) for value in khz]
    return {"cores": cores, "governor": ", ".join(governors) or None, "mhz": mhz or None}
