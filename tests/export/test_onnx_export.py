"""Exported files: ONNX equals PyTorch, INT8 speaks its dialect, and broken files are refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgefair.errors import ArtefactError
from edgefair.export import onnx_export as export
from edgefair.export.onnx_export import export_onnx
from edgefair.export.quantization import DIALECTS, quantize
from edgefair.models import create, save_weights
from edgefair.pipeline.build_artefacts import dialect_of, file_name
from edgefair.recipe import ExportSettings, QuantizeSettings
from edgefair.runtimes import RUNTIMES, load_runtime, predict_rows, runtime_class
from edgefair.runtimes.targets import TARGETS
from tests.helpers.rtx import Builds

NAMES = {"class_names": ["a", "b", "c"], "group_names": ["x", "y"]}
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 3, 32, 32), dtype=np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A ResNet-8 with used batch statistics as safetensors, ONNX and INT8 ONNX, and a null artefact."""
    folder = tmp_path_factory.mktemp("artefacts")
    model = create("cifar:resnet8", 3, 0)
    model.train()
    for part in np.split(IMAGES, 3):
        model(torch.from_numpy(part))
    save_weights(model, folder / "m.safetensors", 3)
    export_onnx(model, IMAGES, ExportSettings(), folder / "m.onnx", NAMES)
    export_onnx(model, IMAGES, ExportSettings(), folder / "m.fp16.onnx", NAMES, "fp16")
    quantize(folder / "m.onnx", folder / "m.int8.onnx", IMAGES, "ort-cpu", QuantizeSettings(), 8)
    (folder / "null.txt").write_text("3")
    return folder


@pytest.mark.slow
def test_onnx_takes_uint8_of_any_batch_and_returns_pytorchs_logits(files):
    eager, ort = load_runtime("eager", files / "m.safetensors"), load_runtime("ort", files / "m.onnx")
    for batch in (1, 5, 24):
        expected, got = eager.predict(IMAGES[:batch]), ort.predict(IMAGES[:batch])
        assert got.shape == (batch, 3)
        assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.slow
