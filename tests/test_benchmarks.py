"""The long studies of benchmarks/: figures against other libraries, trials that go on, each script once in small."""

import argparse
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from edgefair.log import Log
from tests.helpers.cifar_copies import write_cifar10

QUIET = Log(quiet=True)
TINY = {
    "seed": 0,
    "data.name": "trifeature",
    "data.image_size": 16,
    "data.train_rows": 60,
    "data.meta_rows": 10,
    "data.validation_rows": 20,
    "data.calibration_rows": 40,
    "data.gate_rows": 40,
    "teacher.spec": "cifar:resnet8",
    "teacher.epochs": 1,
    "train.epochs": 3,
    "loss.name": "ckd",
    "strategy.name": "plain",
}


@pytest.fixture
def scripts(monkeypatch):
    """Makes the scripts importable, which stand beside the package."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))


@pytest.fixture
def run(scripts, monkeypatch, tmp_path):
    """Calls a script's main with arguments; returns the record that it writes."""
    import common

    monkeypatch.setattr(common, "RESULTS", tmp_path)
    threads = torch.get_num_threads()

    def call(module, record: str, *arguments: object) -> dict:
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        with np.errstate():
            module.main()
        return json.loads((tmp_path / f"{record}.json").read_text())

    yield call
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cifar") / "cifar-10-batches-py"
    write_cifar10(folder, 100, 12)
    return folder


@pytest.mark.slow
def test_a_trial_that_was_stopped_goes_on_to_the_same_weights(scripts, monkeypatch, tmp_path):
    import methods
    import trials

    from edgefair.data import load_examples
    from edgefair.training import loop

    examples = load_examples(methods.recipe_of(TINY).data, 0, QUIET)
    whole, other = (trials.Trials(tmp_path / name, QUIET) for name in ("whole", "other"))
    teacher, _ = whole.teacher(TINY, examples)
    expected, _ = whole.student(TINY, examples, teacher)
    train_epoch, epochs = loop.train_epoch, []

    def stops_in_the_second(strategy, loader, epoch, *rest):
        epochs.append(epoch)
        if epochs == [1, 2]:
            raise KeyboardInterrupt
        return train_epoch(strategy, loader, epoch, *rest)

    monkeypatch.setattr(loop, "train_epoch", stops_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        other.student(TINY, examples, teacher)
    found, folder = other.student(TINY, examples, teacher)
    assert epochs == [1, 2, 2, 3]
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), expected.parameters(), strict=True))
    other.student(TINY, examples, teacher)
    assert len(epochs) == 4, "a finished trial was trained again"
    assert sorted(path.name for path in folder.iterdir()) == ["about.json", "student.safetensors"]
    # Where the data lie is no part of a trial; any other setting is.
    assert other.student({**TINY, "data.path": ""}, examples, teacher)[1] == folder
    assert other.student({**TINY, "train.epochs": 1}, examples, teacher)[1] != folder


def test_the_interval_over_rows_is_that_of_a_bootstrap(scripts):
    import distilled_int8
    from scipy.stats import bootstrap

    values = np.random.default_rng(0).choice([-1.0, -0.5, 0.0, 1.0], 1000, p=[0.02, 0.05, 0.83, 0.1])
    oracle = bootstrap((values,), np.mean, n_resamples=2000, method="percentile", rng=1).confidence_interval
    assert distilled_int8.interval(values, np.random.default_rng(2)) == pytest.approx(tuple(oracle), abs=4e-3)


def test_what_int8_loses_is_compared_row_by_row(scripts):
    import distilled_int8

    labels = np.zeros(4, int)
    alone = {"x fp32": np.array([0, 0, 1, 1]), "x int8": np.array([0, 0, 1, 0])}  # wins one row, flips one
    taught = {"x fp32": np.array([0, 0, 0, 1]), "x int8": np.array([0, 1, 1, 2])}  # loses two rows, flips three
    found = distilled_int8.beside_alone(labels, [taught, taught], [alone, taught], "x")
    assert found["seeds"] == 2
    assert found["accuracy_points"]["by_seed"] == [75, 0]
    assert found["accuracy_points"]["mean"] == 37.5
    assert found["flips_points"]["by_seed"] == [50, 0]
    low, high = found["accuracy_points"]["interval"]
    assert low < 37.5 < high


