"""The import paths that users may rely on: a move inside the package must not break their code."""

import importlib
import inspect

import pytest

NAMES = {
    "edgefair.tensors": ["Output", "Batch"],
    "edgefair.losses": ["LOSSES"],
    "edgefair.losses.ckd": ["soft_target_loss"],
    "edgefair.losses.rkd": ["distance_loss", "angle_loss"],
    "edgefair.losses.ctkd": ["CurriculumTemperature"],
    "edgefair.losses.kdpp": ["norm_direction_loss"],
    "edgefair.losses.at": ["attention_loss"],
    "edgefair.losses.fitnet": ["hint_loss"],
    "edgefair.losses.mfd": ["group_mmd"],
    "edgefair.strategies": ["STRATEGIES"],
    "edgefair.strategies.bird": ["meta_gradient"],
    "edgefair.strategies.intra": ["objective_multiplier"],
    "edgefair.metrics": [
        "METRICS",
        "class_gaps",
        "confusion",
        "demographic_parity_difference",
        "deo_max",
        "deo_mean",
        "equalized_odds_difference",
        "intersection",
        "macro_scores",
        "mean_abs_disparity",
        "recall",
        "soft_confusion",
    ],
    "edgefair.significance": [
        "class_bias",
        "gap_drift_bound",
        "holm",
        "newcombe",
        "noise_floor",
        "noninferiority_p",
        "paired_change_interval",
        "welch_class_bias",
        "wilson",
    ],
    "edgefair.gate": ["Tolerance", "Verdict", "compare"],
    "edgefair.predictions": ["Predictions"],
    "edgefair.runtimes": ["RUNTIMES", "load_runtime", "predict_rows"],
    "edgefair.models": ["create", "save_weights"],
    "edgefair.data": ["DATASETS", "load_examples"],
    "edgefair.recipe": ["Recipe", "assign", "parse", "read"],
    "edgefair.testing": ["Inconclusive", "Unfair", "assert_fair", "predict_engine"],
    "edgefair.testing.plugin": [],
    "edgefair.cli": ["main"],
}

PARAMETERS = {
    ("edgefair.losses.ckd", "soft_target_loss"): ["student_logits", "teacher_logits", "temperature"],
    ("edgefair.losses.rkd", "distance_loss"): ["student_features", "teacher_features"],
    ("edgefair.losses.rkd", "angle_loss"): ["student_features", "teacher_features"],
    ("edgefair.losses.kdpp", "norm_direction_loss"): ["student_features", "teacher_features", "labels", "class_means"],
    ("edgefair.losses.fitnet", "hint_loss"): ["student_map", "teacher_map"],
    ("edgefair.strategies.intra", "objective_multiplier"): ["predicted_bias", "lam", "epsilon", "margin"],
    ("edgefair.metrics", "confusion"): ["y_true", "y_pred", "group", "num_classes", "num_groups"],
    ("edgefair.gate", "compare"): ["reference", "candidate", "tolerance"],
}


@pytest.mark.parametrize("module", sorted(NAMES))
def test_the_module_keeps_its_names(module):
    loaded = importlib.import_module(module)
    assert [name for name in NAMES[module] if not hasattr(loaded, name)] == []


@pytest.mark.parametrize(("module", "name"), sorted(PARAMETERS))
def test_the_function_keeps_its_parameters(module, name):
    parameters = list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    assert parameters[: len(PARAMETERS[module, name])] == PARAMETERS[module, name]


def test_the_verdict_keeps_its_outcome():
    from edgefair.gate import Verdict

    assert "outcome" in Verdict.__dataclass_fields__ or isinstance(inspect.getattr_static(Verdict, "outcome"), property)
