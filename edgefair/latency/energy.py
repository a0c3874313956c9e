"""Energy where the device reports it: counters of Intel RAPL and NVML, power sensors of Jetson boards.

Nothing here is ever 0 for "not reported".
"""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from edgefair.runtimes.gpu import energy_mj
from edgefair.runtimes.machine import read_text
from edgefair.runtimes.targets import runs_on_gpu

SYS = Path("/sys")


class Meter(Protocol):
    """What adds up energy: `start()`, then `stop()`, which returns the joules since, or None where nothing is known."""

    name: str

    def start(self) -> None:
        """Begin."""

    def stop(self) -> float | None:
        """Joules since start."""


class NoMeter:
    """Where no device reports."""

    name = "not reported"

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self) -> None:
        return None


class Counter:
    """Joules that a device adds up itself; `read()` in joules, which falls back to zero at `wrap`."""

    def __init__(self, name: str, read: Callable[[], float | None], wrap: float = 0.0):
        self.name, self.read, self.wrap = name, read, wrap

    def start(self) -> None:
        self.before = self.read()

    def stop(self) -> float | None:
        before, after = self.before, self.read()
        if before is None or after is None:
            return None
        return after - before + (self.wrap if after < before else 0.0)


class Sampled:
    """A sensor of watts, read when the work ends: watts times seconds, so a mean over rounds and no exact sum."""

    def __init__(self, name: str, read: Callable[[], float | None], clock: Callable[[], float] = time.perf_counter):
        self.name, self.read, self.clock = name, read, clock

    def start(self) -> None:
        self.begun = self.clock()

    def stop(self) -> float | None:
        seconds, watts = self.clock() - self.begun, self.read()
        return None if watts is None else watts * seconds


class Sum:
    """Several counters of one kind as one, such as the sockets of a machine."""

    def __init__(self, parts: list[Counter]):
        self.name, self.parts = ", ".join(part.name for part in parts), parts

    def start(self) -> None:
        for part in self.parts:
            part.start()

    def stop(self) -> float | None:
        return total([part.stop() for part in self.parts])


def total(parts: Sequence[float | None]) -> float | None:
    """The sum of the parts, None where one is not known."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def find_meter(runtimes: set[str], root: Path = SYS) -> Meter:
    """The meter for these runtimes: a whole board's, else the GPU's for files that all run there, else the processor's.

    Without a board's, a counter would tell too little of files on the other device: then nothing is reported.
    """
    board, on_gpu = _board(root), {runs_on_gpu(name) for name in runtimes - {"null"}}
    if board or len(on_gpu) > 1:
        return board or NoMeter()
    if on_gpu == {True}:
        return Counter("the GPU's own counter (NVML)", _gpu_joules) if energy_mj() is not None else NoMeter()
    return _rapl(root) or NoMeter()


def _gpu_joules() -> float | None:
    used = energy_mj()
    return None if used is None else used / 1e3


def _rapl(root: Path) -> Sum | None:
    """Packages (not their parts, which they contain) whose counter this user may read."""
    parts = []
    for zone in sorted((root / "class/powercap").glob("intel-rapl:*")):
        if zone.name.count(":") == 1 and _number(zone / "energy_uj") is not None:
            wrap = (_number(zone / "max_energy_range_uj") or 0.0) / 1e6
            file = zone / "energy_uj"
            parts.append(Counter(f"RAPL {read_text(zone / 'name')}", partial(_product, 1e-6, file), wrap))
    return Sum(parts) if parts else None


def _board(root: Path) -> Sampled | None:
    """The whole board's input of an INA3221: millivolts times milliamperes."""
    for label in sorted((root / "bus/i2c/drivers/ina3221").glob("*/hwmon/hwmon*/in*_label")):
        if read_text(label) in ("VDD_IN", "VIN_SYS_5V0", "POM_5V_IN"):
            volts = label.with_name(label.name.replace("_label", "_input"))
            amperes = volts.with_name(volts.name.replace("in", "curr", 1))
            if _product(1e-6, volts, amperes) is not None:
                return Sampled(f"INA3221 {read_text(label)}", partial(_product, 1e-6, volts, amperes))
    return None


def _number(path: Path) -> float | None:
    try:
        return float(read_text(path))
    except ValueError:
        return None


def _product(factor: float, *paths: Path) -> float | None:
    """The numbers in the files multiplied, None where one is not readable."""
    numbers = [number for path in paths if (number := _number(path)) is not None]
    return factor * math.prod(numbers) if len(numbers) == len(paths) else None
