"""The device kit: what is in it, what a device makes of it without torch, and that the host judges what comes back."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from edgefair.cli import cli
from edgefair.data import load_examples
from edgefair.data.gate_rows import GateRows
from edgefair.errors import ArtefactError, RunFolderError
from edgefair.files import sha256
from edgefair.pipeline.device.kit import bundle, check
from edgefair.predictions import Predictions
from edgefair.runtimes import manifest
from edgefair.runtimes.predict import artefact_from_file, predict
from tests.helpers.command_line import run
from tests.helpers.toy_run import RECIPE, make_run, toy_onnx

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A finished run and its kit, as they are on the host."""
    from edgefair.log import Log

    folder = tmp_path_factory.mktemp("host")
    make_run(folder / "run")
    bundle(folder / "run", folder / "kit", Log(quiet=True))
    return folder


@pytest.fixture
def kit(host, tmp_path):
    """A copy of the kit, for what changes it."""
    return shutil.copytree(host / "kit", tmp_path / "kit")


@pytest.fixture
def program(tmp_path):
    """`edgefair` as a program of this interpreter's."""
    path = tmp_path / "bin" / "edgefair"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgefair "$@"\n')
    path.chmod(0o755)
    return path


def script(kit, *arguments, **environment):
    """Exit code and everything that run_on_device.sh prints."""
    command = ["sh", str(kit / "run_on_device.sh"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    return done.returncode, done.stdout + done.stderr


def test_a_kit_holds_files_gate_rows_and_hashes(host, quiet):
    kit, run_folder = host / "kit", host / "run"
    files = json.loads((kit / "kit.json").read_text())["files"]
    there = {path.relative_to(kit).as_posix() for path in kit.rglob("*") if path.is_file()}
    assert there == set(files) | {"kit.json"}
    assert all(sha256(kit / name) == value for name, value in files.items())
    for name in ("student.onnx", "student.int8.ort-cpu.onnx"):
        assert sha256(kit / name) == sha256(run_folder / "artefacts" / name)
    examples = load_examples(RECIPE.data, RECIPE.seed, quiet)
    gate, rows = GateRows.load(kit / "gate.npz"), examples.rows["gate"]
    assert isinstance(gate.images, np.memmap)
    np.testing.assert_array_equal(gate.images, examples.images[rows])
    assert gate.ids.tolist() == examples.ids[rows].tolist()
    assert (gate.labels.tolist(), gate.groups.tolist()) == (
        examples.labels[rows].tolist(),
        examples.groups[rows].tolist(),
    )
    first = np.asarray(Image.open(kit / "latency" / "0000.png")).transpose(2, 0, 1)
    np.testing.assert_array_equal(first, examples.images[examples.rows["calibration"][0]])
    assert len(list((kit / "latency").iterdir())) == max(RECIPE.bench.batches)


def test_identities_travel_with_the_rows(host, tmp_path):
    gate = GateRows.load(host / "kit" / "gate.npz")
    who = np.array([f"person {row % 7}" for row in gate.rows])
    replace(gate, identities=who).save(tmp_path / "gate.npz")
    assert GateRows.load(tmp_path / "gate.npz").identities.tolist() == who.tolist()
    assert gate.identities is None


def test_an_archive_is_the_same_kit_and_its_size_is_said(capsys, host, tmp_path):
    code, text = run(capsys, "bundle", str(host / "run"), "--out", str(tmp_path / "new" / "kit.tar.gz"))
    assert code in (0, None), text
    assert f"kit.tar.gz: {(tmp_path / 'new/kit.tar.gz').stat().st_size / 1e6:.1f} MB" in text
    with tarfile.open(tmp_path / "new" / "kit.tar.gz") as archive:
        assert {member.uname for member in archive} == {""}
        archive.extractall(tmp_path, filter="data")
    check(tmp_path / "kit")
    assert (tmp_path / "kit" / "kit.json").read_text() == (host / "kit" / "kit.json").read_text()


def test_a_kit_is_never_half_written(host, tmp_path, monkeypatch, quiet):
    monkeypatch.setattr(GateRows, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    for name in ("kit", "kit.tar.gz"):
        with pytest.raises(RunFolderError, match="No space left"):
            bundle(host / "run", tmp_path / name, quiet)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda run_folder: (run_folder / "recipe.toml").unlink(), "is not a run folder"),
        (lambda run_folder: (run_folder / "predictions/stage.json").unlink(), "has no finished predictions"),
        (lambda run_folder: (run_folder / "artefacts/student.onnx").write_bytes(b"x"), "not the file that its run"),
        (lambda run_folder: _other_data(run_folder / "predictions/student.npz"), "the data changed after the run"),
    ],
)
def test_only_a_whole_run_becomes_a_kit(capsys, host, tmp_path, break_it, words):
    broken = shutil.copytree(host / "run", tmp_path / "run")
    break_it(broken)
    code, text = run(capsys, "bundle", str(broken), "--out", str(tmp_path / "kit"))
    assert (code, "Traceback" in text) == (2, False)
    assert words in " ".join(text.split())
    assert not (tmp_path / "kit").exists()


