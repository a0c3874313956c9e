"""What goes wrong with a file, a runtime or a kit is an error that says so: exit code 2, no traceback, no crash."""

import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgefair.data.gate_rows import GateRows
from edgefair.errors import ArtefactError, DataError, MissingExtra
from edgefair.files import write_json
from edgefair.runtimes import load_runtime, manifest
from edgefair.runtimes.onnx_inspect import census
from edgefair.runtimes.openvino import OpenVino
from edgefair.runtimes.ort import Ort, OrtCuda
from tests.helpers.command_line import run
from tests.helpers.toy_run import make_run, toy_onnx

pytestmark = pytest.mark.integration

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
ONNX_RUNTIMES = ("ort", "openvino")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A kit: ONNX files, their manifest, and gate rows."""
    from edgefair.log import Log
    from edgefair.pipeline.device.kit import bundle

    place = tmp_path_factory.mktemp("faults")
    make_run(place / "run")
    bundle(place / "run", place / "kit", Log(quiet=True))
    return place / "kit"


def predict(capsys, path, runtime, gate):
    """Exit code and text of `edgefair predict`, which must leave no file behind where it fails."""
    out = path.parent / "out.npz"
    out.write_bytes(b"of an earlier call")
    result = run(capsys, "predict", str(path), "--runtime", runtime, "--gate", str(gate), "--out", str(out))
    assert "Traceback" not in result[1]
    assert result[0] in (0, None) or not out.exists()
    return result


def cut(path):
    path.write_bytes(path.read_bytes()[:-2000])


def edit(path):
    model = onnx.load(path)
    weights = next(one for one in model.graph.initializer if one.name == "fc")
    weights.raw_data = bytes(len(weights.raw_data))
    onnx.save(model, path)


@pytest.mark.parametrize("runtime", ONNX_RUNTIMES)
@pytest.mark.parametrize("break_it", [cut, edit])
def test_a_file_that_is_not_what_its_manifest_names_is_not_run(capsys, folder, tmp_path, runtime, break_it):
    kit = shutil.copytree(folder, tmp_path / "kit")
    break_it(kit / "student.onnx")
    code, text = predict(capsys, kit / "student.onnx", runtime, kit / "gate.npz")
    assert code == 2
    assert "is not the file that was exported: its SHA-256 is" in " ".join(text.split())
    with pytest.raises(ArtefactError, match="edited, cut off or replaced"):
        load_runtime(runtime, kit / "student.onnx")
    (kit / "manifest.json").write_text("{")
    with pytest.raises(ArtefactError, match="is not a readable manifest"):
        load_runtime(runtime, kit / "student.onnx")


@pytest.mark.parametrize("runtime", ONNX_RUNTIMES)
def test_a_bare_file_needs_no_manifest_but_must_be_whole(capsys, folder, tmp_path, runtime):
    bare = shutil.copyfile(folder / "student.onnx", tmp_path / "bare.onnx")
    code, text = predict(capsys, bare, runtime, folder / "gate.npz")
    assert code in (0, None), text
    cut(bare)
    for path in (bare, tmp_path / "none.onnx"):
        code, text = predict(capsys, path, runtime, folder / "gate.npz")
        assert code == 2
        assert path.name in text
        assert any(words in text for words in ("cannot load", "cannot read"))


@pytest.mark.parametrize("runtime", ONNX_RUNTIMES)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dtype": TensorProto.FLOAT}, r"takes float32 \(any, 3, 32, 32\)"),
        ({"channels": 1}, r"takes uint8 \(any, 1, 32, 32\)"),
        ({"batch": 8}, r"takes uint8 \(8, 3, 32, 32\)"),
    ],
)
def test_a_foreign_network_is_refused(tmp_path, runtime, change, words):
    toy_onnx(tmp_path / "foreign.onnx", **change)
    with pytest.raises(ArtefactError, match=words + r".* needed are one input uint8 \(any, 3, S, S\)"):
        load_runtime(runtime, tmp_path / "foreign.onnx")


@pytest.mark.parametrize("runtime", ONNX_RUNTIMES)
@pytest.mark.parametrize("images", [IMAGES.astype(np.float32), IMAGES[0], IMAGES[:, :2], IMAGES[..., :31]])
def test_other_images_are_refused_and_the_runtime_lives(folder, runtime, images):
    loaded = load_runtime(runtime, folder / "student.onnx", 1)
    with pytest.raises(ArtefactError, match=r"takes uint8 \(batch, 3, 32, 32\)"):
        loaded.predict(images)
    assert loaded.predict(IMAGES).shape == (4, 10)


def test_a_provider_that_is_not_there_is_never_replaced(capsys, folder):
    code, text = predict(capsys, folder / "student.onnx", "ort-cuda", folder / "gate.npz")
    assert code == 2
    text = " ".join(text.split())
    assert "not CUDAExecutionProvider; install it with: pip install 'edgefair[onnx-gpu]'" in text
    code, text = run(capsys, "build", str(folder), "--runtime", "ort-cuda")
    assert code == 3
    assert "not verified on a device" in text


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_gives_way_to_another_is_an_error(folder):
    class Cuda(OrtCuda):
        """As where CUDA is listed, and its libraries do not load."""

        run_unavailable_reason = classmethod(lambda cls: "")

    with pytest.raises(ArtefactError, match=r"CUDAExecutionProvider does not run all of .*student\.onnx"):
        Cuda(folder / "student.onnx")


def test_int8_on_cuda_is_a_simulation_of_its_accuracy(folder, monkeypatch):
    """The description of a file on CUDA, from a session that stands for one on a GPU."""
    loaded = Ort(folder / "student.int8.ort-cpu.onnx")
    loaded.__class__ = OrtCuda
    monkeypatch.setattr("edgefair.runtimes.ort.describe_gpu", lambda: {"device": "made up", "driver": "1.2"})
    about = loaded.describe()
    assert about["latency_meaning"] == "int8 simulated in float: not the latency of int8"
    assert (about["provider"], about["cpu_fallback"], about["driver"]) == ("CUDAExecutionProvider", "disabled", "1.2")
    plain = Ort(folder / "student.onnx")
    plain.__class__ = OrtCuda
    assert plain.describe()["latency_meaning"] == "as run"


class Simulator(OrtCuda):
    """The CUDA runtime's treatment of a file, by the CPU provider."""

    PROVIDER, OPTIONS = "CPUExecutionProvider", {}
    run_unavailable_reason = classmethod(lambda cls: "")


