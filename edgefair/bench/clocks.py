"""Cores and clocks: pin the process, and say at which frequencies and in which power mode it was measured."""

import os
from pathlib import Path

from edgefair.bench.nvml import open_nvml
from edgefair.errors import RecipeError

CPUS = Path("/sys/devices/system/cpu")
NVPMODEL = Path("/var/lib/nvpmodel/status")  # Jetson


def pin(cores: tuple[int, ...]) -> None:
    """Bind this process, and the threads that it will start, to these cores; raises RecipeError where they are not."""
    if not hasattr(os, "sched_setaffinity"):
        raise RecipeError("this system cannot bind a process to cores; leave --cores out.")
    allowed = os.sched_getaffinity(0)
    if not cores or not set(cores) <= allowed:
        raise RecipeError(f"cores {list(cores)} were asked for; this process may use {sorted(allowed)}.")
    os.sched_setaffinity(0, cores)


def clocks(root: Path = CPUS, nvpmodel: Path = NVPMODEL, gpu: bool = False) -> dict:
    """Governor and current frequency of the cores in use, power mode, GPU clocks; what is not readable is None."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    folders = [root / f"cpu{core}" / "cpufreq" for core in cores]
    governors = sorted({text for folder in folders if (text := _text(folder / "scaling_governor"))})
    khz = [int(text) for folder in folders if (text := _text(folder / "scaling_cur_freq")).isdigit()]
    device = open_nvml() if gpu else None
    return {
        "cores": cores,
        "governor": ", ".join(governors) or None,
        "mhz": [round(value / 1000) for value in khz] or None,
        "power_mode": _text(nvpmodel) or None,
        "gpu_mhz": device.clocks_mhz() if device else None,
    }


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
