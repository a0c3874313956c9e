"""Named random generators: every random choice has its own, derived from the run's seed and its purpose."""

import hashlib

import numpy as np


def derive(seed: int, *purpose) -> int:
    """A 63-bit seed for one purpose; the same seed and purpose always give the same one."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose) -> np.random.Generator:
    """A NumPy generator for one purpose."""
    return np.random.default_rng(derive(seed, *purpose))
