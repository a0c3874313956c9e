"""`edgefair quantize` on a finished run: what it writes, what it never looks at, and what it refuses."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from edgefair.data import load_examples
from edgefair.errors import DataError, RecipeError, RunFolderError
from edgefair.files import sha256, write_json
from edgefair.pipeline.quantize import request as run_module
from edgefair.pipeline.quantize import run as job
from edgefair.pipeline.quantize.request import QuantizeRequest, chosen_target
from edgefair.pipeline.quantize.run import quantize_run
from edgefair.pipeline.run_folder import RunFolder
from edgefair.predictions import Predictions
from edgefair.runtimes import manifest
from tests.helpers.command_line import run
from tests.helpers.run_records import NO_CHOICE

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(small_run, tmp_path):
    """A copy of the finished run, to be written into."""
    return shutil.copytree(small_run, tmp_path / "run")


def own_files(folder):
    return {p: sha256(p) for p in folder.rglob("*") if p.is_file() and "quantized" not in p.parts and p.name != ".lock"}


def test_the_command_builds_judges_and_leaves_the_run_as_it_was(folder, tmp_path, capsys):
    before = own_files(folder)
    code, text = run(capsys, "quantize", str(folder), "--until-fair", "--json", str(tmp_path / "out.json"))
    report = json.loads((tmp_path / "out.json").read_text())
    assert own_files(folder) == before
    assert code == {"pass": 0, "fail": 1, "inconclusive": 3}[report["outcome"]], text
    built = folder / "quantized" / "ort-cpu" / "built"
    assert {entry.name for entry in manifest.read(built)} == {row["name"] for row in report["variants"]}
    for row in report["variants"]:
        assert row["sha256"] == sha256(built / f"{row['name']}.onnx")
        assert row["latency"]["p50_ms"] > 0
        assert row["name"] in text
    assert report["variants"][0]["flips"] == 0  # ONNX Runtime's float is the student's
    assert report["choices"]["group-aware"]["holds"]
    assert report["best"] == report["variants"][-1]["name"]
    row = report["variants"][-1]
    code, text = run(
        capsys, "verify", str(folder), str(built / f"{row['name']}.npz"), "--json", str(tmp_path / "v.json")
    )
    assert code in (0, 1, 3), text
    assert json.loads((tmp_path / "v.json").read_text())["candidates"][0]["outcome"] == row["outcome"]
    _, text = run(capsys, "quantize", str(folder), "--until-pass")
    assert "ranking: already done" in text
    assert "built: already done" in text


def test_nothing_of_the_gate_rows_is_read_before_the_file_is_judged(folder, tmp_path, quiet, monkeypatch):
    """With every gate label and pixel wrong, the same operators are chosen; only the verdict finds it out."""
    # A cost in milliseconds would be measured anew, and two operators may change places by that.
    request, chosen = QuantizeRequest(until_pass=True, cost="size"), "quantized/ort-cpu/choice/choice.json"
    with monkeypatch.context() as patch:
        patch.setattr(job, "build_variants", lambda work, choices, at: write_json(at / "report.json", NO_CHOICE))
        quantize_run(shutil.copytree(folder, tmp_path / "clean"), request, quiet)

    def poisoned(recipe, seed, log):
        examples = load_examples(recipe, seed, log)
        rows, images, labels = examples.rows["gate"], np.array(examples.images), examples.labels.copy()
        images[rows], labels[rows] = 255 - images[rows], (labels[rows] + 1) % 10
        return dataclasses.replace(examples, images=images, labels=labels)

    monkeypatch.setattr(RunFolder, "check_data", lambda *_: None)
    monkeypatch.setattr(run_module, "load_examples", poisoned)
    with pytest.raises(DataError):
        quantize_run(folder, request, quiet)
    assert (folder / chosen).read_text() == (tmp_path / "clean" / chosen).read_text()


def test_what_did_not_run_on_its_target_is_not_known_to_pass(folder, quiet):
    report = quantize_run(folder, QuantizeRequest(target="tensorrt", max_float=2), quiet)
    assert report["simulated"]
    assert report["cost"] == "size"
    assert report["outcome"] in ("fail", "inconclusive")
    assert len(report["choices"]["group-aware"]["kept"]) == 2
    assert all(row["blocked"] and row["latency"] is None for row in report["variants"])
    about = Predictions.load(folder / "quantized" / "tensorrt" / "built" / "group-aware.npz").about
    assert about["verified_on_device"] is False
    assert about["simulates"] == "tensorrt"


def test_fine_tuning_is_the_fallback_and_is_judged_beside_the_first_student(folder, quiet):
    """With no operator allowed in float and no flip allowed, post-training quantisation cannot hold."""
    recipe = (folder / "recipe.toml").read_text()
    strict = recipe.replace("flip_percent = 10.0", "flip_percent = 0.001\nmax_size_mb = 0.2")
    (folder / "recipe.toml").write_text(strict)
    request = QuantizeRequest(until_pass=True, max_float=0, finetune_epochs=1)
    report = quantize_run(folder, request, quiet)
    names = [row["name"] for row in report["variants"]]
    assert names == ["all-float", "all-int8", "fine-tuned"]
    assert not report["choices"]["group-aware"]["holds"]
    tuned = folder / "quantized" / "ort-cpu" / "finetuned"
    assert sha256(tuned / "student.onnx") != sha256(folder / "artefacts" / "student.onnx")
    assert report["variants"][2]["flips"] > 0
    sizes = {row["name"]: (row["limits"][0]["name"], row["limits"][0]["outcome"]) for row in report["variants"]}
    assert sizes == dict(zip(names, [("size_mb", word) for word in ("fail", "pass", "pass")], strict=True))
    assert report["variants"][0]["outcome"] == "fail"  # no flip, but too large


def test_wrong_input_is_said_plainly(folder, tmp_path, quiet, capsys):
    with pytest.raises(RunFolderError, match="not a run folder"):
        quantize_run(tmp_path, QuantizeRequest(), quiet)
    (tmp_path / "file").write_text("")
    code, text = run(capsys, "quantize", str(tmp_path / "file"))
    assert code == 2
    assert "not a run folder" in text
    assert run(capsys, "quantize", str(folder), "--target", "toaster")[0] == 2
    with pytest.raises(RecipeError, match="unknown target 'ort'; did you mean"):
        chosen_target(folder, "ort")
    with pytest.raises(RecipeError, match="use --cost size"):
        quantize_run(folder, QuantizeRequest(target="openvino", cost="latency"), quiet)
    manifest.write(folder / "artefacts", [e for e in manifest.read(folder / "artefacts") if e.precision != "int8"])
    with pytest.raises(RecipeError, match="no INT8 file"):
        quantize_run(folder, QuantizeRequest(), quiet)
    (folder / "predictions" / "stage.json").unlink()
    with pytest.raises(RunFolderError, match="no finished predictions"):
        quantize_run(folder, QuantizeRequest(), quiet)


@pytest.mark.parametrize("listed", [True, False])
def test_a_student_that_is_not_the_file_that_was_exported_is_refused(folder, capsys, listed):
    """By the manifest, or where only other files are listed there by the record of the stage."""
    artefacts = folder / "artefacts"
    if not listed:
        manifest.write(artefacts, [one for one in manifest.read(artefacts) if one.file != "student.onnx"])
    with open(artefacts / "student.onnx", "ab") as stream:
        stream.write(b"x")
    code, text = run(capsys, "quantize", str(folder))
    said = " ".join(text.split())
    assert (code, "is not the file that was exported: its SHA-256 is" in said) == (2, True), said
    assert f"{'manifest' if listed else 'stage'}.json says" in said
    assert not (folder / "quantized").exists()


def test_other_data_than_the_run_saw_are_refused(folder, quiet, monkeypatch):
    def changed(recipe, seed, log):
        examples = load_examples(recipe, seed, log)
        return dataclasses.replace(examples, labels=np.roll(examples.labels, 1))

    monkeypatch.setattr(run_module, "load_examples", changed)
    with pytest.raises(RunFolderError, match=r"the data changed since(.|\n)*content_hashes\.labels"):
        quantize_run(folder, QuantizeRequest(), quiet)