def test_int8_on_cuda_is_computed_as_the_file_says(folder):
    assert Simulator(folder / "student.int8.ort-cpu.onnx").describe()["graph_optimization"] == "none"
    assert Simulator(folder / "student.onnx").describe()["graph_optimization"] == "all"


def test_openvino_computes_in_what_was_asked_for_or_not_at_all(folder):
    loaded = OpenVino(folder / "student.onnx", 1)
    about = loaded.describe()
    assert (about["inference_precision"], about["threads"], about["formats"]) == ("f32", 1, {"fp32": 1.0})
    supported = loaded.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    for asked, capability in (("bf16", "BF16"), ("f16", "FP16")):
        if capability in supported:
            assert OpenVino(folder / "student.onnx", 1, asked).describe()["inference_precision"] == asked
        else:
            instead = "bf16" if asked == "f16" and "BF16" in supported else "f32"
            with pytest.raises(ArtefactError, match=f"computes in {instead} where {asked} was asked for"):
                OpenVino(folder / "student.onnx", 1, asked)


def test_what_is_quantised_is_counted_where_it_runs(folder, tmp_path):
    int8 = folder / "student.int8.ort-cpu.onnx"
    assert census(int8) == {"fp32": 0.5, "int8": 0.5}
    assert Ort(int8).describe()["formats"] == {"fp32": 0.5, "int8": 0.5}
    half = toy_onnx(tmp_path / "half.onnx", precision="fp16")
    assert census(half) == {"fp16": 1.0}
    # The CPU provider has no fp16 kernels: it computes such a file in fp32, and that is what is said.
    assert Ort(half).describe()["formats"] == {"fp32": 1.0}


@pytest.mark.parametrize("runtime", ONNX_RUNTIMES)
def test_memory_that_runs_out_says_what_to_do(folder, runtime, monkeypatch):
    loaded = load_runtime(runtime, folder / "student.onnx")

    def full(*_):
        raise RuntimeError("Failed to allocate memory for requested buffer of size 1")

    if runtime == "ort":
        monkeypatch.setattr(loaded, "session", SimpleNamespace(run=full))
    else:
        monkeypatch.setattr(loaded, "model", full)
    with pytest.raises(ArtefactError, match=r"on 4 images \(RuntimeError: Failed to allocate.* use a smaller batch"):
        loaded.predict(IMAGES)


