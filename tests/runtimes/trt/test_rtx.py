"""NVIDIA's own parser and builder, which run without a GPU, on an exported student; running it needs one."""

import functools
import json

import numpy as np
import onnx
import pytest
import torch

from edgefair.errors import ArtefactError
from edgefair.export.onnx_export import export_onnx
from edgefair.export.quantization import quantize
from edgefair.models import create
from edgefair.recipe import DeploySettings, ExportSettings, QuantizeSettings
from edgefair.runtimes import load_runtime, manifest, runtime_class
from edgefair.runtimes.cuda_driver import why_no_gpu
from tests.helpers.onnx_precisions import quantized

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install 'edgefair[rtx]'")

RTX = runtime_class("tensorrt-rtx")
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 3, 32, 32), dtype=np.uint8)
NAMES = {"class_names": ["a", "b", "c"], "group_names": ["x", "y"]}
SETTINGS = DeploySettings(max_batch=8)


@pytest.fixture(scope="module")
def model():
    """A ResNet-8 with used batch statistics."""
    model = create("cifar:resnet8", 3, 0)
    model.train()
    model(torch.from_numpy(IMAGES))
    return model


@pytest.fixture(scope="module")
def student(model, tmp_path_factory):
    """It as an ONNX file."""
    path = tmp_path_factory.mktemp("student") / "student.onnx"
    export_onnx(model, IMAGES, ExportSettings(), path, NAMES)
    return path


def in_precision(model, student, folder, precision):
    """The file that a run makes of it in this precision."""
    path = folder / f"{precision}.onnx"
    if precision == "fp32":
        return student
    if precision == "fp16":
        export_onnx(model, IMAGES, ExportSettings(), path, NAMES, precision)
    else:
        quantize(student, path, IMAGES, {"int8": "tensorrt"}.get(precision, precision), QuantizeSettings(), 8)
    return path


@pytest.fixture(scope="module")
def engines(model, student, tmp_path_factory):
    """Engines of the student in a precision, built once."""

    @functools.cache
    def made(precision):
        folder = tmp_path_factory.mktemp(precision)
        source = in_precision(model, student, folder, precision)
        return source, RTX.build(source, folder, f"student.{precision}.tensorrt-rtx", SETTINGS)

    return made


def listed(built):
    """The engines' files, after they were written into their folder's manifest."""
    name = "tensorrt-rtx"
    entries = [manifest.entry(f"e{one.batch}", one.path, name, name, "any", facts=one.facts) for one in built]
    manifest.write(built[0].path.parent, entries)
    return [one.path for one in built]


CAPABILITIES = ["8.0", "8.6", "8.9", "12.0", "12.1"]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "fp8"])
@pytest.mark.slow
def test_the_real_builder_takes_every_precision_and_all_products_are_in_it(engines, precision):
    _, (dynamic, single) = engines(precision)
    assert (dynamic.batch, single.batch) == (0, 1)
    for built in (dynamic, single):
        facts = json.loads(json.dumps(built.facts))
        assert built.path.stat().st_size == facts["bytes"] > 10_000
        assert (facts["library"], facts["version"]) == ("tensorrt_rtx", trt.__version__)
        assert facts["network_layers"]["products"] == {precision: 10}  # nine convolutions and the head
        assert facts["network_layers"]["share"][precision] > 0.4
        assert facts["warnings"] == []
        assert (facts["tf32"], facts["flags"], facts["timing_cache"]) == (False, [], None)
        if why_no_gpu():
            assert facts["layers"] == facts["network_layers"]
            assert facts["compute_capabilities"] == (CAPABILITIES[2:] if precision == "fp8" else CAPABILITIES)
    assert [built.facts["profile"]["max"] for built in (dynamic, single)] == [8, 1]


