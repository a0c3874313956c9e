"""How sure one can be: noise floor of a disparity, intervals of rates, tests of change, and the gate's bounds."""

from edgefair.metrics.cluster_bootstrap import design_effect, identity_counts
from edgefair.metrics.gap_drift import gap_drift, gap_drift_bound, worsening_bound
from edgefair.metrics.hypothesis_tests import ClassBias, WelchTest, class_bias, holm, mcnemar_midp, welch_class_bias
from edgefair.metrics.intervals import newcombe, noninferiority_p, paired_change_interval, wilson
from edgefair.metrics.noise_floor import NoiseFloor, noise_floor
from edgefair.metrics.paired import disagreement, paired_counts

__all__ = [
    "ClassBias",
    "NoiseFloor",
    "WelchTest",
    "class_bias",
    "design_effect",
    "disagreement",
    "gap_drift",
    "gap_drift_bound",
    "holm",
    "identity_counts",
    "mcnemar_midp",
    "newcombe",
    "noise_floor",
    "noninferiority_p",
    "paired_change_interval",
    "paired_counts",
    "welch_class_bias",
    "wilson",
    "worsening_bound",
]
