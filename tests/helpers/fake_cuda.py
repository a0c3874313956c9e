"""A GPU made of NumPy: its driver, its management library and the part of cuda-python that the runtime uses.

Work is queued on a stream and done when the stream is waited for, device memory is poisoned and its addresses are not
the host's, so that a missing synchronisation, a wrong pointer or a wrong direction of a copy shows as wrong numbers.
"""

import ctypes
import enum

import numpy as np

REAL_CDLL = ctypes.CDLL
OFFSET = 1 << 52  # device addresses: no address that the host could have


def view(address: int, size: int) -> np.ndarray:
    return np.frombuffer((ctypes.c_ubyte * size).from_address(address), np.uint8)


class cudaError_t(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorIllegalAddress = 700


class cudaMemcpyKind(enum.IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class Stream(int):
    """cudaStream_t: no int in itself, but has one."""


class FakeGpu:
    """Stands for `cuda.bindings.runtime`; `room` is how many bytes the device has."""

    def __init__(self, room: int = 1 << 30, fail: str = ""):
        self.room, self.fail = room, fail
        self.memory: dict[int, np.ndarray] = {}  # by device address
        self.pinned: dict[int, np.ndarray] = {}
        self.queues: dict[int, list] = {}
        self.calls: list[str] = []
        self.cudaError_t, self.cudaMemcpyKind = cudaError_t, cudaMemcpyKind

    def _answer(self, *values, code=cudaError_t.cudaSuccess):
        return (code, *values) if code == cudaError_t.cudaSuccess else (code, *(None for _ in values))

    def cudaStreamCreate(self):
        self.queues[7 + len(self.queues)] = []
        return self._answer(Stream(6 + len(self.queues)))

    def cudaStreamDestroy(self, stream):
        del self.queues[int(stream)]
        return self._answer()

    def cudaMalloc(self, size):
        if sum(map(len, self.memory.values())) + size > self.room:
            return self._answer(None, code=cudaError_t.cudaErrorMemoryAllocation)
        block = np.full(size, 0xA5, np.uint8)
        self.memory[block.ctypes.data + OFFSET] = block
        return self._answer(block.ctypes.data + OFFSET)

    def cudaFree(self, address):
        del self.memory[address]
        return self._answer()

    def cudaMallocHost(self, size):
        block = np.full(size, 0x5A, np.uint8)
        self.pinned[block.ctypes.data] = block
        return self._answer(block.ctypes.data)

    def cudaFreeHost(self, address):
        del self.pinned[address]
        return self._answer()

    def cudaMemGetInfo(self):
        used = sum(map(len, self.memory.values()))
        return self._answer(self.room - used, self.room)

    def cudaRuntimeGetVersion(self):
        return self._answer(13020)

    def cudaMemcpyAsync(self, to, source, size, kind, stream):
        self.calls.append(kind.name)
        up = kind == cudaMemcpyKind.cudaMemcpyHostToDevice
        device, host = (to, source) if up else (source, to)
        if len(self.memory.get(device, ())) < size or host >= OFFSET:
            return self._answer(code=cudaError_t.cudaErrorInvalidValue)

        def copy():
            there, here = self.memory[device][:size], view(host, size)
            (there if up else here)[:] = here if up else there

        self.queues[int(stream)].append(copy)
        return self._answer()

    def launch(self, kernel, stream: int) -> None:
        self.calls.append("execute")
        self.queues[stream].append(kernel)

    def cudaStreamSynchronize(self, stream):
        self.calls.append("synchronise")
        if self.fail:
            return self._answer(code=cudaError_t[self.fail])
        queue = self.queues[int(stream)]
        while queue:
            queue.pop(0)()
        return self._answer()

    @property
    def empty(self) -> bool:
        return not (self.memory or self.pinned or self.queues)


def _set(reference, value) -> int:
    reference._obj.value = value
    return 0


class FakeDriver:
    """libcuda.so.1"""

    def __init__(self, code: int = 0, count: int = 1, name: str = "Fake GPU", capability: tuple[int, int] = (8, 9)):
        self.code, self.count, self.name = code, count, name
        self.attributes = {75: capability[0], 76: capability[1]}

    def cuInit(self, flags):
        return self.code

    def cuDeviceGetCount(self, count):
        return _set(count, self.count)

    def cuDeviceGet(self, device, index):
        return _set(device, index)

    def cuDeviceGetName(self, text, size, device):
        text.value = self.name.encode()
        return 0

    def cuDeviceTotalMem_v2(self, memory, device):
        return _set(memory, 8 << 30)

    def cuDeviceGetPCIBusId(self, text, size, device):
        text.value = b"0000:01:00.0"
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):
        return _set(value, self.attributes[attribute])

    def cuDriverGetVersion(self, version):
        return _set(version, 13020)


class FakeNvml:
    """libnvidia-ml.so.1 as pynvml calls it, of a device that does not tell its performance state."""

    def nvmlInitWithFlags(self, flags):
        return 0

    def nvmlDeviceGetHandleByPciBusId_v2(self, pci, handle):
        return _set(handle, 99) if pci.value == b"0000:01:00.0" else 6

    def nvmlSystemGetDriverVersion(self, text, size):
        text.value = b"580.1"
        return 0

    def nvmlDeviceGetClockInfo(self, handle, kind, value):
        return _set(value, {1: 1500, 2: 7000}[kind.value])

    def nvmlDeviceGetMaxClockInfo(self, handle, kind, value):
        return _set(value, 2100)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle, value):
        return _set(value, 72000)

    def nvmlDeviceGetPerformanceState(self, handle, value):
        return 3


def cdll(libraries: dict):
    """In place of ctypes.CDLL: the libraries given, no others of NVIDIA's driver, and the real ones of the system."""

    def load(name, *arguments, **settings):
        if name in libraries:
            return libraries[name]
        if name in ("libcuda.so.1", "libnvidia-ml.so.1"):
            raise OSError(f"{name}: cannot open shared object file")
        return REAL_CDLL(name, *arguments, **settings)

    return load
