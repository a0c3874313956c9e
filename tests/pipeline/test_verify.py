"""`edgefair verify` and its records: exit codes, limits that moved, JUnit and JSON, and what it refuses to judge."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from edgefair.files import digest, sha256, write_json
from edgefair.metrics import confusion, equalized_odds_difference
from edgefair.predictions import Predictions
from tests.helpers.command_line import run
from tests.helpers.gate_cases import changed, example, predictions
from tests.helpers.judged_run import RECIPE, make_run

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture
def files(tmp_path):
    """Predictions files from elsewhere: a reference, the same again, a worse one, and too few rows of both."""
    reference = example(cell_rows=500)
    hurt = np.flatnonzero((reference.groups == 1) & (reference.predicted == reference.labels))[::4]
    made = {
        "ref": reference,
        "same": reference,
        "bad": changed(reference, hurt, (reference.labels[hurt] + 1) % 4),
        "few-ref": example(cell_rows=40),
        "few": example(cell_rows=40),
        "names": replace(reference, class_names=("a", "b", "c", "d")),
    }
    for name, one in made.items():
        one.save(tmp_path / f"{name}.npz")
    return tmp_path


def verify(capsys, *arguments):
    return run(capsys, "verify", *map(str, arguments))


@pytest.mark.parametrize(
    ("reference", "candidates", "expected", "words"),
    [
        ("ref", ["same"], 0, "PASS: 1 of 1 passed"),
        ("ref", ["same", "bad"], 1, "FAIL: 1 of 2 passed, 1 fail"),
        ("few-ref", ["few"], 3, "INCONCLUSIVE: 0 of 1 passed, 1 inconclusive"),
        ("ref", ["bad", "names"], 2, "ERROR: 0 of 2 passed, 1 error, 1 fail"),
    ],
)
def test_the_exit_code_is_the_worst_outcome(capsys, files, reference, candidates, expected, words):
    code, text = verify(capsys, files / f"{reference}.npz", *(files / f"{name}.npz" for name in candidates))
    assert code == expected
    assert words in text
    assert "tolerances " in text
    assert "no recipe fixed them before the run" in text


def test_the_output_says_what_was_shown_and_what_decided_it(capsys, files):
    code, text = verify(capsys, files / "ref.npz", files / "bad.npz")
    assert code == 1
    assert "FAIL. On 4,000 rows (cells of 500 rows). Fails: accuracy fell by" in text
    assert "Fails: the recall gaps between groups moved by" in text
    assert "decided by: loss of accuracy, loss in the worst group, mean recall gap" in text
    assert "It does not say that the reference is fair." in text
    assert max(len(line) for line in text.splitlines() if "─" in line) <= 79


def test_a_run_folder_is_its_student_and_all_its_exported_artefacts(capsys, folder, tmp_path):
    code, text = verify(capsys, folder, folder, "--json", tmp_path / "v.json")
    assert code == 1
    assert "FAIL: 1 of 2 passed, 1 fail" in text
    record = json.loads((tmp_path / "v.json").read_text())
    assert record["reference"]["artefact"] == "student"
    assert [one["about"]["artefact"] for one in record["candidates"]] == ["ort-cpu-fp32", "ort-cpu-int8"]
    assert [one["outcome"] for one in record["candidates"]] == ["pass", "fail"]
    assert record["tolerances"]["mean_drift_points"] == 3.0  # from the run's recipe
    assert (record["recipe_sha256"], record["changed_after_the_run"]) == (RECIPE.hash, [])
    assert verify(capsys, f"{folder}:teacher", f"{folder}:student", "--claim", "no-worse")[0] == 0


def test_limits_that_moved_after_the_run_are_seen_everywhere(capsys, folder, tmp_path):
    arguments = ("--tolerance-mean", "5", "--json", tmp_path / "v.json", "--junit-xml", tmp_path / "v.xml")
    code, text = verify(capsys, folder, f"{folder}:ort-cpu-fp32", *arguments)
    assert code == 0
    record = json.loads((tmp_path / "v.json").read_text())
    said = f"tolerances changed after the run {folder}: mean_drift_points 3 -> 5; recipe hash {RECIPE.hash[:12]}, "
    assert said in text
    assert record["changed_after_the_run"][0].startswith(said)
    assert record["tolerances_sha256"] == digest(record["tolerances"])
    assert record["tolerances_sha256"][:12] in text
    properties = ElementTree.parse(tmp_path / "v.xml").getroot().iter("property")
    assert any(p.get("name") == "changed_after_the_run" and p.get("value").startswith(said) for p in properties)


def test_a_recipe_file_sets_the_limits_and_is_compared_with_the_runs_own(capsys, folder, files, tmp_path):
    (tmp_path / "gate.toml").write_text("[gate]\nmean_drift_points = 0.01\n")
    code, text = verify(capsys, files / "ref.npz", files / "same.npz", "--recipe", tmp_path / "gate.toml")
    assert code == 3
    assert "after the run" not in text
    code, text = verify(capsys, folder, f"{folder}:ort-cpu-fp32", "--recipe", tmp_path / "gate.toml")
    assert code == 3
    assert "mean_drift_points 3 -> 0.01" in text


def test_latency_and_size_are_held_to_their_limits(capsys, folder, files):
    good = f"{folder}:ort-cpu-fp32"
    assert verify(capsys, folder, good, "--max-latency-p90-ms", "1.5", "--max-size-mb", "2")[0] == 0
    code, text = verify(capsys, folder, good, "--max-latency-p90-ms", "0.5")
    assert code == 1
    assert "FAIL. On 4,000 rows" in text
    assert "Fails: p90 latency at batch 1 is 1 ms (limit 0.5 ms)." in text
    assert verify(capsys, folder, good, "--max-size-mb", "1.9")[0] == 1


@pytest.mark.parametrize("flag", ["--max-latency-p90-ms", "--max-size-mb"])
def test_a_limit_without_a_measurement_is_inconclusive(capsys, files, flag):
    code, text = verify(capsys, files / "ref.npz", files / "same.npz", flag, "1")
    assert code == 3
    assert "was not measured (limit 1" in text


def test_a_timing_of_another_file_is_no_measurement(capsys, folder, tmp_path):
    again = shutil.copytree(folder, tmp_path / "run")
    write_json(again / "latency" / "stage.json", {"finished": True, "made_from": {"ort-cpu-fp32": "0" * 64}})
    assert verify(capsys, again, f"{again}:ort-cpu-fp32", "--max-latency-p90-ms", "9")[0] == 3


def test_junit_is_well_formed_and_inconclusive_is_a_failure(capsys, folder, files, tmp_path):
    target = tmp_path / "v.xml"
    assert verify(capsys, folder, folder, files / "none.npz", "--junit-xml", target)[0] == 2
    root = ElementTree.parse(target).getroot()
    fp32, int8, missing = root.findall("testsuite")
    assert [suite.get("failures") for suite in (fp32, int8, missing)] == ["0", "5", "0"]
    assert (missing.get("tests"), missing.get("errors")) == ("1", "1")
    assert "none.npz does not exist" in missing.find("testcase/error").get("message")
    assert {key: root.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "15",
        "failures": "5",
        "errors": "1",
    }
    properties = {p.get("name"): p.get("value") for p in int8.iter("property")}
    assert properties["candidate_sha256"] == sha256(folder / "artefacts" / "student.int8.onnx")
    assert properties["candidate_device"] == "chip & <co>, Linux"
    assert properties["recipe_sha256"] == RECIPE.hash
    assert len(properties["tolerances_sha256"]) == 64
    assert verify(capsys, files / "few-ref.npz", files / "few.npz", "--junit-xml", target)[0] == 3
    failures = list(ElementTree.parse(target).getroot().iter("failure"))
    assert {failure.get("type") for failure in failures} == {"inconclusive"}
    assert ElementTree.parse(target).getroot().find("testsuite").get("failures") == str(len(failures))


def test_junit_survives_text_that_xml_does_not_allow(capsys, tmp_path):
    rude = replace(example(), group_names=("a\x00b", "c<d"), about={"artefact": "\x1b[31m"})
    rude.save(tmp_path / "r.npz")
    verify(capsys, tmp_path / "r.npz", tmp_path / "r.npz", "--junit-xml", tmp_path / "v.xml")
    assert ElementTree.parse(tmp_path / "v.xml").getroot().get("tests") == "7"


def test_a_green_record_of_before_does_not_outlive_an_error(capsys, files, tmp_path):
    outputs = ("--junit-xml", tmp_path / "v.xml", "--json", tmp_path / "v.json")
    assert verify(capsys, files / "ref.npz", files / "same.npz", *outputs)[0] == 0
    assert verify(capsys, files / "gone.npz", files / "same.npz", *outputs)[0] == 2
    assert not (tmp_path / "v.xml").exists()
    assert not (tmp_path / "v.json").exists()


@pytest.mark.parametrize(
    "module",
    ["cli.verify", "pipeline.verify", "report.junit", "metrics.flips", "report.terminal.compare", "testing.baseline"],
)
@pytest.mark.slow
def test_judging_needs_no_torch(module):
    code = f"import sys, edgefair.{module}; print(sorted({{'torch', 'onnxruntime', 'plotly'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_json_holds_no_nan(capsys, tmp_path):
    third = replace(example(), group_names=("a", "b", "c"))
    third.save(tmp_path / "t.npz")
    assert verify(capsys, tmp_path / "t.npz", tmp_path / "t.npz", "--json", tmp_path / "v.json")[0] == 3
    record = json.loads((tmp_path / "v.json").read_text(), parse_constant=pytest.fail)
    assert (record["schema"], record["exit_code"]) == (1, 3)
    drift = next(check for check in record["candidates"][0]["checks"] if check["name"] == "mean_drift")
    assert drift["bound"] is None


def test_a_destroyed_model_fails_though_its_disparity_is_splendid(capsys, tmp_path):
    """INT8 took an EfficientNet-B0 from 73 % to 52 % accuracy while its equalised odds went from 27.7 to 0.7."""
    groups, labels = (axis.repeat(600) for axis in np.indices((5, 2)).reshape(2, -1))
    rights = {
        "fp32": [(450, 516), (445, 480), (440, 450), (430, 400), (416, 350)],
        "int8": [(316, 317), (315, 315), (314, 314), (314, 314), (313, 313)],
    }
    rng = np.random.default_rng(0)
    gaps, accuracies = {}, {}
    for name, cells in rights.items():
        predicted = 1 - labels
        for group, label in np.ndindex(5, 2):
            rows = np.flatnonzero((groups == group) & (labels == label))
            predicted[rng.choice(rows, cells[group][label], replace=False)] = label
        predictions(predicted, labels, groups).save(tmp_path / f"{name}.npz")
        gaps[name] = round(100 * equalized_odds_difference(confusion(labels, predicted, groups, 2, 5)), 1)
        accuracies[name] = round(100 * (predicted == labels).mean(), 2)
    assert (gaps, accuracies) == ({"fp32": 27.7, "int8": 0.7}, {"fp32": 72.95, "int8": 52.42})
    code, text = verify(capsys, tmp_path / "fp32.npz", tmp_path / "int8.npz")
    assert code == 1
    assert "Fails: accuracy fell by 20.53 points" in text
    wide = ("--tolerance-mean", "100", "--max-accuracy-drop", "100", "--max-flips", "100")
    assert verify(capsys, tmp_path / "fp32.npz", tmp_path / "int8.npz", *wide)[0] == 1  # the worst group alone suffices


def test_what_cannot_be_read_or_judged_ends_with_2_and_a_sentence(capsys, folder, files):
    whole = (files / "ref.npz").read_bytes()
    (files / "half.npz").write_bytes(whole[: len(whole) // 2])
    (files / "empty").mkdir()
    for arguments, words in (
        (["none.npz", files / "ref.npz"], "none.npz does not exist. Give a predictions file (.npz), a run folder, or"),
        ([files / "ref.npz", files / "half.npz"], "half.npz is not a readable predictions file"),
        ([files / "half.npz", files / "ref.npz"], "half.npz is not a readable predictions file"),
        ([files / "ref.npz", files / "names.npz"], "the class_names differ"),
        ([files / "ref.npz", files / "few.npz"], "examples are only in the reference"),
        ([files / "empty", files / "ref.npz"], "is not a run folder: no recipe.toml in it"),
        ([folder, f"{folder}:ort-cpu-int9"], "has no artefact 'ort-cpu-int9'; did you mean 'ort-cpu-int8'?"),
        ([folder, "nowhere:ort-cpu-int8"], "of the run folder nowhere, which does not exist"),
        ([folder, f"{files / 'ref.npz'}:x"], "which is a file"),
        ([files / "ref.npz", files / "same.npz", "--tolerance-mean", "-1"], "tolerance 'mean_drift_points' is -1"),
        (
            [files / "ref.npz", files / "same.npz", "--max-size-mb", "0"],
            "'max_size_mb' is 0; allowed is anything above",
        ),
        ([files / "ref.npz", files / "same.npz", "--recipe", "no.toml"], "cannot read the recipe no.toml"),
        ([files / "ref.npz"], "Missing argument 'CANDIDATE...'"),
    ):
        code, text = verify(capsys, *arguments)
        assert code == 2, text
        assert words in " ".join(text.split()), text
        assert "Traceback" not in text


def test_a_run_without_finished_predictions_is_refused(capsys, folder, tmp_path):
    again = shutil.copytree(folder, tmp_path / "run")
    (again / "predictions" / "stage.json").unlink()
    code, text = verify(capsys, folder, again)
    assert code == 2
    assert "has no finished predictions. Run edgefair distill-and-export" in text


def test_stale_predictions_are_refused(capsys, folder, tmp_path):
    again = shutil.copytree(folder, tmp_path / "run")
    engine, made = again / "artefacts" / "student.onnx", again / "predictions" / "ort-cpu-fp32.npz"
    engine.write_bytes(b"rebuilt")
    code, text = verify(capsys, again, f"{again}:ort-cpu-fp32")
    assert code == 2
    assert "stale predictions:" in text
    engine.unlink()
    assert "student.onnx is missing" in verify(capsys, again, f"{again}:ort-cpu-fp32")[1]
    engine.write_bytes(b"ort-cpu-fp32")
    assert verify(capsys, again, f"{again}:ort-cpu-fp32")[0] == 0
    swapped = Predictions.load(again / "predictions" / "ort-cpu-fp32.npz")
    replace(swapped, logits=swapped.logits + 1).save(made)
    code, text = verify(capsys, again, f"{again}:ort-cpu-fp32")
    assert code == 2
    assert "is not the file that its run wrote" in text


@pytest.mark.parametrize("name", ["non-inferiority", "no-worse"])
def test_a_claim_has_two_names_and_is_recorded_under_one(capsys, files, tmp_path, name):
    verify(capsys, files / "ref.npz", files / "bad.npz", "--claim", name, "--json", tmp_path / "v.json")
    assert json.loads((tmp_path / "v.json").read_text())["tolerances"]["claim"] == "no_worse"