def test_onnx_is_one_checked_file_with_the_pinned_opset_and_names(files):
    model = onnx.load(files / "m.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import if not o.domain] == [("", 18)]
    assert not any(t.external_data for t in model.graph.initializer)
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    props = {p.key: p.value for p in model.metadata_props}
    assert props["class_names"].split("\n") == NAMES["class_names"]
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_files_hold_no_paths_of_the_machine_that_made_them(files):
    here = str(Path(export.__file__).parent).encode()
    for name in ("m.onnx", "m.int8.onnx"):
        content = (files / name).read_bytes()
        assert here not in content
        assert b"stack_trace" not in content


@pytest.mark.slow
def test_parity_is_enforced(tmp_path):
    model = create("cifar:resnet8", 3, 0)
    with pytest.raises(ArtefactError, match=r"differ from PyTorch's .* export\.parity = 1e-15"):
        export_onnx(model, IMAGES, ExportSettings(parity=1e-15), tmp_path / "m.onnx", NAMES)
    assert list(tmp_path.iterdir()) == []


def test_fp16_is_half_the_size_and_takes_and_returns_the_same(files):
    """Half a network between two casts: pixels are scaled in fp32, logits are fp32 again."""
    model = onnx.load(files / "m.fp16.onnx")
    onnx.checker.check_model(model, full_check=True)
    weights = {t.data_type for t in model.graph.initializer if len(t.dims) == 4 and np.prod(t.dims) > 3}
    assert weights == {onnx.TensorProto.FLOAT16}
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert model.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [node.op_type for node in model.graph.node].count("Cast") == 3
    assert (files / "m.fp16.onnx").stat().st_size < 0.6 * (files / "m.onnx").stat().st_size
    expected = load_runtime("ort", files / "m.onnx").predict(IMAGES)
    got = load_runtime("ort", files / "m.fp16.onnx").predict(IMAGES)
    assert 0 < np.abs(got - expected).max() < 5e-3 * np.abs(expected).max()
    assert Builds().verdict(files / "m.fp16.onnx", build=True) == "clean"


def test_fp16_has_a_parity_of_its_own_and_leaves_the_model_in_fp32():
    model = create("cifar:resnet8", 3, 0)
    export.WRAPPERS["fp16"](model)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    export.check_parity({"1": 4e-3}, ExportSettings(), "parity_fp16")
    for broken in (6e-3, float("nan")):
        with pytest.raises(ArtefactError, match=r"allowed is export\.parity_fp16 = 0\.005"):
            export.check_parity({"1": 1e-3, "3": broken}, ExportSettings(), "parity_fp16")


def test_every_precision_has_its_file():
    assert file_name("tensorrt", "fp16") == "student.fp16.onnx"
    assert dialect_of(file_name("tensorrt-rtx", "fp8")) == "fp8"
    assert {dialect_of(file_name(target, "int8")) for target in TARGETS} <= set(DIALECTS)
    assert dialect_of("student.onnx") == dialect_of("student.fp16.onnx") == ""


def test_int8_is_u8s8_per_channel_and_small(files):
    graph = onnx.load(files / "m.int8.onnx").graph
    constants = {t.name: t for t in graph.initializer}
    kinds = {onnx.TensorProto.UINT8: 0, onnx.TensorProto.INT8: 0}
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            assert constants[node.input[2]].data_type == onnx.TensorProto.UINT8
        if (
            node.op_type == "DequantizeLinear"
            and node.input[0] in constants
            and constants[node.input[0]].data_type in kinds
        ):
            kinds[constants[node.input[0]].data_type] += 1
            if len(constants[node.input[0]].dims) == 4:
                assert constants[node.input[1]].dims[0] == constants[node.input[0]].dims[0]
    assert kinds[onnx.TensorProto.INT8] >= 9
    assert (files / "m.int8.onnx").stat().st_size < 0.5 * (files / "m.onnx").stat().st_size


def test_int8_logits_are_near_but_not_equal(files):
    expected = load_runtime("ort", files / "m.onnx").predict(IMAGES)
    got = load_runtime("ort", files / "m.int8.onnx").predict(IMAGES)
    assert 0 < np.abs(got - expected).max() < 0.2 * np.abs(expected).max()


def test_quantising_twice_gives_the_same_bytes(files, tmp_path):
    quantize(files / "m.onnx", tmp_path / "again.onnx", IMAGES, "ort-cpu", QuantizeSettings(), 8)
    assert (tmp_path / "again.onnx").read_bytes() == (files / "m.int8.onnx").read_bytes()


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_other_calibration_methods(files, tmp_path, method):
    quantize(files / "m.onnx", tmp_path / "q.onnx", IMAGES, "ort-cpu", QuantizeSettings(method=method), 8)
    assert load_runtime("ort", tmp_path / "q.onnx").predict(IMAGES[:2]).shape == (2, 3)


ARTEFACTS = {"eager": "m.safetensors", "null": "null.txt", **dict.fromkeys(("ort", "ort-cuda", "openvino"), "m.onnx")}
BUILT = {"tensorrt", "tensorrt-rtx"}  # engines have tests of their own


def test_no_runtime_is_forgotten():
    assert set(RUNTIMES) == set(ARTEFACTS) | BUILT


@pytest.fixture
def usable(name):
    """Skip a runtime that this machine cannot run, with its own reason."""
    reason = runtime_class(name).run_unavailable_reason()
    if reason:
        pytest.skip(reason)


@pytest.mark.usefixtures("usable")
@pytest.mark.parametrize("name", sorted(ARTEFACTS))
def test_every_runtime_predicts_describes_and_counts(files, name):
    runtime = load_runtime(name, files / ARTEFACTS[name], threads=1)
    seen = []
    rows = np.array([3, 1, 20, 7, 7])
    logits = predict_rows(runtime, IMAGES, rows, seen.append, batch_size=2)
    assert logits.shape == (5, 3)
    assert logits.dtype == np.float32
    assert sum(seen) == 5
    np.testing.assert_allclose(logits[1], runtime.predict(IMAGES[1:2])[0], rtol=1e-4, atol=1e-5)
    assert {"runtime", "version", "provider", "threads"} <= set(runtime.describe())


@pytest.mark.usefixtures("usable")
@pytest.mark.parametrize("name", sorted(ARTEFACTS))
def test_every_runtime_refuses_a_truncated_or_missing_file(files, tmp_path, name):
    whole = (files / ARTEFACTS[name]).read_bytes()
    (tmp_path / "half").write_bytes(whole[: len(whole) // 2])
    for path in (tmp_path / "half", tmp_path / "none"):
        with pytest.raises(ArtefactError, match=path.name):
            load_runtime(name, path)


@pytest.mark.parametrize("name", ["eager", "ort"])
@pytest.mark.parametrize("images", [IMAGES[:2].astype(np.float32), IMAGES[0], IMAGES[:2, :2]])
def test_runtimes_refuse_other_images(files, name, images):
    with pytest.raises(ArtefactError, match="takes uint8"):
        load_runtime(name, files / ARTEFACTS[name]).predict(images)


def test_weights_files_say_what_they_are(files, tmp_path):
    again = create(f"file:{files / 'm.safetensors'}", 3, 9)
    assert again.spec == "cifar:resnet8"
    with pytest.raises(ArtefactError, match="for 3 classes; the data has 4"):
        create(f"file:{files / 'm.safetensors'}", 4, 0)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ArtefactError, match="does not say which network"):
        create(f"file:{tmp_path / 'other.safetensors'}", 3, 0)


@pytest.mark.slow
def test_a_variance_beyond_fp16_is_no_reason_to_refuse(tmp_path):
    model = create("cifar:resnet8", 3, 0)
    norm = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.running_var.fill_(1e5)  # 65,504 is the largest number of fp16
    report = export_onnx(model, IMAGES, ExportSettings(), tmp_path / "half.onnx", NAMES, "fp16")
    assert max(report["parity"].values()) < 5e-3
    assert norm.running_var.max() == 1e5  # the student itself is left alone
