"""The main job end to end, and what is left when it is killed, interrupted or fed with something wrong."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefair.errors import DataError, RecipeError, RunFolderError, TrainingError
from edgefair.files import finite, sha256
from edgefair.pipeline.job import distill_and_export
from edgefair.predictions import Predictions
from edgefair.runtimes import manifest, runtime_class
from tests.helpers.command_line import run
from tests.helpers.recipes import tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished tiny run: its folder and its report."""
    from edgefair.log import Log

    folder = tmp_path_factory.mktemp("run")
    return folder, distill_and_export(tiny(), folder, Log(quiet=True))


def test_every_artefact_is_predicted_judged_and_measured(finished):
    folder, report = finished
    names = [entry["artefact"] for entry in report["artefacts"]]
    assert names == ["teacher", "student", "ort-cpu-fp32", "ort-cpu-int8", "null"]
    for entry in report["artefacts"]:
        assert entry["sha256"] in {sha256(p) for p in folder.glob("*/*") if p.name == entry["file"]}
        assert entry["latency"]["1"]["p50_ms"] <= entry["latency"]["1"]["p90_ms"] <= entry["latency"]["1"]["p99_ms"]
        assert entry["latency"]["4"]["calls"] >= 20
        scores = entry["metrics"]["scores"]
        averages = {f"{average}_{name}" for average in ("macro", "weighted") for name in ("precision", "recall", "f1")}
        assert averages | {"accuracy", "auroc"} == set(scores)
        assert all(
            {"value", "floor", "floor_q95", "p_value"} == set(d) for d in entry["metrics"]["disparities"].values()
        )
        assert all({"signed", "gap", "floor_q95"} <= set(c) for c in entry["metrics"]["classes"])
    beside = {e["artefact"]: e["latency"]["4"].get("speedup", {}).get("to") for e in report["artefacts"]}
    assert beside == {
        "teacher": "student",
        "student": None,
        "ort-cpu-fp32": "student",
        "ort-cpu-int8": "ort-cpu-fp32",
        "null": None,
    }
    assert report["bench"]["control"]["1"]["of"] == "ort-cpu-fp32"
    claims = {e["artefact"]: (e["reference"], e["verdict"]["claim"]) for e in report["artefacts"] if "verdict" in e}
    assert claims == {
        "student": ("teacher", "no_worse"),
        "ort-cpu-fp32": ("student", "same"),
        "ort-cpu-int8": ("student", "same"),
    }
    assert report["outcome"] in ("pass", "fail", "inconclusive")


def test_predictions_hold_ids_labels_groups_and_logits_of_the_gate_rows(finished):
    folder, _ = finished
    gate = json.loads((folder / "data/ids.json").read_text())["gate"]
    student, onnx = (Predictions.load(folder / f"predictions/{name}.npz") for name in ("student", "ort-cpu-fp32"))
    assert student.ids.tolist() == gate
    assert (student.groups >= 0).all()
    np.testing.assert_allclose(student.logits, onnx.logits, atol=1e-4 * np.abs(student.logits).max())
    assert student.about["machine"]["processor"]
    assert onnx.about["provider"] == "CPUExecutionProvider"


def test_report_files_are_json_and_self_contained(finished):
    folder, _ = finished
    stored = json.loads(
        (folder / "report.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON")
    )
    assert stored["schema"] == 1
    assert stored["recipe_sha256"] == tiny().hash
    assert "L_task - lambda * L_adv" in stored["lambda"]["meaning"]
    page = (folder / "report.html").read_text()
    assert "ort-cpu-int8" in page
    assert "model-index" in (folder / "MODEL_CARD.md").read_text()


def test_calibration_is_balanced_and_disjoint(finished):
    folder, _ = finished
    ids = json.loads((folder / "data/ids.json").read_text())
    lists = [set(ids[name]) for name in ids]
    assert sum(map(len, lists)) == len(set.union(*lists))
    chosen = json.loads((folder / "artefacts/export.json").read_text())["calibration"]["ids"]
    assert len(chosen) == 2 * 10 * 2
    assert set(chosen) <= set(ids["calibration"])


def test_a_finished_run_is_not_redone(finished, quiet):
    folder, report = finished
    before = {p: p.stat().st_mtime_ns for p in folder.glob("*/*")}
    again = distill_and_export(tiny(), folder, quiet)
    assert {p: p.stat().st_mtime_ns for p in folder.glob("*/*")} == before
    assert finite(again) == finite(report)


def test_a_loss_that_is_not_finite_stops_with_epoch_and_step(tmp_path, quiet):
    recipe = tiny(teacher__lr=1e12, teacher__epochs=3)
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at epoch \d, step \d.*train\.lr"):
        distill_and_export(recipe, tmp_path / "run", quiet)


