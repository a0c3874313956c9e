"""`edgefair bench` and what reads its file: tables, limits, exit codes, wrong input, `verify --latency`."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from edgefair.errors import DataError, EdgefairError
from edgefair.files import sha256, write_json
from edgefair.latency.probe import inside
from edgefair.latency.record import read_latency
from edgefair.log import Log
from edgefair.pipeline.bench.inputs import bench_artefacts
from edgefair.runtimes import manifest
from tests.helpers.command_line import run
from tests.helpers.toy_run import make_run, toy_onnx

pytestmark = pytest.mark.integration

QUICK = ("--queries", "64", "--seconds", "0", "--warmup", "1", "--no-probe")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder with an fp32 and an int8 file, loose files, and an engine that no manifest names."""
    place = tmp_path_factory.mktemp("bench")
    make_run(place / "run")
    toy_onnx(place / "large.onnx", size=48)
    (place / "null.txt").write_text("10")
    (place / "m.engine").write_bytes(b"an engine")
    rng = np.random.default_rng(0)
    for i, suffix in enumerate(("png", "jpg")):
        (place / "photos").mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / "photos" / f"{i}.{suffix}")
    return place


def bench(capsys, *arguments):
    return run(capsys, "bench", *map(str, arguments), *QUICK)


@pytest.fixture(scope="module")
def record(folder, tmp_path_factory):
    """The file of a whole run folder at two batch sizes."""
    path = tmp_path_factory.mktemp("latency") / "l.json"
    command = [sys.executable, "-m", "edgefair", "bench", str(folder / "run"), "--batches", "1,4", "--json", str(path)]
    done = subprocess.run([*command, *QUICK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.slow
def test_a_run_folder_is_timed_whole_with_the_harness_and_its_record_is_complete(folder, record):
    read_latency(record)  # is one
    found = json.loads(record.read_text())
    assert (found["schema"], found["kind"], found["scenario"], found["threads"]) == (
        1,
        "edgefair-latency",
        "single-stream",
        1,
    )
    assert found["preprocessing"]["included"] is False
    assert set(found["artefacts"]) == {"ort-cpu-fp32", "ort-cpu-int8", "null"}
    assert set(found["files"]) == {"ort-cpu-fp32", "ort-cpu-int8"}
    for rows in found["artefacts"].values():
        assert list(rows) == ["1", "4"]
        for batch, row in rows.items():
            assert row["calls"] == 64
            assert row["p50_ms"] <= row["p90_ms"] <= row["p90_upper_ms"]
            assert row["p90_ms"] <= row["p99_ms"]
            assert row["images_per_s"] == pytest.approx(1e3 * int(batch) / row["mean_ms"])
    fp32 = found["files"]["ort-cpu-fp32"]
    assert fp32["sha256"] == sha256(folder / "run/artefacts/student.onnx")
    assert (fp32["runtime"], fp32["precision"], fp32["batch"]) == ("ort", "fp32", 0)
    assert found["artefacts"]["ort-cpu-int8"]["4"]["speedup"]["to"] == "ort-cpu-fp32"
    assert found["control"]["1"]["of"] == "ort-cpu-fp32"
    assert found["outcome"] is None


def test_one_artefact_of_a_run_beside_a_loose_file_on_two_runtimes(capsys, folder):
    student = folder / "run/artefacts/student.onnx"
    shutil.copy(student, folder / "copy.onnx")
    code, text = bench(
        capsys, f"{folder}/run:ort-cpu-int8", folder / "copy.onnx", "--runtime", "ort", "--runtime", "openvino"
    )
    assert code in (0, None)
    for words in ("ort-cpu-int8", "copy.onnx on ort", "copy.onnx on openvino", "The harness itself takes"):
        assert words in text
    assert "Preprocessing is not in the times" in text


def test_decoding_is_timed_where_asked_and_said(capsys, folder, tmp_path):
    files = [folder / "run/artefacts/student.onnx", "--runtime", "ort", "--images", folder / "photos"]
    medians = {}
    for flag in ((), ("--include-preprocess",)):
        code, text = bench(capsys, *files, *flag, "--json", tmp_path / "l.json")
        assert code in (0, None)
        assert f"Preprocessing {'is' if flag else 'is not'} in the times" in text
        found = json.loads((tmp_path / "l.json").read_text())
        assert found["preprocessing"]["included"] is bool(flag)
        assert found["preprocessing"]["source"] == "2 files of photos"
        medians[bool(flag)] = found["artefacts"]["null"]["1"]["p50_ms"]
    assert medians[True] > 5 * medians[False]  # a runtime that does nothing now decodes


def test_limits_decide_the_exit_code(capsys, folder):
    files = [folder / "run:ort-cpu-fp32", folder / "run:ort-cpu-int8", "--scenario", "single-stream"]
    code, text = bench(capsys, *files, "--max-p90-ms", "1e6", "--min-speedup", "1e-6")
    assert code in (0, 3)  # 3 where this machine is too noisy to say
    assert text.count("PASS ") == 3 or "too noisy" in text
    code, text = bench(capsys, *files, "--min-speedup", "1e6")
    assert code in (1, 3)
    assert "FAIL ort-cpu-int8: at batch 1 it is" in text or "too noisy" in text


def test_offline_is_about_throughput(capsys, folder, tmp_path):
    code, text = bench(
        capsys, f"{folder}/run:ort-cpu-fp32", "--scenario", "offline", "--batches", "8", "--json", tmp_path / "l.json"
    )
    assert code in (0, None)
    assert "at least 64 images" in text
    assert json.loads((tmp_path / "l.json").read_text())["artefacts"]["ort-cpu-fp32"]["8"]["calls"] == 16  # one a round


WRONG = {
    "no such file": (["none.onnx", "--runtime", "ort"], "none.onnx does not exist"),
    "no such run": (["none:ort-cpu-fp32"], "which does not exist"),
    "no such artefact": (["run:ort-cpu-int4"], "did you mean 'ort-cpu-int8'?"),
    "no runtime": (["large.onnx"], "add --runtime, one of eager"),
    "unknown runtime": (["large.onnx", "--runtime", "orf"], "unknown runtime 'orf'; did you mean 'ort'?"),
    "runtime for a run": (["run", "--runtime", "ort"], "--runtime is for files"),
    "two runtimes, three files": (
        ["large.onnx", "null.txt", "m.engine", "--runtime", "ort", "--runtime", "null"],
        "2 runtimes for 3 files",
    ),
    "engine with no manifest": (["m.engine", "--runtime", "tensorrt-rtx"], "stands in no manifest.json"),
    "a folder of something": (["photos"], "holds no manifest.json"),
    "two image sizes": (["large.onnx", "run/artefacts/student.onnx", "--runtime", "ort"], "[32, 48] pixels a side"),
    "no image size": (["null.txt", "--runtime", "null"], "give one size with --size"),
    "no threads": (["run", "--threads", "0"], "0 is not in the range"),
    "a batch of none": (["run", "--batches", "0,1"], "'0,1' is no list of whole numbers from 1"),
    "batches in words": (["run", "--batches", "some"], "'some' is no list"),
    "no such core": (["run", "--cores", "4096"], "cores [4096] were asked for"),
    "preprocess of nothing": (["run", "--include-preprocess"], "name their folder with --images"),
    "no images": (["run", "--images", "run/artefacts"], "holds no JPEG or PNG file"),
    "images that are not there": (["run", "--images", "nowhere"], "is no folder"),
    "a latency limit offline": (["run", "--scenario", "offline", "--max-p90-ms", "1"], "a limit of single-stream"),
    "mlperf, but shorter": (["run", "--mlperf"], "--mlperf fixes --queries and --seconds"),
    "a limit of nothing": (["run", "--max-p90-ms", "0"], "0.0 is not in the range"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_an_error_that_says_what_to_do(capsys, folder, tmp_path, monkeypatch, case):
    monkeypatch.chdir(folder)
    stale = tmp_path / "l.json"
    stale.write_text("of an earlier call")
    arguments, words = WRONG[case]
    code, text = bench(capsys, *arguments, "--json", stale)
    assert (code, "Traceback" in text) == (2, False), text
    assert words in text


def test_a_changed_file_of_a_run_is_not_timed_under_its_name(capsys, folder, tmp_path):
    again = shutil.copytree(folder / "run", tmp_path / "run")
    toy_onnx(again / "artefacts/student.onnx", scale=2.0)
    code, text = bench(capsys, f"{again}:ort-cpu-fp32")
    assert (code, "is not the file that was exported" in text) == (2, True)


def test_a_manifest_beside_a_file_says_what_runs_it_and_which_batch(folder, tmp_path):
    toy_onnx(tmp_path / "m.onnx")
    entry = manifest.entry("x-b1", tmp_path / "m.onnx", "openvino", "openvino", "fp32", batch=1)
    manifest.write(tmp_path, [entry])
    for text in (tmp_path / "m.onnx", tmp_path, f"{tmp_path}:x-b1"):
        (one,) = bench_artefacts([str(text)], [], Log(quiet=True))
        assert (one.runtime, one.batch, one.precision) == ("openvino", 1, "fp32")


def test_what_a_folder_holds_and_this_machine_cannot_run_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "edgefair.pipeline.bench.inputs.unavailable_reason", lambda runtime: "no GPU." if runtime == "tensorrt" else ""
    )
    toy_onnx(tmp_path / "m.onnx")
    entries = [manifest.entry(name, tmp_path / "m.onnx", name, name, "fp32") for name in ("ort", "tensorrt")]
    manifest.write(tmp_path, entries)
    assert [one.name for one in bench_artefacts([str(tmp_path)], [], Log(quiet=True))] == ["ort"]
    with pytest.raises(EdgefairError, match=r"artefact 'tensorrt' cannot run here: no GPU\."):
        bench_artefacts([f"{tmp_path}:tensorrt"], [], Log(quiet=True))
    manifest.write(tmp_path, entries[1:])
    with pytest.raises(EdgefairError, match="no artefact that this machine can run"):
        bench_artefacts([str(tmp_path)], [], Log(quiet=True))


def test_files_of_one_name_are_told_apart(folder, tmp_path):
    shutil.copy(folder / "large.onnx", tmp_path / "large.onnx")
    texts = [str(folder / "large.onnx"), str(tmp_path / "large.onnx")]
    assert [one.name for one in bench_artefacts(texts, ["ort"], Log(quiet=True))] == [
        "large.onnx on ort",
        "large.onnx on ort 2",
    ]
    assert [one.name for one in bench_artefacts(texts, ["ort", "openvino"], Log(quiet=True))] == [
        "large.onnx on ort",
        "large.onnx on openvino",
    ]


def test_a_fresh_process_tells_load_time_and_memory(folder):
    needs = inside("ort", folder / "large.onnx", 1, 64, 48)
    assert needs["load_ms"] > 0
    assert needs["first_call_ms"] > 0
    assert needs["memory_mb"] is None or needs["memory_mb"] >= 0
    assert needs["gpu_memory_mb"] is None


def test_the_main_table_has_what_the_probe_found_or_says_that_nothing_did(capsys, folder):
    code, text = run(capsys, "bench", str(folder / "null.txt"), "--runtime", "null", "--size", "8", *QUICK[:-1])
    assert code in (0, None)
    assert "not reported" in text  # GPU memory, energy


def verify(capsys, folder, record, *arguments):
    candidate = folder / "elsewhere.npz"
    if not candidate.exists():
        from dataclasses import replace

        from edgefair.predictions import Predictions

        made = Predictions.load(folder / "run/predictions/student.npz")
        about = made.about | {"sha256": sha256(folder / "run/artefacts/student.onnx")}
        replace(made, about=about).save(candidate)
    return run(capsys, "verify", str(folder / "run"), str(candidate), "--latency", str(record), *arguments)


def still(record, path, **rows):
    """The record of a machine that was quiet, with other numbers."""
    found = json.loads(record.read_text())
    for one in found["control"].values():
        one["quiet"] = rows.get("quiet", True)
    found["artefacts"]["ort-cpu-fp32"]["1"] |= {"p90_ms": 1.0, "p90_upper_ms": 2.0}
    write_json(path, found)
    return path


@pytest.mark.parametrize(
    ("limit", "quiet", "expected"), [("3", True, 0), ("1.5", True, 3), ("0.5", True, 1), ("3", False, 3)]
)
@pytest.mark.slow
def test_verify_judges_a_latency_measured_elsewhere(capsys, folder, record, tmp_path, limit, quiet, expected):
    path = still(record, tmp_path / "l.json", quiet=quiet)
    code, text = verify(capsys, folder, path, "--max-latency-p90-ms", limit)
    assert code == expected, text
    assert "p90 latency at batch 1 is 1 ms on " in text
    assert "(99 % upper estimate 2 ms, limit " in text


def test_verify_takes_no_timing_of_another_batch_size_but_that_of_an_engine_for_one(capsys, folder, record, tmp_path):
    found = json.loads(still(record, tmp_path / "l.json").read_text())
    rows = found["artefacts"]["ort-cpu-fp32"]
    del rows["1"]
    rows["4"] |= {"p90_ms": 1.0, "p90_upper_ms": 2.0}
    for batch, expected in ((0, "batch 1 was not measured"), (4, "batch 4 is 1 ms on ")):
        found["files"]["ort-cpu-fp32"]["batch"] = batch
        write_json(tmp_path / "l.json", found)
        code, text = verify(capsys, folder, tmp_path / "l.json", "--max-latency-p90-ms", "3")
        assert (code, expected in text) == (0 if batch else 3, True), text


def test_verify_takes_no_timing_of_another_file(capsys, folder, record, tmp_path):
    found = json.loads(record.read_text())
    found["files"]["ort-cpu-fp32"]["sha256"] = "0" * 64
    write_json(tmp_path / "l.json", found)
    code, text = verify(capsys, folder, tmp_path / "l.json", "--max-latency-p90-ms", "9000")
    assert code == 3
    assert "was not measured in the latency file" in text


def test_verify_refuses_a_latency_file_without_a_limit_and_one_that_is_none(capsys, folder, record, tmp_path):
    code, text = verify(capsys, folder, record)
    assert (code, "no limit on latency is set; add --max-latency-p90-ms" in text) == (2, True)
    code, text = verify(capsys, folder, tmp_path / "none.json", "--max-latency-p90-ms", "1")
    assert (code, "not a readable latency file" in text) == (2, True)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"kind": "edgefair-latency", "schema": 2, "files": {}, "artefacts": {}, "control": {}}'],
)
def test_what_is_no_latency_file_is_refused(tmp_path, content):
    (tmp_path / "l.json").write_text(content)
    with pytest.raises(DataError, match=r"latency file|schema 2"):
        read_latency(tmp_path / "l.json")
