"""The command line: exit codes, messages without tracebacks, and start-up without torch."""

import os
import subprocess
import sys

import pytest

from tests.helpers.command_line import run

TORCH_FREE = (
    "cli.app",
    "recipe.recipe",
    "preprocess",
    "predictions",
    "metrics.fairness",
    "significance",
    "gate.verdict",
    "latency.record",
    "pipeline.bench.run",
    "pipeline.bench.stage",
    "metrics.evaluate",
    "pipeline.run_folder",
    "runtimes",
    "runtimes.ort",
    "runtimes.openvino",
    "runtimes.null",
    "runtimes.predict",
    "data.gate_rows",
    "pipeline.device.build",
    "pipeline.device.kit",
    "export.quantization",
    "export.quantization.lint",
)


@pytest.mark.parametrize("module", TORCH_FREE)
@pytest.mark.slow
def test_the_core_imports_without_torch(module):
    code = (
        f"import sys, edgefair.{module}; print(sorted({{'torch', 'timm', 'onnxruntime', 'scipy'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_every_option(capsys):
    code, text = run(capsys, "distill-and-export", "--help")
    assert code in (0, None)
    for option in (
        "--recipe",
        "--data",
        "--teacher",
        "--student",
        "--loss",
        "--strategy",
        "--lambda",
        "--seed",
        "--device",
        "--set",
        "--out",
    ):
        assert option in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--lambda", "-1"], "--lambda (strategy.lam): a number of at least 0 is needed (given: -1.0)"),
        (["--lambda", "much"], "'much' is neither a number nor auto"),
        (["--data", "trifeatur"], "did you mean 'trifeature'"),
        (["--data", "none.csv"], "cannot read the manifest none.csv"),
        (["--loss", "rkdd"], "unknown loss 'rkdd'; did you mean 'rkd'"),
        (["--strategy", "advers"], "unknown strategy 'advers'"),
        (["--set", "train.epoch=3"], "'train.epoch' is not a setting: did you mean 'epochs'"),
        (["--set", "train.epochs"], "section.field=value"),
        (["--recipe", "none.toml"], "cannot read the recipe none.toml"),
        (["--student", "timm:resnet1"], "unknown network 'timm:resnet1'"),
        (["--teacher", "file:none.safetensors"], "cannot read the weights none.safetensors"),
        (["--lamda", "1"], "--lambda"),
        (["--device", "cuda"], "finds no CUDA device"),
    ],
)
@pytest.mark.slow
def test_wrong_input_ends_with_2_and_a_sentence(capsys, tmp_path, monkeypatch, arguments, words):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    code, text = run(capsys, "distill-and-export", *arguments)
    assert code == 2
    assert words in text
    assert "Traceback" not in text


def test_a_missing_extra_names_what_to_install(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, text = run(capsys, "distill-and-export")
    assert code == 2
    assert "pip install 'edgefair[all]'" in text


def test_the_commands_load_little():
    """`edgefair --help` answers at once: the command line loads no arrays and no recipe before a command needs them."""
    code = "import sys, edgefair.cli; print(sorted({'numpy', 'pydantic', 'rich', 'PIL', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("outcome", "expected"), [("pass", 0), ("fail", 1), ("inconclusive", 3)])
def test_exit_codes_follow_the_verdict(capsys, tmp_path, monkeypatch, outcome, expected):
    import edgefair.cli.app
    import edgefair.pipeline.job

    monkeypatch.setattr(edgefair.pipeline.job, "distill_and_export", lambda *_: {"outcome": outcome})
    monkeypatch.setattr(edgefair.cli.app, "_show", lambda *_: None)
    assert run(capsys, "distill-and-export", "--out", str(tmp_path))[0] == expected


@pytest.mark.slow
def test_a_full_disk_ends_with_a_sentence_and_no_half_files(tmp_path):
    command = [sys.executable, "-m", "edgefair", "distill-and-export", "--out", str(tmp_path / "run")]
    command = ["bash", "-c", 'ulimit -f 50; exec "$@"', "_", *command]  # files of at most 50 KiB
    environment = {**os.environ, "EDGEFAIR_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert "File too large. Nothing half-written was left" in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(path.suffix in (".npy", ".part") for path in tmp_path.rglob("*"))


@pytest.mark.slow
def test_a_refused_command_leaves_nothing_behind(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in (["--data", "none.csv"], ["--student", "cifar:resnet9"], ["--set", "quantize.rows_per_cell=500"]):
        assert run(capsys, "distill-and-export", *arguments)[0] == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    small = ["--set", "data.train_rows=20", "--set", "data.gate_rows=20", "--set", "data.validation_rows=20"]
    code, text = run(capsys, "distill-and-export", "--out", "mine", *small)
    assert code == 2
    assert "thesis.txt is in it" in text
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_other_settings_have_other_default_folders():
    from edgefair.pipeline.run_folder import run_name
    from edgefair.recipe import parse

    assert run_name(parse({})) == run_name(parse({}))
    assert run_name(parse({})) != run_name(parse({"train": {"epochs": 9}}))
    assert run_name(parse({"data": {"name": "manifest", "path": "a/faces.csv"}})).startswith(
        "faces-ckd-lagrangian-lambda0.5-seed0-"
    )


@pytest.mark.parametrize("flag", ["--until-pass", "--until-fair"])
def test_the_former_name_of_until_pass_still_works(capsys, monkeypatch, tmp_path, flag):
    from edgefair.pipeline.quantize import run as job

    asked = []
    monkeypatch.setattr(job, "quantize_run", lambda folder, request, log: asked.append(request) or sys.exit(0))
    run(capsys, "quantize", str(tmp_path), flag)
    assert asked[0].until_pass
    assert "--until-fair" not in run(capsys, "quantize", "--help")[1]
