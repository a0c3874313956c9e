"""What this machine is, as far as it can be read: a verdict belongs to one device."""

import os
import platform
from pathlib import Path

_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


def describe_machine() -> dict:
    """Processor, cores this process may use, instruction sets that matter for INT8, system and Python."""
    text = _read("/proc/cpuinfo")
    fields = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in text.splitlines() if ":" in line}
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    board = _read("/proc/device-tree/model").strip("\0 \n")
    return {
        "processor": board or fields.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": [flag for flag in _FLAGS if flag in flags],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