def _other_data(path):
    predictions = Predictions.load(path)
    predictions.about["data_sha256"] = "0" * 64
    predictions.save(path)


def test_an_existing_kit_is_left_alone(capsys, host):
    code, text = run(capsys, "bundle", str(host / "run"), "--out", str(host / "kit"))
    assert code == 2
    assert "exists. Choose another place with --out" in text


def test_a_device_predicts_what_the_main_job_does_and_the_host_judges_it(capsys, host, kit, tmp_path, quiet):
    out = tmp_path / "p.npz"
    arguments = ["--runtime", "ort", "--gate", str(kit / "gate.npz"), "--out", str(out)]
    assert run(capsys, "predict", str(kit / "student.int8.ort-cpu.onnx"), *arguments)[0] in (0, None)
    made = host / "run" / "artefacts" / "student.int8.ort-cpu.onnx"
    gate = GateRows.of(load_examples(RECIPE.data, RECIPE.seed, quiet))
    expected, got = predict(artefact_from_file(made, "ort"), gate, quiet), Predictions.load(out)
    np.testing.assert_array_equal(got.logits, expected.logits)
    assert got.about == expected.about
    assert got.about["artefact"] == "ort-cpu-int8"
    assert got.about["formats"] == {"fp32": 0.5, "int8": 0.5}
    code, text = run(capsys, "verify", str(host / "run"), str(out))
    assert (code, "PASS: 1 of 1 passed" in text) == (0, True)


def test_the_host_refuses_other_rows_and_other_images(capsys, host, tmp_path):
    gate = GateRows.load(host / "kit" / "gate.npz")
    images = gate.images.copy()
    images[0, 0, 0, 0] ^= 1
    fields = ("images", "rows", "ids", "labels", "groups")
    for name, other in {
        "images": replace(gate, images=images),
        "rows": replace(gate, **{field: getattr(gate, field)[:-1] for field in fields}),
    }.items():
        _hashed(other).save(tmp_path / f"{name}.npz")
        out = tmp_path / f"{name}-predictions.npz"
        arguments = ["--runtime", "ort", "--gate", str(tmp_path / f"{name}.npz"), "--out", str(out)]
        assert run(capsys, "predict", str(host / "kit" / "student.onnx"), *arguments)[0] in (0, None)
        code, text = run(capsys, "verify", str(host / "run"), str(out))
        assert code == 2
        assert {"images": "another data set", "rows": "only in the reference"}[name] in " ".join(text.split())


def _hashed(gate):
    from edgefair.data.gate_rows import pixels_sha256
    from edgefair.files import digest

    return replace(gate, rows_sha256=digest(gate.ids.tolist()), data_sha256=pixels_sha256(gate.images, gate.rows))


def test_building_notes_what_was_built_of_what(capsys, kit):
    code, text = run(
        capsys, "build", str(kit), "--runtime", "tensorrt-rtx", "--set", "deploy.max_batch=4", "--precision", "fp32"
    )
    assert code == 3, text
    assert "built, not verified on a device: no NVIDIA driver answers" in text
    entries = {one.name: one for one in manifest.read(kit) if one.runtime == "tensorrt-rtx"}
    assert list(entries) == ["tensorrt-rtx-fp32", "tensorrt-rtx-fp32-b1"]
    for name, entry in entries.items():
        assert f"{name}\t{kit / entry.file}\n" in text
        assert manifest.listed(kit / entry.file) == entry
        assert entry.blocked
        assert entry.facts["source_sha256"] == sha256(kit / "student.onnx")
    assert entries["tensorrt-rtx-fp32"].facts["profile"]["max"] == 4
    check(kit)  # what was built is an addition, not a change
    code, text = run(capsys, "predict", text.split("\t")[1].split("\n")[0], *_where(kit, "tensorrt-rtx"))
    assert (code, "needs a GPU to run" in text) == (2, True)


