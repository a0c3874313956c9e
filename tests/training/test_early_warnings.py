"""What is said after the first epoch, and before training, on made values."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from scipy.stats.contingency import association
from sklearn.metrics import mutual_info_score

from edgefair.pipeline.judge_run import early_warnings
from edgefair.recipe.strategies import AdversarialSettings, BirdSettings, PlainSettings
from edgefair.training import early_warnings as early
from tests.helpers.recipes import tiny

NAMES = ("young", "middle", "old")
COUNTS = st.lists(st.lists(st.integers(1, 50), min_size=3, max_size=3), min_size=2, max_size=4)


def of(strategy, extra=()):
    """What the checks read of a strategy."""
    context = SimpleNamespace(class_names=NAMES, num_groups=2, train=SimpleNamespace(lr=0.1))
    return SimpleNamespace(settings=strategy, context=context, extra_terms=extra)


def batches(cells, sampling="shuffle"):
    """What the checks read of a loader: rows of these (group, class) cells, and one of unknown group."""
    rows = [cell for cell, count in np.ndenumerate(cells) for _ in range(count)] + [(-1, 0)]
    groups, labels = np.array(rows).T
    return SimpleNamespace(labels=torch.tensor(labels), groups=torch.tensor(groups), sampling=sampling, seed=0)


def predictions(*classes, groups=2):
    """A table [G, C, C] of 30 rows of each class in each group; `classes` gives (true, predicted, how many) of them."""
    table = np.zeros((groups, 3, 3), np.int64)
    for true, predicted, count in classes:
        table[:, true, predicted] += count
    for true in range(3):
        table[:, true, true] += 30 - table[:, true].sum(1)
    return table


@settings(derandomize=True, deadline=None, max_examples=50)
@given(COUNTS)
def test_cramers_v_and_entropies_are_those_of_other_libraries(cells):
    cells = np.array(cells)
    assert early.cramers_v(cells) == pytest.approx(association(cells, method="cramer"), abs=1e-9)
    assert early.group_entropy(cells, conditional=False) == pytest.approx(scipy_entropy(cells.sum(1)))
    told = mutual_info_score(None, None, contingency=cells)
    assert early.group_entropy(cells, conditional=True) == pytest.approx(scipy_entropy(cells.sum(1)) - told, abs=1e-9)


def test_an_association_of_one_class_or_group_is_none():
    assert early.cramers_v([[5, 3], [0, 0]]) == early.cramers_v([[5, 0], [3, 0]]) == 0
    assert early.cramers_v([[5, 0], [0, 3]]) == pytest.approx(1)


def test_entangled_data_are_named_before_training_where_the_adversary_is_blind_to_the_class():
    skewed, even = batches([[90, 10, 90], [10, 90, 10]]), batches([[50, 52, 48], [50, 48, 52]])
    blind = of(AdversarialSettings(conditional=False))
    (warning,) = early.before_training(blind, skewed)
    v = association(np.array([[90, 10, 90], [10, 90, 10]]), method="cramer")
    assert f"Cramer's V {v:.2f}" in warning
    assert "strategy.conditional to true" in warning
    assert early.before_training(blind, even) == []
    assert early.before_training(of(AdversarialSettings()), skewed) == []
    assert early.before_training(of(AdversarialSettings(conditional=False, lam=0)), skewed) == []
    assert early.before_training(of(PlainSettings()), skewed) == []
    drawn_evenly = batches([[90, 10, 90], [10, 90, 10]], "cell")
    assert early.before_training(blind, drawn_evenly) == []
    assert early.expected_cells(blind, drawn_evenly) == pytest.approx(np.full((2, 3), 50.0))


def test_one_class_for_everybody():
    all_young = predictions((1, 0, 30), (2, 0, 29))
    said = early.one_class(all_young, NAMES, "student", "do this.")
    assert said.startswith("the student says 'young' of 99 % of the validation rows (true of 33 %)")
    assert said.endswith("do this.")
    assert early.one_class(predictions((1, 0, 25)), NAMES, "student", "") is None
    only_young = np.zeros((2, 3, 3), np.int64)
    only_young[:, 0, 0] = 30
    assert early.one_class(only_young, NAMES, "student", "") is None  # the rows are of one class too


def test_a_class_that_is_never_said():
    said = early.never_predicted(predictions((1, 0, 30)), NAMES, "teacher", "do this.")
    assert said.startswith("the teacher never says 'middle' of a validation row")
    assert early.never_predicted(predictions((1, 0, 29)), NAMES, "teacher", "") is None
    few = predictions((1, 0, 30))
    few[:, 1] = 0
    few[0, 1, 0] = 9
    assert early.never_predicted(few, NAMES, "teacher", "") is None


def test_predictions_of_little_entropy():
    few_others = predictions((1, 0, 28), (2, 0, 28))
    share = scipy_entropy([86, 2, 2]) / np.log(3)
    assert f"{100 * share:.0f} % of the entropy of the classes" in early.little_variety(few_others, "student", "")
    assert early.little_variety(predictions((1, 0, 10)), "student", "") is None


def test_a_gap_within_its_noise_floor():
    assert "gap of 9.0 points is within its noise floor (by chance 8.0, up to 12.0" in early.within_noise(
        0.09, 0.08, 0.12
    )
    assert early.within_noise(0.13, 0.08, 0.12) is None


def test_an_adversary_at_chance_and_a_certain_one():
    cells = np.array([[90.0, 10, 90], [10, 90, 10]])
    chance = scipy_entropy([0.9, 0.1])  # of the groups in each class
    for settings_, guess in (
        (AdversarialSettings(), chance),
        (AdversarialSettings(conditional=False), scipy_entropy([190, 110])),
        (AdversarialSettings(class_weights={"middle": 0}, conditional=False), chance),
    ):
        strategy = of(settings_)
        assert "no better than chance" in early.adversary_extreme(strategy, {"adversary": 0.99 * guess}, cells)
        assert early.adversary_extreme(strategy, {"adversary": 0.8 * guess}, cells) is None
        assert "certain of the group" in early.adversary_extreme(strategy, {"adversary": 0.05 * guess}, cells)
    at_first_bad = {"adversary": 2 * chance, "adversary_at_end": 0.8 * chance}
    assert early.adversary_extreme(of(AdversarialSettings()), at_first_bad, cells) is None
    assert f"a guess costs {chance:.2f}" in early.adversary_extreme(of(AdversarialSettings()), {"adversary": 9}, cells)
    assert early.adversary_extreme(of(AdversarialSettings(form="confusion")), {"confusion": 9.0}, cells) is None
    assert early.adversary_extreme(of(AdversarialSettings(target="soft_group")), {"adversary": 9.0}, cells) is None
    assert early.adversary_extreme(of(PlainSettings()), {"adversary": 9.0}, cells) is None


@pytest.mark.parametrize(
    ("own", "words"), [(60.0, "12 times as hard as the task.*Lower --lambda"), (1e-3, "change nothing"), (0.5, None)]
)
def test_a_strategy_that_dwarfs_the_task_or_vanishes_beside_it(own, words):
    row = {"gradient_ce": 3.0, "gradient_ckd": 4.0, "gradient_group_gap": own, "ce": 1.0}
    said = early.gradient_out_of_scale(of(BirdSettings(), ("group_gap",)), row)
    assert (said is None) if words is None else re.search(words, said)
    assert early.gradient_out_of_scale(of(BirdSettings(lam=0), ("group_gap",)), row) is None
    assert early.gradient_out_of_scale(of(PlainSettings()), row) is None


def test_the_first_epoch_has_its_noise_floor_and_one_word_on_a_collapse():
    strategy, loader = of(BirdSettings(), ("group_gap",)), batches(np.full((2, 3), 20))
    row = {"validation_disparity": 0.0}
    found = early.after_first_epoch(strategy, loader, row, predictions((1, 0, 30), (2, 0, 30)), "student")
    assert len(found.warnings) == 1
    assert "lower --lambda (now 0.5 of 'bird')" in found.warnings[0]
    unequal = predictions()
    unequal[0, 0] = [0, 30, 0]
    found = early.after_first_epoch(strategy, loader, row, unequal, "student")
    assert found.warnings == []
    floor = 100 * found.figures["validation_disparity_floor"]
    assert 0 < floor < 33.3
    assert found.lines == [f"validation disparity 33.3 points beside a noise floor of {floor:.1f}"]
    alone = early.after_first_epoch(strategy, loader, row, predictions(groups=1), "student")
    assert alone == ([], [], {})


def test_the_report_says_whose_they_are():
    history = {"teacher": [{"warnings": ["a."]}, {}], "student": [{"warnings": ["b.", "c."]}]}
    assert early_warnings(history) == [
        "first epoch of the teacher: a.",
        "first epoch of the student: b.",
        "first epoch of the student: c.",
    ]


@pytest.mark.slow
def test_a_run_says_them_once_and_keeps_them(tmp_path, capsys, quiet):
    from edgefair.data import load_examples
    from edgefair.log import Log
    from edgefair.models import create
    from edgefair.training.records import History
    from edgefair.training.stages import distil_student

    recipe = tiny(loss__name="ckd", strategy__conditional=False, strategy__lam=50, train__epochs=1)
    examples, teacher = load_examples(recipe.data, 0, quiet), create("cifar:resnet8", 10, 1)
    _, history, _ = distil_student(recipe, examples, teacher, tmp_path, Log())
    printed = capsys.readouterr()
    History.model_validate(history)
    warnings = history[0]["warnings"]
    assert any("Cramer's V" in warning for warning in warnings)  # of trifeature, skewed as it is
    assert any("pull" in warning for warning in warnings)
    assert all((printed.out + printed.err).count(f"warning: {warning}") == 1 for warning in warnings)
    assert "beside a noise floor of" in printed.out + printed.err
    _, again, _ = distil_student(recipe, examples, teacher, tmp_path, Log())
    assert again == history
    assert "warning" not in "".join(capsys.readouterr())