@pytest.mark.parametrize(("runtime", "module"), [("ort", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_package_names_its_extra(capsys, folder, monkeypatch, runtime, module):
    monkeypatch.setitem(sys.modules, module, None)
    code, text = predict(capsys, folder / "student.onnx", runtime, folder / "gate.npz")
    assert code == 2
    assert f"pip install 'edgefair[{'onnx' if runtime == 'ort' else 'openvino'}]'" in text
    with pytest.raises(MissingExtra):
        load_runtime(runtime, folder / "student.onnx")


@pytest.mark.parametrize("runtime", ["tensorrt", "tensorrt-rtx"])
def test_an_engine_nobody_vouches_for_is_not_opened(capsys, folder, tmp_path, runtime):
    (tmp_path / "x.engine").write_bytes(b"runs code when it is opened")
    code, text = predict(capsys, tmp_path / "x.engine", runtime, folder / "gate.npz")
    assert code == 2
    assert "stands in no manifest.json beside it" in text
    entry = manifest.entry("x", tmp_path / "x.engine", runtime, runtime, "fp32")
    manifest.write(tmp_path, [entry.model_copy(update={"sha256": "0" * 64})])
    code, text = predict(capsys, tmp_path / "x.engine", runtime, folder / "gate.npz")
    assert code == 2
    assert "manifest.json says 000000000000" in " ".join(text.split())


def test_a_runtime_that_nobody_knows_is_named_beside_those_that_are(capsys, folder):
    code, text = predict(capsys, folder / "student.onnx", "tensorflow", folder / "gate.npz")
    assert (code, "unknown runtime 'tensorflow'" in text) == (2, True)
    code, text = run(capsys, "build", str(folder), "--runtime", "null")
    assert (code, "nothing is built for the runtime 'null'" in text) == (2, True)


def test_a_precision_that_the_kit_lacks_says_how_to_get_it(capsys, folder):
    code, text = run(capsys, "build", str(folder), "--runtime", "tensorrt-rtx", "--precision", "int8")
    assert code == 2
    text = " ".join(text.split())
    assert "has no student.int8.tensorrt.onnx" in text
    assert "Make the run with --target tensorrt-rtx" in text


def test_a_folder_that_is_no_kit_is_not_built_from(capsys, tmp_path):
    write_json(tmp_path / "kit.json", {"schema": 9})
    for path, words in ((tmp_path, "has schema 9"), (tmp_path.parent, "is no device kit")):
        code, text = run(capsys, "build", str(path), "--runtime", "ort")
        assert (code, words in text) == (2, True), text
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.onnx").write_bytes(b"no ONNX at all")
    code, text = run(capsys, "build", str(tmp_path / "elsewhere" / "x.onnx"), "--runtime", "ort")
    assert (code, "x.onnx is no readable ONNX file" in text) == (2, True)
    toy_onnx(tmp_path / "elsewhere" / "y.onnx")
    where = ["--runtime", "ort", "--out", str(tmp_path / "kit.json")]
    code, text = run(capsys, "build", str(tmp_path / "elsewhere" / "y.onnx"), *where)
    assert (code, "cannot write into" in text) == (2, True)


def truncated(path):
    path.write_bytes(path.read_bytes()[:-5000])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # in the middle of the images
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def compressed(path):
    with np.load(path) as stored:
        arrays = dict(stored)
    with open(path, "wb") as stream:
        np.savez_compressed(stream, **arrays)


def without_labels(path):
    gate = GateRows.load(path)
    replace(gate, labels=gate.labels[:0]).save(path)


@pytest.mark.parametrize("damage", [truncated, flipped, empty, compressed, without_labels, lambda path: path.unlink()])
def test_damaged_gate_rows_are_refused_before_anything_runs(capsys, folder, tmp_path, damage):
    gate = shutil.copyfile(folder / "gate.npz", tmp_path / "gate.npz")
    damage(gate)
    code, text = predict(capsys, folder / "student.onnx", "ort", gate)
    assert code == 2
    assert "gate.npz" in text
    assert "again" in text
    with pytest.raises(DataError):
        GateRows.load(gate)


def test_gate_rows_of_other_classes_are_refused(capsys, folder, tmp_path):
    gate = GateRows.load(folder / "gate.npz")
    replace(gate, class_names=(*gate.class_names, "one more")).save(tmp_path / "gate.npz")
    code, text = predict(capsys, folder / "student.onnx", "ort", tmp_path / "gate.npz")
    assert code == 2
    assert "returns 10 logits, the gate rows are of 11 classes" in " ".join(text.split())


def test_predictions_have_the_ending_that_verify_knows(capsys, folder, tmp_path):
    arguments = ["--runtime", "ort", "--gate", str(folder / "gate.npz"), "--out", str(tmp_path / "p.json")]
    code, text = run(capsys, "predict", str(folder / "student.onnx"), *arguments)
    assert (code, "a predictions file ends in .npz" in text) == (2, True)