def predicted(num_classes: int, networks: tuple[str, ...], seeds: int = 4, rows: int = 400):
    """Made-up predictions, right in part; class 0 of the last network is often missed."""
    import temperature_summary

    random = np.random.default_rng(5)
    one = temperature_summary.Predicted(num_classes, 2, {})
    for seed in range(seeds):
        one.labels[seed], one.groups[seed] = random.integers(0, num_classes, rows), random.integers(0, 2, rows)
        for network in networks:
            missed = random.random(rows) < np.where((network == networks[-1]) & (one.labels[seed] == 0), 0.6, 0.2)
            said = np.where(missed, random.integers(0, num_classes, rows), one.labels[seed])
            one.classes.setdefault(network, {})[seed] = said
    return one


def test_classes_that_differ_are_those_of_scipys_welch_test(scripts):
    import temperature_summary as summary
    from scipy.stats import ttest_ind
    from sklearn.metrics import recall_score

    one = predicted(5, ("teacher", "alone", "T 4"))
    found = summary.row(one, "T 4")
    for other in ("alone", "teacher"):
        sides = [
            [
                recall_score(one.labels[s], one.classes[name][s], average=None)
                / (one.labels[s] == one.classes[name][s]).mean()
                for s in range(4)
            ]
            for name in ("T 4", other)
        ]
        p = ttest_ind(*sides, equal_var=False).pvalue
        named = found[f"classes_differ_from_{other}"]
        assert named["p"] == pytest.approx(p.tolist())
        assert named["raw"] == (p < 0.05).sum() >= 1
        assert named["holm"] == sum(np.sort(p) * [5, 4, 3, 2, 1] < 0.05)  # as they are, each step holds
    assert summary.row(one, "alone").keys() >= {"accuracy", "disagrees_with_teacher_percent"}
    assert "classes_differ_from_alone" not in summary.row(one, "alone")


def test_group_figures_are_fairlearns_and_disagreement_is_scikit_learns(scripts):
    import temperature_summary as summary
    from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
    from sklearn.metrics import confusion_matrix

    one = predicted(2, ("teacher", "alone", "T 1", "T 8"))
    found = summary.row(one, "T 8")
    columns = [(one.labels[s], one.classes["T 8"][s], one.groups[s]) for s in range(4)]
    for key, oracle in {"dpd_points": demographic_parity_difference, "eod_points": equalized_odds_difference}.items():
        values = [100 * oracle(labels, said, sensitive_features=groups) for labels, said, groups in columns]
        assert found[key] == {
            "mean": pytest.approx(np.mean(values)),
            "std": pytest.approx(np.std(values, ddof=1)),
            "n": 4,
        }
    matrices = summary.disagreements(one)
    assert set(matrices) == {"alone", "T 8"}, "8 is the nearest to the paper's 9"
    oracle = sum(confusion_matrix(one.classes["teacher"][s], one.classes["T 8"][s]) for s in range(4))
    np.fill_diagonal(oracle, 0)
    assert matrices["T 8"]["teacher_by_student"] == oracle.tolist()
    change = summary.change(one, ["alone", "T 1", "T 8"])
    assert (change["from"], change["to"]) == ("T 1", "T 8")
    gain = [100 * np.mean((one.classes["T 8"][s] == one.labels[s]) * 1.0 - (one.classes["T 1"][s] == one.labels[s]))
            for s in range(4)]  # fmt: skip
    assert change["accuracy"]["mean"] == pytest.approx(np.mean(gain))


def test_one_seed_is_too_few_to_judge_classes(scripts):
    import temperature_summary as summary

    one = predicted(3, ("teacher", "alone", "T 1"), seeds=1)
    assert summary.row(one, "T 1")["classes_differ_from_alone"] == {"raw": None, "holm": None, "classes": 3, "seeds": 1}


