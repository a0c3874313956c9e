"""What a run makes files for: by name, or everything that this machine can run; and the manifest that lists them."""

import json

import pytest

from edgefair.errors import ArtefactError, RecipeError
from edgefair.recipe import DeploySettings
from edgefair.runtimes import manifest, targets


@pytest.fixture
def machine(monkeypatch):
    """Pretend which runtimes this machine can run and build for."""

    def pretend(runs=(), builds=("ort", "ort-cuda", "openvino", "tensorrt-rtx")):
        def runtime(name):
            class Pretended:
                run_unavailable_reason = staticmethod(lambda: "" if name in runs else "no driver answers.")
                build_unavailable_reason = staticmethod(lambda: "" if name in builds else "the library is missing.")

            return Pretended

        monkeypatch.setattr(targets, "runtime_class", runtime)

    return pretend


def test_without_targets_everything_that_this_machine_runs_is_made(machine):
    machine(runs=("ort", "tensorrt-rtx"))
    assert targets.resolve_targets(DeploySettings()) == [
        ("ort-cpu", "fp32"),
        ("ort-cpu", "int8"),
        ("tensorrt-rtx", "fp32"),
        ("tensorrt-rtx", "fp16"),
        ("tensorrt-rtx", "int8"),
    ]


def test_a_named_target_is_made_though_it_cannot_run_here(machine):
    machine()
    assert targets.resolve_targets(DeploySettings(targets=["tensorrt-rtx"], precisions=["int8", "fp8"])) == [
        ("tensorrt-rtx", "int8"),
        ("tensorrt-rtx", "fp8"),
    ]


def test_a_precision_is_made_for_the_targets_that_execute_it(machine):
    machine(runs=("ort",))
    pairs = targets.resolve_targets(
        DeploySettings(targets=["tensorrt-rtx", "ort-cpu", "ort-cpu"], precisions=["int8", "fp32"])
    )
    assert pairs == [("tensorrt-rtx", "fp32"), ("tensorrt-rtx", "int8"), ("ort-cpu", "fp32"), ("ort-cpu", "int8")]


@pytest.mark.parametrize(
    ("recipe", "runs", "message"),
    [
        (
            {"targets": ["ort-cpu"], "precisions": ["fp16"]},
            ("ort",),
            "'ort-cpu' executes fp32, int8; requested: fp16",
        ),
        ({"precisions": ["fp8"]}, ("ort",), r"none of the targets that this machine can run \(ort-cpu\) executes fp8"),
        ({"targets": ["tensorrt"]}, ("ort",), "'tensorrt' cannot be built here: the library is missing"),
        ({}, (), "can run none of the targets"),
    ],
)
def test_what_cannot_be_made_is_refused_with_what_can(machine, recipe, runs, message):
    machine(runs=runs)
    with pytest.raises(RecipeError, match=message):
        targets.resolve_targets(DeploySettings(**recipe))


def test_manifest_lists_a_file_by_its_hash_and_refuses_another(tmp_path):
    engine = tmp_path / "x.engine"
    engine.write_bytes(b"made here")
    entry = manifest.entry("tensorrt-fp16", engine, "tensorrt", "tensorrt", "fp16", batch=1)
    manifest.add(tmp_path, [entry])
    manifest.add(tmp_path, [entry.model_copy(update={"name": "other", "file": "y.engine"}), entry])
    assert [one.name for one in manifest.read(tmp_path)] == ["other", "tensorrt-fp16"]
    assert manifest.listed(engine) == entry
    engine.write_bytes(b"put there")
    with pytest.raises(ArtefactError, match=r"not the file that was built: its SHA-256 is \w{12}, manifest.json says"):
        manifest.listed(engine)
    (tmp_path / "z.engine").write_bytes(b"")
    with pytest.raises(ArtefactError, match=r"stands in no manifest.json beside it"):
        manifest.listed(tmp_path / "z.engine")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1}', '{"schema": 1, "artefacts": 3}'])
def test_a_damaged_manifest_is_an_error(tmp_path, text):
    (tmp_path / manifest.NAME).write_text(text)
    with pytest.raises(ArtefactError, match="not a readable manifest"):
        manifest.read(tmp_path)


def test_a_manifest_of_another_schema_is_an_error(tmp_path):
    (tmp_path / manifest.NAME).write_text(json.dumps({"schema": 9, "artefacts": []}))
    with pytest.raises(ArtefactError, match="has schema 9; this version reads 1"):
        manifest.read(tmp_path)
