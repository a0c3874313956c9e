"""Memory and stream of a running engine, through cuda-python: no torch on the device."""

import ctypes
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from edgefair.errors import ArtefactError
from edgefair.runtimes.trt.api import LOWER


class Memory:
    """One buffer on the device and one pinned on the host for each tensor, and one stream.

    arrays: shape and dtype of each at its largest. Raises ArtefactError where the device has no room; whatever had been
    taken is given back.
    """

    def __init__(self, cudart: ModuleType, arrays: dict[str, tuple[tuple[int, ...], type]]):
        self.cudart = cudart
        self._give_back: list[tuple] = []
        self.device: dict[str, int] = {}  # addresses
        self.host: dict[str, np.ndarray] = {}
        try:
            self.stream = self._take(cudart.cudaStreamDestroy, cudart.cudaStreamCreate)
            for name, (shape, dtype) in arrays.items():
                size = int(np.prod(shape)) * np.dtype(dtype).itemsize
                self.device[name] = self._take(cudart.cudaFree, cudart.cudaMalloc, size)
                self.host[name] = _array(self._take(cudart.cudaFreeHost, cudart.cudaMallocHost, size), shape, dtype)
        except BaseException:
            self.close()
            raise

    def _take(self, give_back: Callable[..., Any], function: Callable[..., Any], *arguments: Any) -> Any:
        got = self.call(function, *arguments)
        self._give_back.append((give_back, got))
        return got

    def call(self, function: Callable, *arguments: Any) -> Any:
        """Call a function of the CUDA runtime and return what it returns besides its error code."""
        code, *values = function(*arguments)
        if int(code):
            raise ArtefactError(self._explain(code, function.__name__))
        return values[0] if values else None

    def _explain(self, code: Any, function: str) -> str:
        if code != self.cudart.cudaError_t.cudaErrorMemoryAllocation:
            return f"{function} failed on the GPU: {code.name} ({int(code)}). The process must be started again."
        failed, free, total = self.cudart.cudaMemGetInfo()
        room = "" if int(failed) else f" ({free >> 20} of {total >> 20} MiB are free)"
        return f"the GPU is out of memory{room}: {function} failed. {LOWER}"

    def upload(self, name: str, values: np.ndarray) -> None:
        """Queue a copy of the first len(values) rows to the device."""
        rows = self.host[name][: len(values)]
        np.copyto(rows, values)
        kind = self.cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call(self.cudart.cudaMemcpyAsync, self.device[name], rows.ctypes.data, rows.nbytes, kind, self.stream)

    def download(self, name: str, count: int) -> np.ndarray:
        """The first `count` rows as the device has them when all that was queued is done; a view, valid until next."""
        rows = self.host[name][:count]
        kind = self.cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call(self.cudart.cudaMemcpyAsync, rows.ctypes.data, self.device[name], rows.nbytes, kind, self.stream)
        self.call(self.cudart.cudaStreamSynchronize, self.stream)
        return rows

    def close(self) -> None:
        """Give everything back; what fails is past helping. Twice does no harm."""
        self.host, self.device = {}, {}
        while self._give_back:
            give_back, got = self._give_back.pop()
            give_back(got)


def _array(address: int, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Memory that CUDA owns as an array."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(memoryview((ctypes.c_byte * size).from_address(address)), dtype).reshape(shape)
