"""From predictions to numbers: accuracy, fairness between groups, and how sure they are.

A confusion tensor [G, C, C] counts rows by group, true and predicted class; most functions take one.
"""

from edgefair.metrics.confusion_matrix import (
    confusion,
    false_positive_rate,
    intersection,
    missing_cells,
    precision,
    recall,
    selection_rate,
    soft_confusion,
    undefined_counts,
)
from edgefair.metrics.fairness import (
    METRICS,
    accuracy_gap,
    class_gaps,
    defined_groups,
    demographic_parity_difference,
    deo_max,
    deo_mean,
    equalized_odds_difference,
    extreme_groups,
    mean_abs_disparity,
    signed_disparity,
)
from edgefair.metrics.paired import flip_rate
from edgefair.metrics.performance import (
    accuracy,
    auroc,
    auroc_standard_error,
    calibration_error,
    class_auroc,
    group_accuracy,
    macro_scores,
    softmax,
    weighted_scores,
    worst_group_accuracy,
)

__all__ = [
    "METRICS",
    "accuracy",
    "accuracy_gap",
    "auroc",
    "auroc_standard_error",
    "calibration_error",
    "class_auroc",
    "class_gaps",
    "confusion",
    "defined_groups",
    "demographic_parity_difference",
    "deo_max",
    "deo_mean",
    "equalized_odds_difference",
    "extreme_groups",
    "false_positive_rate",
    "flip_rate",
    "group_accuracy",
    "intersection",
    "macro_scores",
    "mean_abs_disparity",
    "missing_cells",
    "precision",
    "recall",
    "selection_rate",
    "signed_disparity",
    "soft_confusion",
    "softmax",
    "undefined_counts",
    "weighted_scores",
    "worst_group_accuracy",
]