def test_drawn_faces_are_read_as_celeba(scripts, tmp_path):
    import cartoon_faces

    from edgefair.data import load_examples, recognize
    from edgefair.recipe import parse

    folder = cartoon_faces.write(tmp_path / "faces", 200)
    data = {**recognize(str(folder)), "task": "Smiling", "group": "Young", "image_size": 16, "calibration_share": 0.2}
    examples = load_examples(parse({"data": data}).data, 0, QUIET)
    assert {name: len(rows) for name, rows in examples.rows.items()}["gate"] == 40
    rows = examples.rows["train"]
    smiles = np.array(examples.class_names)[examples.labels[rows]] == "Smiling"
    young = np.array(examples.group_names)[examples.groups[rows]] == "Young"
    assert 0.8 < (smiles == young).mean() < 1
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    cartoon_faces.write(folder, 200)
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}, "drawn again"


@pytest.mark.slow
def test_mlperf_tiny_in_small(run, cifar, tmp_path):
    import mlperf_tiny

    record = run(mlperf_tiny, "mlperf-tiny", cifar, "--runs", tmp_path / "runs", "--epochs", 1, "--seconds", 0)
    assert record["parameters"] == 78042, "MLPerf Tiny's ResNet-8 with shortcut convolutions"
    worst = min(file["accuracy_percent"] for name, file in record["files"].items() if name.endswith("int8"))
    assert record["claims"]["int8_accuracy_percent"] == {"needed": 85, "value": worst, "met": False}
    for name, file in record["files"].items():
        assert file["latency"]["p90_upper_ms"] >= file["latency"]["p90_ms"] > 0
        assert ("change_points" in file) == name.endswith("int8")
    assert "null" not in str(list(record["files"]))


def test_a_shortened_schedule_is_noted(scripts, tmp_path):
    import mlperf_tiny
    from trials import Trials

    from edgefair.files import CHECKPOINT
    from edgefair.training.loop import save_checkpoint

    args = argparse.Namespace(folder="", device="cpu", epochs=64, finish_in=10)
    trials = Trials(tmp_path, QUIET)
    with pytest.raises(SystemExit, match="no training of 64 epochs"):
        mlperf_tiny.finish_in(args, trials)
    before = trials.place("student", mlperf_tiny.settings(args))
    before.mkdir()
    save_checkpoint(before / CHECKPOINT, {"history": [{"epoch": n} for n in range(1, 29)]})
    mlperf_tiny.finish_in(args, trials)
    after = trials.place("student", mlperf_tiny.settings(args))
    assert (args.epochs, before.exists(), (after / CHECKPOINT).exists()) == (38, False, True)
    assert mlperf_tiny.shortened(after) == [{"planned_epochs": 64, "after_epoch": 28}]


@pytest.mark.slow
def test_temperature_in_small(run, tmp_path, monkeypatch):
    import temperature

    monkeypatch.setitem(temperature.DATA["celeba"]["reduced"], "data.image_size", 16)
    arguments = ["--data", "celeba", "--reduced", "--seeds", 2, "--epochs", 1, "--temperatures", 1, 8, "--faces", 120]
    arguments += ["--runs", tmp_path / "runs", "--precision", "fp32"]
    record = run(temperature, "temperature-reduced", *arguments)
    faces = record["data"]["celeba"]
    assert faces["seeds"] == 2
    assert list(faces["networks"]) == ["teacher", "alone", "T 1", "T 8"]
    assert faces["networks"]["T 8"]["classes_differ_from_teacher"]["classes"] == 2
    picture = ElementTree.parse(tmp_path / "temperature-reduced.svg").getroot()
    counts = faces["disagreement"]["T 8"]["teacher_by_student"]
    said = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert said[-2:] == [f"0, 1: {counts[0][1]}", f"1, 0: {counts[1][0]}"]
    assert run(temperature, "temperature-reduced", *arguments)["data"] == record["data"]


@pytest.mark.slow
def test_cifar10s_in_small(run, cifar, tmp_path, monkeypatch):
    import cifar10s

    monkeypatch.setattr(cifar10s, "VARIANTS", {"BIRD": cifar10s.VARIANTS["BIRD"]})
    size = ["--medium", "--rows", 300, "--epochs", 1, "--seeds", 1]
    record = run(cifar10s, "cifar10s-medium", cifar, *size, "--runs", tmp_path / "sweep")
    assert (record["reduced"], record["seeds"], record["seeds_wanted"]) == (True, 1, 1)
    assert set(record["summary"]) == {"teacher", "BIRD"}
    (report,) = (json.loads(path.read_text()) for path in (tmp_path / "sweep" / "runs").glob("*/report.json"))
    student = next(one["metrics"] for one in report["artefacts"] if one["artefact"] == "student")
    assert record["runs"]["BIRD"][0]["accuracy"] == pytest.approx(100 * student["scores"]["accuracy"]["value"])


