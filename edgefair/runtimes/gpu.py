"""What the GPU is and how it is set, as far as it can be read: the driver, NVML and a Jetson's own files; no toolkit.

What cannot be read is left out. Only the first device that CUDA shows to this process is meant.
"""

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from edgefair.runtimes.cuda_driver import why_no_gpu
from edgefair.runtimes.machine import describe_jetson_gpu

_MAJOR, _MINOR = 75, 76  # CUdevice_attribute


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
    return {**found, **_nvml_facts(), **describe_jetson_gpu()} if found else {}


def energy_mj() -> int | None:
    """Millijoules the device has used since the driver was loaded, None where it does not say."""
    return _ask_nvml(lambda nvml, gpu: nvml.nvmlDeviceGetTotalEnergyConsumption(gpu))


def memory_used_mb() -> float | None:
    """10^6 bytes in use on the device, by all processes; None where it does not say."""
    used = _ask_nvml(lambda nvml, gpu: nvml.nvmlDeviceGetMemoryInfo(gpu).used)
    return None if used is None else used / 1e6


def _ask_nvml(question: Callable[[Any, Any], Any]) -> Any:
    """The answer of the driver's management library to question(pynvml, handle of the device); None where none comes.

    It is never shut down again: that it stays loaded is what makes the next question fast.
    """
    found = device()
    if found is None:
        return None
    import pynvml  # here: it takes a while, and most machines have nothing to ask

    try:
        pynvml.nvmlInit()
        return question(pynvml, pynvml.nvmlDeviceGetHandleByPciBusId(found["pci"]))
    except pynvml.NVMLError:
        return None


def _nvml_facts() -> dict:
    questions = {
        "driver": lambda nvml, gpu: nvml.nvmlSystemGetDriverVersion(),
        "sm_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
        "sm_clock_max_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetMaxClockInfo(gpu, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": lambda nvml, gpu: nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
        "performance_state": lambda nvml, gpu: nvml.nvmlDeviceGetPerformanceState(gpu),
        "power_limit_w": lambda nvml, gpu: nvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
    }
    values = {name: _ask_nvml(question) for name, question in questions.items()}
    return {name: value for name, value in values.items() if value is not None}