def test_the_last_good_checkpoint_survives_a_diverging_epoch(tmp_path, quiet, monkeypatch):
    from edgefair.strategies.plain import Plain

    step = Plain.step

    def diverge(self, batch):
        values = step(self, batch)
        return values if self.global_step <= 10 else {**values, "loss": float("nan")}

    monkeypatch.setattr(Plain, "step", diverge)
    with pytest.raises(TrainingError, match="epoch 2, step"):
        distill_and_export(tiny(), tmp_path / "run", quiet)
    checkpoint = tmp_path / "run/teacher/checkpoint.pt"
    assert checkpoint.exists()
    monkeypatch.setattr(Plain, "step", step)
    distill_and_export(tiny(), tmp_path / "run", quiet)
    assert not checkpoint.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss__name": "rkdd"}, "unknown loss 'rkdd'; did you mean 'rkd'"),
        ({"strategy__name": "adverserial"}, "unknown strategy 'adverserial'; did you mean 'adversarial'"),
        ({"data__name": "trifeatur"}, "unknown data set 'trifeatur'; did you mean 'trifeature'"),
        ({"student__spec": "cifar:resnet9"}, "cifar:resnet8"),
    ],
)
def test_unknown_names_are_refused_before_anything_is_trained(tmp_path, quiet, changes, words):
    with pytest.raises(RecipeError, match=words):
        distill_and_export(tiny(**changes), tmp_path / "run", quiet)
    assert not (tmp_path / "run" / "teacher").exists()


def test_a_calibration_list_without_a_cell_is_refused_before_training(tmp_path, quiet):
    with pytest.raises(DataError, match=r"fewer than 30 rows.*quantize\.rows_per_cell"):
        distill_and_export(tiny(quantize__rows_per_cell=30), tmp_path / "run", quiet)


def test_limits_of_size_and_latency_decide(tmp_path, quiet, finished):
    import shutil

    source, _ = finished
    for limit, outcome in ((0.0001, "fail"), (1000, "pass")):
        folder = tmp_path / f"{limit}"
        shutil.copytree(source, folder)
        recipe = tiny(gate__max_size_mb=limit, gate__max_latency_p90_ms=1000 * limit)
        (folder / "recipe.toml").write_text(recipe.to_toml())
        report = distill_and_export(recipe, folder, quiet)
        entry = next(e for e in report["artefacts"] if e["artefact"] == "ort-cpu-int8")
        assert {check["name"]: check["outcome"] for check in entry["limits"]}["size_mb"] == outcome
        if outcome == "fail":
            assert report["outcome"] == entry["outcome"] == "fail"


@pytest.mark.parametrize(("loss", "strategy"), [("none", "plain"), ("ckd", "adversarial")])
def test_every_loss_and_strategy_reaches_a_report(tmp_path, quiet, loss, strategy):
    report = distill_and_export(
        tiny(loss__name=loss, strategy__name=strategy, train__epochs=1), tmp_path / "run", quiet
    )
    assert report["recipe"]["loss"]["name"] == loss
    assert strategy in report["lambda"]["meaning"]


def test_a_teacher_from_a_file_is_used_as_it_is(tmp_path, quiet, finished):
    source, _ = finished
    weights = source / "teacher/teacher.safetensors"
    distill_and_export(tiny(teacher__spec=f"file:{weights}", train__epochs=1), tmp_path / "run", quiet)
    assert json.loads((tmp_path / "run/teacher/history.json").read_text()) == []
    from safetensors.numpy import load_file

    before, after = load_file(weights), load_file(tmp_path / "run/teacher/teacher.safetensors")
    assert all((before[name] == after[name]).all() for name in before)


def test_engines_are_built_without_a_gpu_and_never_counted_as_passed(tmp_path, quiet, finished, capsys):
    reason = runtime_class("tensorrt-rtx").build_unavailable_reason()
    if reason:
        pytest.skip(reason)
    if not runtime_class("tensorrt-rtx").run_unavailable_reason():
        pytest.skip("this machine has a GPU: here engines are run, which the tests marked gpu do")
    source, _ = finished
    weights = source / "student/student.safetensors"
    deploy = {"deploy__targets": ["tensorrt-rtx"], "deploy__precisions": ["fp16", "int8"], "train__epochs": 1}
    recipe = tiny(teacher__spec=f"file:{weights}", student__spec=f"file:{weights}", **deploy)
    report = distill_and_export(recipe, tmp_path / "run", quiet)
    names = ["tensorrt-rtx-fp16", "tensorrt-rtx-fp16-b1", "tensorrt-rtx-int8", "tensorrt-rtx-int8-b1"]
    assert [one["artefact"] for one in report["unverified"]] == names
    assert all("driver" in one["reason"] for one in report["unverified"])
    assert [one["artefact"] for one in report["artefacts"]] == ["teacher", "student", "null"]
    assert report["outcome"] != "pass"
    listed = {one.name: one for one in manifest.read(tmp_path / "run/artefacts")}
    for name in names:  # every convolution and matrix product in the datatype that the file is named after
        assert set(listed[name].facts["layers"]["products"]) == {name.split("-")[2]}, name
    code, said = run(capsys, "verify", str(tmp_path / "run"), f"{tmp_path / 'run'}:tensorrt-rtx-int8")
    assert code == 2
    assert "was built but not verified on a device" in said