@pytest.mark.slow
def test_onnxruntimes_own_quantisation_is_refused_with_the_node(student, tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    parts = iter(np.split(IMAGES, 3))

    class Reader(quantization.CalibrationDataReader):
        def get_next(self):
            part = next(parts, None)
            return None if part is None else {"images": part}

    path = tmp_path / "ort.onnx"
    quantization.quantize_static(student, path, Reader())
    with pytest.raises(ArtefactError, match=r"node '\S*bias_DequantizeLinear' \(DequantizeLinear\): .*Int32"):
        RTX.build(path, tmp_path, "student.int8.tensorrt-rtx", SETTINGS)
    assert list(tmp_path.glob("*.engine")) == []


def test_uint8_codes_are_refused_although_the_library_builds_them(student, engines, tmp_path):
    path = quantized(student, tmp_path / "uint8.onnx", "uint8", weights="int8")
    engines("fp32")  # the library keeps the logger that it was given first
    with pytest.raises(ArtefactError, match=r"would compute something else .*Defaulting to INT8"):
        RTX.build(path, tmp_path, "student.int8.tensorrt-rtx", SETTINGS)
    assert not list(tmp_path.glob("student*.engine"))


def test_a_quantised_head_alone_is_counted_as_one_product(student, tmp_path):
    path = quantized(student, tmp_path / "head.onnx", "int8", operators=("Gemm",))
    dynamic, _ = RTX.build(path, tmp_path, "student.int8.tensorrt-rtx", SETTINGS)
    assert dynamic.facts["network_layers"]["products"] == {"fp32": 9, "int8": 1}


def test_an_fp32_file_that_is_called_int8_is_refused(student, tmp_path):
    with pytest.raises(ArtefactError, match=r"compute in int8, but no layer of the network does: \{'fp32': 10\}"):
        RTX.build(student, tmp_path, "student.int8.tensorrt-rtx", SETTINGS)


def test_a_convolution_with_codes_but_float_weights_is_not_int8(student, tmp_path):
    path = quantized(student, tmp_path / "all.onnx", "int8", operators=("Conv",))
    model = onnx.load(path)
    weights = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    weights = {name.removesuffix("_q") + "_dq": source for name, source in weights.items() if source.endswith("weight")}
    for node in model.graph.node:
        if node.op_type == "Conv":
            node.input[1] = weights[node.input[1]]
    kept = [node for node in model.graph.node if not (node.output[0].endswith(("weight_q", "weight_dq")))]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.save(model, path)
    with pytest.raises(ArtefactError, match=r"no layer of the network does: \{'fp32': 10\}"):
        RTX.build(path, tmp_path, "student.int8.tensorrt-rtx", SETTINGS)


def test_all_operations_that_it_does_not_know_are_named(tmp_path):
    helper = onnx.helper
    nodes = [
        helper.make_node("Cast", ["images"], ["x"], "cast", to=onnx.TensorProto.FLOAT),
        helper.make_node("Det", ["x"], ["d"], "first"),
        helper.make_node("Unique", ["x"], ["logits"], "second", axis=0),
    ]
    ends = [("images", onnx.TensorProto.UINT8, ["b", 3, 8, 8]), ("logits", onnx.TensorProto.FLOAT, ["b", 3])]
    images, logits = (helper.make_tensor_value_info(*end) for end in ends)
    model = helper.make_model(
        helper.make_graph(nodes, "g", [images], [logits]), opset_imports=[helper.make_opsetid("", 18)]
    )
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(
        ArtefactError, match=r"node 'first' \(Det\): UNSUPPORTED_NODE.*node 'second' \(Unique\): UNSUPP"
    ):
        RTX.build(tmp_path / "odd.onnx", tmp_path, "odd.fp32", SETTINGS)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"half\.onnx has the inputs and outputs none"),
        (b"not an ONNX file", r"refuses .*half\.onnx: the file: .*Is the file whole"),
        (None, r"refuses .*half\.onnx: the file: .*Is the file whole"),
    ],
    ids=["empty", "foreign", "truncated"],
)
def test_a_file_that_is_not_whole_is_refused(student, tmp_path, content, said):
    (tmp_path / "half.onnx").write_bytes(student.read_bytes()[:20_000] if content is None else content)
    with pytest.raises(ArtefactError, match=said):
        RTX.build(tmp_path / "half.onnx", tmp_path, "half.fp32", SETTINGS)


@pytest.mark.skipif(not why_no_gpu(), reason="there is a GPU")
def test_without_a_gpu_an_engine_is_not_opened(engines):
    for path in listed(engines("fp32")[1]):
        with pytest.raises(ArtefactError, match="needs a GPU to run"):
            load_runtime("tensorrt-rtx", path)


@pytest.mark.gpu
@pytest.mark.skipif(bool(why_no_gpu()), reason=f"no engine runs here: {why_no_gpu()}")
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("fp16", 2e-2), ("int8", 0.2)])
def test_engines_compute_what_onnxruntime_computes(engines, precision, tolerance):
    source, built = engines(precision)
    reference = load_runtime("ort", source).predict(IMAGES)
    for path in listed(built):
        try:
            runtime = load_runtime("tensorrt-rtx", path)
        except ArtefactError as error:
            if "UNSUPPORTED_CC" not in str(error):
                raise
            pytest.skip(f"TensorRT-RTX does not take this GPU: {error}")
        logits = runtime.predict(IMAGES)  # more than the profile takes, and one by one
        assert np.abs(logits - reference).max() <= tolerance * np.abs(reference).max()
        np.testing.assert_array_equal(logits, runtime.predict(IMAGES))
        assert runtime.describe()["device"]
        runtime.close()
