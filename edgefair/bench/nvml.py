"""The few readings of NVIDIA's management library that a benchmark needs, of GPU 0, through ctypes; none is a must."""

import ctypes

LIBRARY = "libnvidia-ml.so.1"
_SM_CLOCK, _MEMORY_CLOCK = 1, 2  # nvmlClockType_t


class _Memory(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_ulonglong) for name in ("total", "free", "used"))


class Nvml:
    """GPU 0. A reading that the device does not support is None."""

    def __init__(self, library):
        self.library = library
        self.handle = ctypes.c_void_p()
        if library.nvmlInit_v2() or library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(self.handle)):
            raise OSError("NVML does not answer")
        text = ctypes.create_string_buffer(96)
        library.nvmlDeviceGetName(self.handle, text, ctypes.c_uint(len(text)))
        self.name = text.value.decode(errors="replace")

    def energy_joules(self) -> float | None:
        """Since the driver was loaded; Volta and newer."""
        value = ctypes.c_ulonglong()
        failed = self.library.nvmlDeviceGetTotalEnergyConsumption(self.handle, ctypes.byref(value))
        return None if failed else value.value / 1e3

    def memory_used_mb(self) -> float | None:
        """Of the whole device, in 10^6 bytes, other processes included."""
        memory = _Memory()
        failed = self.library.nvmlDeviceGetMemoryInfo(self.handle, ctypes.byref(memory))
        return None if failed else memory.used / 1e6

    def clocks_mhz(self) -> dict:
        """Clocks of the multiprocessors and of the memory, now."""
        return {"sm": self._clock(_SM_CLOCK), "memory": self._clock(_MEMORY_CLOCK)}

    def _clock(self, kind: int) -> int | None:
        value = ctypes.c_uint()
        return None if self.library.nvmlDeviceGetClockInfo(self.handle, kind, ctypes.byref(value)) else value.value


def open_nvml() -> Nvml | None:
    """GPU 0, or None where there is no NVIDIA driver with this library."""
    try:
        return Nvml(ctypes.CDLL(LIBRARY))
    except (OSError, AttributeError):
        return None
