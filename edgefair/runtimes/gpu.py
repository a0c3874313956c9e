"""What the GPU is and how it is set, as far as it can be read: the driver, NVML and a Jetson's own files; no toolkit.

What cannot be read is left out. Only the first device that CUDA shows to this process is meant.
"""

import ctypes
import functools
from pathlib import Path

from edgefair.runtimes.cuda_driver import why_no_gpu

_MAJOR, _MINOR = 75, 76  # CUdevice_attribute
_SM, _MEMORY = 1, 2  # nvmlClockType_t
_JETSON_GPU = ("*.gpu", "*.ga10b", "*.gv11b", "gpu-gpc-0")


@functools.cache
def device() -> dict | None:
    """Name, compute capability, memory, PCI address and CUDA version of the driver; None where there is no GPU."""
    if why_no_gpu():
        return None
    driver = ctypes.CDLL("libcuda.so.1")
    handle, text, memory = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
    driver.cuDeviceGet(ctypes.byref(handle), 0)
    driver.cuDeviceGetName(text, len(text), handle)
    name = text.value.decode()
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), handle)
    driver.cuDeviceGetPCIBusId(text, len(text), handle)
    major, minor, version = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, handle)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, handle)
    driver.cuDriverGetVersion(ctypes.byref(version))
    return {
        "device": name,
        "compute_capability": f"{major.value}.{minor.value}",
        "memory_mib": memory.value >> 20,
        "pci": text.value.decode(),
        "cuda_driver": cuda_version(version.value),
    }


def cuda_version(number: int) -> str:
    """13020 -> "13.2"."""
    return f"{number // 1000}.{number % 1000 // 10}"


def describe_gpu() -> dict:
    """Everything of the device that can be read now, as JSON values; {} where there is no GPU."""
    found = device()
    return {**found, **_nvml(found["pci"]), **_jetson()} if found else {}


def energy_mj() -> int | None:
    """Millijoules the device has used since the driver was loaded, None where it does not say."""
    found = device()
    answer = _Nvml(found["pci"]).ask("nvmlDeviceGetTotalEnergyConsumption", ctypes.c_ulonglong) if found else None
    return answer


def memory_used_mb() -> float | None:
    """10^6 bytes in use on the device, by all processes; None where it does not say."""
    found = device()
    used = _Nvml(found["pci"]).ask("nvmlDeviceGetMemoryInfo", _Memory) if found else None
    return None if used is None else used / 1e6


class _Memory(ctypes.Structure):
    """nvmlMemory_t, whose value is what is in use."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("value", ctypes.c_ulonglong))


class _Nvml:
    """The management library of the driver; a question that it does not answer is None."""

    def __init__(self, pci: str):
        self.handle = ctypes.c_void_p()
        try:
            self.library = ctypes.CDLL("libnvidia-ml.so.1")
            failed = self.library.nvmlInit_v2() or self.library.nvmlDeviceGetHandleByPciBusId_v2(
                pci.encode(), ctypes.byref(self.handle)
            )
        except (OSError, AttributeError):
            failed = True
        if failed:
            self.library = None

    def ask(self, function: str, kind, *which):
        value = kind()
        call = getattr(self.library, function, None)
        if call is None or call(self.handle, *which, ctypes.byref(value)):
            return None
        return value.value

    def driver(self) -> str | None:
        text = ctypes.create_string_buffer(96)
        if self.library is None or self.library.nvmlSystemGetDriverVersion(text, len(text)):
            return None
        return text.value.decode()


def _nvml(pci: str) -> dict:
    nvml, number = _Nvml(pci), ctypes.c_uint
    limit = nvml.ask("nvmlDeviceGetEnforcedPowerLimit", number)
    values = {
        "driver": nvml.driver(),
        "sm_clock_mhz": nvml.ask("nvmlDeviceGetClockInfo", number, _SM),
        "sm_clock_max_mhz": nvml.ask("nvmlDeviceGetMaxClockInfo", number, _SM),
        "memory_clock_mhz": nvml.ask("nvmlDeviceGetClockInfo", number, _MEMORY),
        "performance_state": nvml.ask("nvmlDeviceGetPerformanceState", number),
        "power_limit_w": None if limit is None else limit / 1000,
    }
    return {name: value for name, value in values.items() if value is not None}


def _jetson(root: Path = Path("/")) -> dict:
    """Power mode and GPU clock of a Jetson, whose driver has no NVML or one that answers little."""
    values = {}
    for folder in [path for sign in _JETSON_GPU for path in sorted(root.glob(f"sys/class/devfreq/{sign}"))][:1]:
        for name, file in (("sm_clock_mhz", "cur_freq"), ("sm_clock_max_mhz", "max_freq")):
            text = _read(folder / file)
            if text.isdigit():
                values[name] = int(text) // 10**6
    release = _read(root / "etc/nv_tegra_release").removeprefix("# ").split(", GCID")[0]
    said = {"l4t": release, "power_mode": _read(root / "var/lib/nvpmodel/status")}
    values |= {name: text for name, text in said.items() if text}
    return values


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
