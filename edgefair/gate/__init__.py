"""The gate: what is allowed to change between a reference and a candidate, and whether it did."""

from edgefair.gate.tolerance import Tolerance
from edgefair.gate.verdict import Verdict, compare

__all__ = ["Tolerance", "Verdict", "compare"]
