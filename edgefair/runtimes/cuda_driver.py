"""Ask the NVIDIA driver whether there is a GPU, before any library that crashes without one is touched."""

import ctypes
import functools


@functools.cache
def why_no_gpu() -> str:
    """Why no NVIDIA GPU can be used, "" where one can; by the driver's own answer, no toolkit needed."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return f"no NVIDIA driver answers on this machine ({error}): run it where the GPU is, or name another target."
    code = driver.cuInit(0)
    if code:
        return f"the NVIDIA driver answers cuInit with error {code}; is a GPU visible (nvidia-smi)?"
    count = ctypes.c_int()
    code = driver.cuDeviceGetCount(ctypes.byref(count))
    return "" if not code and count.value else "the NVIDIA driver sees no GPU (nvidia-smi, CUDA_VISIBLE_DEVICES)."