def folder_of_photographs(folder, gate_lacks=None):
    """A manifest of small pictures: two classes, two groups, and a gate list that may lack a cell."""
    from PIL import Image

    random = np.random.default_rng(0)
    lines = ["path,label,group,split"]
    for index in range(240):
        label, group = ("cat", "dog")[index % 2], ("in", "out")[index // 2 % 2]
        split = "gate" if index >= 120 else ""
        if split and (label, group) == gate_lacks:
            continue
        pixels = random.integers(0, 80, (24, 24, 3), dtype=np.uint8) + np.uint8(120 * (index % 2))
        Image.fromarray(pixels).save(folder / f"{index}.png")
        lines.append(f"{index}.png,{label},{group},{split}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return {
        "data__name": "manifest",
        "data__path": str(folder / "manifest.csv"),
        "data__image_size": 16,
        "data__calibration_share": 0.2,
    }


def test_photographs_of_a_manifest_go_all_the_way(tmp_path, quiet):
    report = distill_and_export(tiny(**folder_of_photographs(tmp_path)), tmp_path / "run", quiet)
    assert report["data"]["class_names"] == ["cat", "dog"]
    assert report["data"]["rows"]["gate"] == 120
    assert report["recipe"]["train"]["augment"] == "crop-flip"


def test_data_that_changed_after_the_run_are_refused(tmp_path, quiet):
    recipe, out = tiny(**folder_of_photographs(tmp_path)), tmp_path / "run"
    distill_and_export(recipe, out, quiet)
    left = {path: sha256(path) for path in out.rglob("*") if path.is_file()}
    table = Path(recipe.data.path)
    lines = table.read_text().splitlines()
    image = table.parent / lines[-1].split(",")[0]
    before = image.read_bytes()

    Image.new("RGB", (20, 20), "red").save(image)
    with pytest.raises(RunFolderError, match=r"data changed since(.|\n)*content_hashes.images: files-(.|\n)*--out"):
        distill_and_export(recipe, out, quiet)
    image.write_bytes(before)
    name, label, *rest = lines[-1].split(",")
    table.write_text("\n".join([*lines[:-1], ",".join([name, "dog" if label == "cat" else "cat", *rest])]))
    with pytest.raises(RunFolderError, match=r"content_hashes\.labels"):
        distill_and_export(recipe, out, quiet)
    assert {path: sha256(path) for path in out.rglob("*") if path.is_file()} == left

    table.write_text("\n".join(lines))
    shutil.copy(image, tmp_path / "copy")
    shutil.move(tmp_path / "copy", image)  # a new time of writing, the same content
    distill_and_export(recipe, out, quiet)
    assert all(sha256(path) == known for path, known in left.items() if path.suffix in (".npz", ".safetensors"))


def test_a_cell_without_gate_rows_is_reported_and_never_a_pass(tmp_path, quiet):
    recipe = tiny(**folder_of_photographs(tmp_path, gate_lacks=("dog", "out")))
    report = distill_and_export(recipe, tmp_path / "run", quiet)
    entries = {entry["artefact"]: entry for entry in report["artefacts"]}
    assert report["outcome"] in ("inconclusive", "fail")
    assert entries["ort-cpu-fp32"]["outcome"] == "inconclusive"
    assert "no rows of out/dog" in entries["ort-cpu-fp32"]["verdict"]["sentence"]
    stored = json.loads((tmp_path / "run/report.json").read_text())
    assert stored["artefacts"][1]["metrics"]["disparities"]["mean_abs_disparity"]["value"] is None
    assert "undefined" in (tmp_path / "run/report.html").read_text()
    from rich.console import Console

    from edgefair.report.terminal.run import print_report

    console = Console(width=80, record=True, file=io.StringIO())
    print_report(report, console)
    assert "undefined" in console.export_text()


def test_the_table_fits_a_narrow_terminal(finished):
    from rich.console import Console

    from edgefair.report.terminal.run import print_report

    _, report = finished
    console = Console(width=80, record=True, file=io.StringIO())
    print_report(report, console)
    assert "…" not in console.export_text()


def test_a_teacher_that_guesses_is_called_out(finished):
    from edgefair.pipeline.judge_run import teacher_warnings

    assert teacher_warnings([{"validation_balanced": 0.11}, {"validation_balanced": 0.12}], 10)
    assert not teacher_warnings([{"validation_balanced": 0.11}, {"validation_balanced": 0.4}], 10)
    assert not teacher_warnings([], 10)
    _, report = finished
    assert "own recall gap is" in report["remaining"]
    assert report["remaining"].split(".")[0] in " ".join((finished[0] / "report.html").read_text().split())
