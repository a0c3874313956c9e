"""What this machine is, as far as it can be read: a verdict belongs to one device.

What cannot be read is left out. Only settings are read, not what changes by the second: limits of clocks, not clocks.
"""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
_ROOT = Path("/")
RELEASE, POWER_STATUS = "etc/nv_tegra_release", "var/lib/nvpmodel/status"  # of a Jetson


def describe_machine(root: Path = _ROOT) -> dict:
    """Processor, cores of this process, instructions that matter for INT8, system; on a Jetson, release and power mode.

    root: where /proc, /sys and /etc are looked for.
    """
    text = read_text(root / "proc/cpuinfo")
    fields = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in text.splitlines() if ":" in line}
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    board = read_text(root / "proc/device-tree/model").strip("\0 \n")
    found = {
        "processor": board or fields.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": [flag for flag in _FLAGS if flag in flags],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    return found | _known(
        {"cpu_clock": _clock(root / "sys/devices/system/cpu/cpu0/cpufreq", "scaling_")} | _jetson(root)
    )


def _jetson(root: Path) -> dict:
    """Jetson Linux and JetPack release, power mode, and the limits of the GPU's clock."""
    release = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", read_text(root / RELEASE))
    if not release:
        return {}
    gpu = _gpu_devfreq(root)
    return {
        "l4t": ".".join(release.groups()),
        "jetpack": _package(root, "nvidia-jetpack"),
        "power_mode": _power_mode(root),
        "gpu_clock": _clock(gpu, "") if gpu else None,
    }


def describe_jetson_gpu(root: Path = _ROOT) -> dict:
    """The clock of a Jetson's GPU now, and release and power mode as its files have them: its driver tells little."""
    gpu = _gpu_devfreq(root)
    files = {"sm_clock_mhz": "cur_freq", "sm_clock_max_mhz": "max_freq"}
    hertz = {name: read_text(gpu / file) for name, file in files.items()} if gpu else {}
    clocks = {name: int(text) // 10**6 for name, text in hertz.items() if text.isdigit()}
    release = read_text(root / RELEASE).removeprefix("# ").split(", GCID")[0]
    return clocks | _known({"l4t": release, "power_mode": read_text(root / POWER_STATUS)})


def _gpu_devfreq(root: Path) -> Path | None:
    """The folder of the GPU among the devices whose frequency can be set; its name differs by board."""
    folders = sorted((root / "sys/class/devfreq").glob("*"))
    return next((path for path in folders if any(sign in path.name for sign in ("gpu", "ga10b", "gv11b"))), None)


def _power_mode(root: Path) -> str | None:
    """The name of the power mode, from nvpmodel itself or from what it wrote: a number, and a list of names."""
    if root == _ROOT and (command := shutil.which("nvpmodel")):
        answer = _run([command, "-q"])
        if mode := re.search(r"NV Power Mode: *(\S+)", answer):
            return mode[1]
    number = re.search(r"pmode:0*(\d+)", read_text(root / POWER_STATUS))
    if not number:
        return None
    name = re.search(rf"POWER_MODEL ID={number[1]} NAME=(\S+)", read_text(root / "etc/nvpmodel.conf"))
    return name[1] if name else f"mode {number[1]}"


def _clock(folder: Path, prefix: str) -> dict | None:
    """Governor and limits of a clock; equal limits are a locked clock. The files of a CPU are in kHz, others in Hz."""
    per_mhz = 1_000 if prefix else 1_000_000
    limits = {name: read_text(folder / f"{prefix}{name}_freq") for name in ("min", "max")}
    values: dict[str, str | float] = {"governor": read_text(folder / f"{prefix}governor")}
    values |= {f"{name}_mhz": int(text) / per_mhz for name, text in limits.items() if text.isdigit()}
    return _known(values) or None


def _package(root: Path, name: str) -> str | None:
    """The version of an installed Debian package."""
    for part in read_text(root / "var/lib/dpkg/status").split("\n\n"):
        if part.startswith(f"Package: {name}\n") and (version := re.search(r"^Version: (\S+)", part, re.M)):
            return version[1]
    return None


def _run(command: list[str]) -> str:
    """What a command prints, even where it complains of missing rights; nothing where it does not answer."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _known(values: dict) -> dict:
    return {name: value for name, value in values.items() if value not in (None, "")}


def read_text(path: Path) -> str:
    """The text of a file of the system without the space around it; "" where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
