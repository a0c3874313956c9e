"""The gate: what is allowed to change between a reference and a candidate, and whether it did."""

from edgefair.gate.judge import Judgement, Timing, judge_artefact
from edgefair.gate.tolerance import Tolerance
from edgefair.gate.verdict import Verdict, compare

__all__ = ["Judgement", "Timing", "Tolerance", "Verdict", "compare", "judge_artefact"]