def _where(kit, runtime):
    return ["--runtime", runtime, "--gate", str(kit / "gate.npz"), "--out", str(kit / "out.npz")]


def test_a_file_of_ones_own_is_built_elsewhere_under_its_own_name(capsys, tmp_path):
    toy_onnx(tmp_path / "mine.onnx", precision="int8")
    code, text = run(
        capsys, "build", str(tmp_path / "mine.onnx"), "--runtime", "openvino", "--out", str(tmp_path / "o")
    )
    assert code in (0, None)
    assert f"mine-openvino-int8\t{tmp_path / 'o' / 'mine.onnx'}\n" in text
    assert [one.precision for one in manifest.read(tmp_path / "o")] == ["int8"]


@pytest.mark.slow
def test_the_script_says_that_engines_without_a_device_are_not_verified(kit, program):
    code, text = script(kit, kit, "--runtime", "tensorrt-rtx", "--edgefair", program)
    assert code == 3, text
    assert "not verified on a device: nothing was predicted, nothing may count as passed" in text
    assert not list((kit / "results").glob("*.npz"))
    assert (kit / "student.fp32.tensorrt-rtx.b1.engine").is_file()


@pytest.fixture
def network(tmp_path):
    """A device at the other end of `ssh` and `scp` that are played by the shell: its home is a folder."""
    home, tools = tmp_path / "home of device", tmp_path / "tools"
    home.mkdir()
    tools.mkdir()
    played = {
        "ssh": f'[ "$1" = me@nano ] || exit 255\ncd "{home}" && exec sh -c "$2"\n',
        "scp": f"""shift
for last; do :; done
while [ $# -gt 1 ]; do
    case $1 in me@nano:*) from="{home}/${{1#*:}}" ;; *) from=$1 ;; esac
    case $last in me@nano:*) to="{home}/${{last#*:}}" ;; *) to=$last ;; esac
    cp -r "$from" "$to" || exit 1
    shift
done
""",
    }
    for name, text in played.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}")
        (tools / name).chmod(0o755)
    return home, {"PATH": f"{tools}:/usr/bin:/bin"}


@pytest.mark.skipif("bench" not in cli.commands, reason="edgefair bench is not there")
@pytest.mark.slow
def test_over_ssh_the_whole_job_is_done_and_the_host_passes_it(capsys, host, kit, network, program):
    home, environment = network
    options = ["--runtime", "ort", "--edgefair", program, "--", "--seconds", "0", "--queries", "64", "--no-probe"]
    code, text = script(kit, kit, "--host", "me@nano", "--folder", "a/b", *options, **environment)
    assert code == 0, text
    assert (home / "a" / "b" / "gate.npz").is_file()
    results = sorted(path.name for path in (kit / "results").iterdir())
    assert results == ["built.txt", "latency.json", "manifest.json", "ort-cpu-fp32.npz", "ort-cpu-int8.npz"]
    assert "edgefair verify RUN" in text
    candidates = [str(path) for path in sorted((kit / "results").glob("*.npz"))]
    code, text = run(capsys, "verify", str(host / "run"), *candidates)
    assert (code, "2 of 2 passed" in text) == (0, True), text
    limits = ["--latency", str(kit / "results/latency.json"), "--max-latency-p90-ms", "10000"]
    code, text = run(capsys, "verify", str(host / "run"), *candidates, *limits)
    control = json.loads((kit / "results/latency.json").read_text())["control"]
    assert code == (0 if control["1"]["quiet"] else 3), text  # on a machine too noisy to say, nothing passes
    assert text.count("p90 latency") >= 2