@pytest.fixture
def small_tasks(scripts, monkeypatch):
    """what_works.py with the default data in miniature and three of its methods."""
    import what_works

    small = {"teacher.spec": "cifar:resnet8", "data.image_size": 16, "train.epochs": 1, "teacher.epochs": 1}
    monkeypatch.setattr(what_works, "NETWORKS", small)
    monkeypatch.setattr(what_works, "BF16", {})
    names = ("plain", "lagrangian 0.2", "cell sampling, fair teacher")
    monkeypatch.setattr(what_works, "METHODS", {name: what_works.METHODS[name] for name in names})
    return what_works


ASKED = ("no-faces", "--tasks", "trifeature", "--quick", "--rows", 80, "--epochs", 1)


@pytest.mark.slow
def test_methods_are_compared_with_the_plain_student_of_the_same_seed(small_tasks, run, tmp_path):
    asked = (*ASKED, "--runs", tmp_path / "runs", "--seeds")
    run(small_tasks, "what-works-trifeature", *asked, 1)
    record = run(small_tasks, "what-works-trifeature", *asked, 2)
    runs, against = record["runs"]["trifeature"], record["against_plain"]["trifeature"]
    names = {"plain", "teacher", "lagrangian 0.2", "teacher, cell sampling", "cell sampling, fair teacher"}
    assert {name: [row["seed"] for row in rows] for name, rows in runs.items()} == {name: [0, 1] for name in names}
    above = {name: [row["deo_mean"] - row["noise_floor"] for row in runs[name]] for name in runs}
    changed = np.subtract(above["lagrangian 0.2"], above["plain"])
    assert against["lagrangian 0.2"]["above_floor"]["mean"] == pytest.approx(changed.mean())
    assert set(against["lagrangian 0.2"]) >= {"p", "p_holm", "left_of_gap"}


@pytest.mark.slow
def test_a_search_is_judged_beside_its_own_plain_twin(small_tasks, run, monkeypatch, tmp_path):
    import auto_recipe

    from edgefair.pipeline.tune import run as tune_run

    monkeypatch.setattr(tune_run, "DRAWS", 20)
    record = run(
        auto_recipe, "auto-recipe-trifeature", *ASKED, "--runs", tmp_path / "runs", "--seeds", 1, "--budget", 2
    )
    (row,) = record["runs"]["trifeature"]
    assert row["sentence"]
    assert record["summary"]["trifeature"]["n"] == 1
    if not row["helped"]:
        assert row["chosen"] == row["plain"]


def test_noise_of_cells_is_told_from_a_planted_gap(scripts):
    import argparse

    import cell_noise

    from edgefair.tensors import Output

    torch.manual_seed(0)
    labels, groups = torch.arange(4000) % 2, torch.arange(4000) // 2 % 5
    args = argparse.Namespace(seed=0, batches=10)

    def figures(lag: float) -> dict:
        logits = torch.randn(4000, 2)
        logits[torch.arange(4000), labels] += 1 - lag * (groups == 0)
        seen = Output(logits, torch.randn(4000, 3), None)
        return cell_noise.noise(seen, seen, labels, groups, 5, args)

    fair, planted = figures(0.0), figures(3.0)
    assert fair["batch_64"]["bird"]["noise_share"] == pytest.approx(1, abs=0.2)
    assert planted["batch_64"]["bird"]["noise_share"] < 0.8
    assert planted["running"]["bird"]["batch"] == pytest.approx(planted["all_rows"]["bird"], rel=0.25)
    assert planted["running"]["bird"]["permuted"] < 0.2 * planted["running"]["bird"]["batch"]
    assert planted["adversary"]["next_rows"] > fair["adversary"]["next_rows"] + 0.02