def test_over_ssh_the_answer_of_the_device_is_the_scripts(kit, network, stand_in):
    home, environment = network
    code, text = script(kit, kit, "--host", "me@nano", "--edgefair", stand_in(build=3), **environment)
    assert (code, "not verified on a device" in text) == (3, True), text
    assert (home / "edgefair-kit" / "student.onnx").is_file()
    code, text = script(kit, kit, "--host", "me@nano", "--edgefair", stand_in(predict=2), **environment)
    assert (code, "step 'predict with it' failed" in text, "the run on me@nano ended with" in text) == (2, True, True)
    code, text = script(kit, kit, "--host", "me@elsewhere", **environment)
    assert (code, "step 'reach the device' failed with exit code 255" in text) == (2, True)


@pytest.fixture
def stand_in(tmp_path):
    """A program in the place of `edgefair` whose commands end as they are told."""

    def make(**codes):
        path = tmp_path / "stand-in"
        ends = "\n".join(f"{name}) exit {code} ;;" for name, code in codes.items())
        path.write_text(f"#!/bin/sh\ncase $1 in\n{ends}\nbuild) printf 'it\\tit.onnx\\n' ;;\nesac\nexit 0\n")
        path.chmod(0o755)
        return path

    return make


@pytest.mark.parametrize(
    ("codes", "expected", "words"),
    [
        ({}, 0, "on the host, judge it against the run"),
        ({"build": 2}, 2, "step 'build' failed with exit code 2"),
        ({"build": 3}, 3, "not verified on a device"),
        ({"predict": 2}, 2, "step 'predict with it' failed with exit code 2"),
        ({"bench": 139}, 2, "step 'measure latency' failed with exit code 139"),
        ({"--version": 1}, 2, "step 'find edgefair' failed"),
    ],
)
def test_a_step_that_fails_stops_the_script(kit, stand_in, codes, expected, words):
    (kit / "results").mkdir()
    (kit / "results" / "old.npz").write_bytes(b"")
    code, text = script(kit, kit, "--edgefair", stand_in(**codes))
    assert (code, words in text) == (expected, True), text
    assert not (kit / "results" / "old.npz").exists() or codes == {"--version": 1}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no kit given"),
        (["KIT", "KIT"], "one kit at a time"),
        (["KIT", "--runtme", "ort"], "unknown option --runtme"),
        (["KIT", "--runtime"], "--runtime needs a value"),
        (["KIT", "--host", "a;reboot"], "--host: 'a;reboot' is not a value that can be used"),
        (["KIT", "--", "--images", "$HOME"], "bench option: '$HOME' is not a value"),
        (["KIT", "--edgefair", "/none/edgefair"], "step 'find edgefair' failed: '/none/edgefair' does not run"),
        (["elsewhere"], "step 'look at the kit' failed: elsewhere/kit.json is missing"),
    ],
)
def test_the_script_names_the_step_and_the_cause(host, arguments, words):
    code, text = script(host / "kit", *(str(host / "kit") if one == "KIT" else one for one in arguments))
    assert code == 2
    assert words in text


@pytest.mark.slow
def test_a_device_needs_no_torch(host, kit):
    """Every command of the device in one interpreter in which torch and what comes with it cannot be imported."""
    predicted = str(kit / "p.npz")
    commands = [
        ["build", str(kit), "--runtime", "ort"],
        ["predict", str(kit / "student.onnx"), *_where(kit, "ort")[:-1], predicted],
        ["verify", str(host / "run"), predicted],
        ["bundle", str(host / "run"), "--out", str(kit / "again")],
    ]
    if "bench" in cli.commands:
        quick = ["--seconds", "0", "--queries", "64", "--no-probe"]
        commands.append(["bench", str(kit / "student.onnx"), "--runtime", "ort", *quick])
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm", "safetensors", "jinja2"):
            raise ImportError(f"{{name}} is not on a device")
sys.meta_path.insert(0, Blocked())
from edgefair.cli import main
for arguments in {commands!r}:
    sys.argv = ["edgefair", *arguments]
    try:
        main()
    except SystemExit as stop:
        print("exit", arguments[0], stop.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    codes = [line for line in done.stdout.splitlines() if line.startswith("exit ")]
    assert codes == [f"exit {arguments[0]} 0" for arguments in commands], done.stdout + done.stderr


def test_a_kit_that_is_not_whole_is_refused(kit):
    (kit / "gate.npz").unlink()
    (kit / "latency" / "0000.png").write_bytes(b"")
    with pytest.raises(ArtefactError, match=r"gate\.npz missing; latency/0000\.png changed"):
        check(kit)
