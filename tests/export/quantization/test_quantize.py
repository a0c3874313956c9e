"""Dialects: what is quantised, what stays in float, how near the logits are, and what the targets say of the files."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgefair.errors import ArtefactError, RecipeError
from edgefair.export import quantization as package
from edgefair.export.quantization import DIALECTS, quantizable, quantize, resolve_reduce_range
from edgefair.export.quantization import qdq_symmetric as symmetric
from edgefair.export.quantization.calibration import calibrate
from edgefair.export.quantization.graph import Graph
from edgefair.export.quantization.lint import lint
from edgefair.recipe import QuantizeSettings, parse, read
from tests.helpers.float_nets import Net, gated_net, images, residual_net
from tests.helpers.rtx import Builds

IMAGES = images(40, 5)
EXACT = QuantizeSettings(reduce_range=True)  # this machine may lack the instructions for exact sums of eight bits
SIGNED = [name for name in DIALECTS if name != "ort-cpu"]


@pytest.fixture(scope="module")
def nets(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("nets")
    return {"residual": residual_net(folder / "residual.onnx"), "gated": gated_net(folder / "gated.onnx")}


@pytest.fixture(scope="module")
def files(nets, tmp_path_factory) -> dict[tuple[str, str], Path]:
    """Every net in every dialect."""
    folder = tmp_path_factory.mktemp("files")
    for net, source in nets.items():
        for dialect in DIALECTS:
            quantize(source, folder / f"{net}.{dialect}.onnx", IMAGES[:39], dialect, EXACT, 8)
    return {(net, dialect): folder / f"{net}.{dialect}.onnx" for net in nets for dialect in DIALECTS}


def logits(path: Path, optimise: bool = True) -> np.ndarray:
    options = ort.SessionOptions()
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, {"images": IMAGES})[0]


@pytest.mark.parametrize("net", ["residual", "gated"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_logits_are_near_float(nets, files, net, dialect):
    """Error of the logits as a share of their spread over images: under a tenth in eight bits, a fifth in fp8."""
    expected = logits(nets[net])
    got = logits(files[net, dialect], optimise=dialect != "fp8")  # ONNX Runtime's optimiser spoils fp8, says the linter
    error = np.sqrt(((got - expected) ** 2).mean()) / expected.std(0).mean()
    assert 0 < error < (0.2 if dialect == "fp8" else 0.1)


@pytest.mark.parametrize("net", ["residual", "gated"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_keeping_everything_in_float_changes_no_logit(nets, tmp_path, net, dialect):
    names = quantizable(nets[net], dialect, EXACT)
    facts = quantize(nets[net], tmp_path / "q.onnx", IMAGES[:8], dialect, EXACT, 8, keep=names)
    np.testing.assert_array_equal(logits(tmp_path / "q.onnx"), logits(nets[net]))
    assert facts["quantised"] == 0
    assert facts["kept"] == names
    assert facts["lint"] == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_quantised_by_default(nets, dialect):
    assert {"stem_Conv", "one_Conv", "sum_Add", "last_Add", "logits_Gemm"} <= set(
        names := quantizable(nets["residual"], dialect, EXACT)
    )
    assert not {"scaled_Mul", "normalised_Add"} & set(names)
    gated = quantizable(nets["gated"], dialect, EXACT)
    assert {"stem_Conv", "deep_Conv", "project_Conv", "sum_Add"} <= set(gated)
    assert not {"down_Conv", "up_Conv", "gate_Sigmoid", "logits_Gemm"} & set(gated)
    everything = quantizable(nets["gated"], dialect, QuantizeSettings(keep_float="none"))
    assert {"down_Conv", "up_Conv", "logits_Gemm"} <= set(everything)
    one = quantizable(nets["gated"], dialect, QuantizeSettings(keep_float=("deep_Conv",)))
    assert one == [name for name in everything if name != "deep_Conv"]


def gate(pooled: str, last: str) -> Graph:
    """deep * last(conv(pool(`pooled`))), where `deep` follows `stem`."""
    net = Net()
    stem = net.conv(net.start, "stem", 3)
    deep = net.conv(stem, "deep")
    x = net.node("GlobalAveragePool", [{"stem": stem, "deep": deep}[pooled]], "pool")
    x = net.node(last, [net.conv(x, "squeeze", side=1)], "gate")
    net.node("Mul", [x, deep], "excited")
    return Graph(onnx.helper.make_graph(net.nodes, "g", [], [], net.tensors))


def test_a_gate_is_squeeze_excitation_where_it_scales_what_it_pooled():
    for last in ("Sigmoid", "HardSigmoid"):
        (nodes,) = gate("deep", last).squeeze_excitation()
        assert [node.op_type for node in nodes] == ["GlobalAveragePool", "Conv", last]
    assert gate("stem", "Sigmoid").squeeze_excitation() == []
    assert not gate("deep", "Sigmoid").has_silu()


def test_a_residual_is_fused_only_where_nothing_else_reads_the_convolution():
    net = Net()
    stem = net.node("Relu", [net.conv(net.start, "stem", 3)], "relu")
    net.node("Add", [net.conv(stem, "one"), stem], "sum")
    graph = onnx.helper.make_graph(net.nodes, "g", [], [], net.tensors)
    ((add, index, main),) = Graph(graph).residuals()
    assert (add.name, index, main.name) == ("sum_Add", 1, "one_Conv")
    graph.node.append(onnx.helper.make_node("Relu", ["one"], ["other"]))
    assert list(Graph(graph).residuals()) == []


def test_what_happened_is_in_the_facts(nets, tmp_path):
    facts = quantize(nets["gated"], tmp_path / "q.onnx", IMAGES[:8], "tensorrt", EXACT, 3, keep=["deep_Conv"])
    assert (facts["dialect"], facts["method"], facts["percentile"]) == ("tensorrt", "percentile", 99.99)
    assert facts["kept"] == ["deep_Conv"]
    assert facts["kept_by_recipe"] == ["down_Conv", "up_Conv", "logits_Gemm"]
    assert (facts["rows"], facts["weight_bits"]) == (8, 8)
    assert facts["quantised"] == len(quantizable(nets["gated"], "tensorrt", EXACT)) - 1
    assert set(facts["versions"]) == {"onnx", "onnxruntime"}
    assert quantize(nets["residual"], tmp_path / "q.onnx", IMAGES[:8], "tensorrt", EXACT, 8)["method"] == "minmax"


@pytest.mark.parametrize("net", ["residual", "gated"])
@pytest.mark.parametrize("dialect", SIGNED)
def test_signed_files_are_symmetric_by_channel_and_before_operands_only(nets, files, net, dialect):
    model = onnx.load(files[net, dialect])
    onnx.checker.check_model(model, full_check=True)
    graph = Graph(model.graph)
    kind = onnx.TensorProto.FLOAT8E4M3FN if dialect == "fp8" else onnx.TensorProto.INT8
    residual = {add.name: index for add, index, _ in graph.residuals()}
    for node in graph.nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = graph.constants[node.input[2]]
            assert zero.data_type == kind
            assert not onnx.numpy_helper.to_array(zero).astype(np.float32).any()
        if node.op_type == "QuantizeLinear":
            (dequantize,) = graph.consumers[node.output[0]]
            for after in graph.consumers[dequantize.output[0]]:
                index = list(after.input).index(dequantize.output[0])
                assert (after.op_type in ("Conv", "Gemm") and index == 0) or residual[after.name] == index
    for node in graph.weighted():
        if node.input[1] not in graph.constants:
            weight = graph.producer[node.input[1]]
            assert graph.constants[weight.input[1]].dims == graph.constants[weight.input[0]].dims[:1]
            assert graph.constants[node.input[2]].data_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize("dialect", SIGNED)
def test_a_node_kept_in_float_reads_and_holds_floats(nets, tmp_path, dialect):
    """Even where another node reads the same tensor in eight bits; and its residual is not quantised alone."""
    quantize(nets["residual"], tmp_path / "q.onnx", IMAGES[:8], dialect, EXACT, 8, keep=["one_Conv", "three_Conv"])
    graph = Graph(onnx.load(tmp_path / "q.onnx").graph)
    nodes = {node.name: node for node in graph.nodes}
    for name in ("one_Conv", "three_Conv"):
        assert graph.producer[nodes[name].input[0]].op_type == "Relu"
        assert nodes[name].input[1] in graph.constants
    assert graph.producer[nodes["short_Conv"].input[0]].op_type == "DequantizeLinear"
    assert not any(graph.producer[name].op_type == "DequantizeLinear" for name in nodes["last_Add"].input)


def test_metadata_and_bytes_stay_the_same(nets, files, tmp_path):
    for dialect in DIALECTS:
        quantize(nets["gated"], tmp_path / "again.onnx", IMAGES[:39], dialect, EXACT, 8)
        assert (tmp_path / "again.onnx").read_bytes() == files["gated", dialect].read_bytes()
        props = {prop.key: prop.value for prop in onnx.load(tmp_path / "again.onnx").metadata_props}
        assert props["class_names"] == "a\nb\nc\nd"


def test_weights_of_eight_bits_take_a_quarter(files, nets):
    for dialect in DIALECTS:
        tensors = onnx.load(files["residual", dialect]).graph.initializer
        stored = sum(len(tensor.SerializeToString()) for tensor in tensors if tensor.name.endswith("w_quantized"))
        floats = onnx.load(nets["residual"]).graph.initializer
        assert stored < 0.3 * sum(len(t.SerializeToString()) for t in floats if t.name.endswith("_w"))


def test_tensorrt_builds_its_files_and_refuses_onnx_runtimes(files):
    native = Builds()
    for (net, dialect), path in files.items():
        expected = "rejects" if dialect == "ort-cpu" else "clean"
        assert native.verdict(path, build=dialect in ("tensorrt", "fp8")) == expected, (net, dialect)
        said = {one.severity for one in lint(path) if one.target == "tensorrt"}
        assert ("rejects" in said) == (expected == "rejects")


def test_no_file_is_slow_on_its_own_target(files):
    for (_, dialect), path in files.items():
        assert not [one for one in lint(path) if one.target == DIALECTS[dialect].target]


def test_a_file_that_its_target_would_misread_is_not_written(nets, tmp_path, monkeypatch):
    monkeypatch.setitem(package.DIALECTS, "tensorrt", package.Dialect(*_ort_rules(), "tensorrt"))
    with pytest.raises(ArtefactError, match=r"would not run as it says on tensorrt .* misreads, uint8"):
        quantize(nets["residual"], tmp_path / "q.onnx", IMAGES[:8], "tensorrt", EXACT, 8)
    assert not (tmp_path / "q.onnx").exists()


def _ort_rules():
    return DIALECTS["ort-cpu"].nodes, DIALECTS["ort-cpu"].write


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dialect": "tensort"}, r"unknown dialect 'tensort'; did you mean 'tensorrt'\?"),
        ({"keep": ["stem_Cnv"]}, r"keep names the node 'stem_Cnv'.* did you mean 'stem_Conv'\?"),
        ({"settings": QuantizeSettings(keep_float=("heed",))}, r"quantize\.keep_float names the node 'heed'"),
    ],
)
def test_unknown_names_are_refused(nets, tmp_path, arguments, message):
    given = {"dialect": "tensorrt", "settings": EXACT, "batch": 8} | arguments
    with pytest.raises(RecipeError, match=message):
        quantize(nets["residual"], tmp_path / "q.onnx", IMAGES[:8], **given)


def test_ranges_of_another_file_are_refused(nets, tmp_path):
    ranges = calibrate(nets["gated"], IMAGES[:8], EXACT, 8)
    with pytest.raises(ArtefactError, match="ranges were found on another file"):
        quantize(nets["residual"], tmp_path / "q.onnx", IMAGES[:8], "tensorrt", EXACT, 8, ranges=ranges)


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(ArtefactError, match=r"bad\.onnx cannot be prepared"):
        quantizable(tmp_path / "bad.onnx", "tensorrt", EXACT)


@pytest.mark.parametrize(
    ("processor", "instructions", "reduced"),
    [
        ("x86_64", ["avx2"], True),
        ("x86_64", ["avx2", "avx512f"], True),
        ("x86_64", ["avx2", "avx_vnni"], False),
        ("AMD64", ["avx512_vnni"], False),
        ("aarch64", ["asimddp"], False),
    ],
)
def test_seven_bits_where_the_processor_needs_them(monkeypatch, processor, instructions, reduced):
    monkeypatch.setattr(package.platform, "machine", lambda: processor)
    monkeypatch.setattr(package, "describe_machine", lambda: {"instructions": instructions})
    assert resolve_reduce_range(QuantizeSettings()).reduce_range is reduced
    assert resolve_reduce_range(QuantizeSettings(reduce_range=not reduced)).reduce_range is not reduced


@pytest.mark.parametrize("dialect", ["ort-cpu", "openvino", "tensorrt"])
def test_seven_bits_are_for_processors_only(files, dialect):
    tensors = onnx.load(files["residual", dialect]).graph.initializer
    weights = [onnx.numpy_helper.to_array(t) for t in tensors if t.name.endswith("w_quantized")]
    assert max(np.abs(weight.astype(int)).max() for weight in weights) == (127 if dialect == "tensorrt" else 64)


WEIGHTS = arrays(np.float32, (3, 2, 2, 2), elements=st.floats(-1e4, 1e4, width=32))


@settings(max_examples=40, deadline=None)
@given(WEIGHTS, st.sampled_from([symmetric.INT8, symmetric.FP8]))
def test_dequantised_weights_are_within_half_a_step(values, number):
    """|w - q s| <= s/2 in int8; in e4m3 a 16th of |w|, or half the smallest number's step."""
    tensor = onnx.numpy_helper.from_array(values, "w")
    graph = Graph(onnx.helper.make_graph([], "g", [], [], [tensor]))
    writer = symmetric._Writer(graph, {}, number, number)
    writer.weight("w", 0)
    made = {t.name: onnx.numpy_helper.to_array(t).astype(np.float32) for t in writer.tensors}
    scale = made["w_scale"].reshape(-1, 1, 1, 1)
    error = np.abs(made["w_quantized"] * scale - values)
    step = scale / 2 if number == symmetric.INT8 else np.maximum(np.abs(values) / 16, scale * 2.0**-10)
    assert (scale > 0).all()
    assert (error <= step * (1 + 1e-5)).all()
    assert np.abs(made["w_quantized"]).max() <= number.largest


RECIPES = sorted((Path(__file__).parents[3] / "calibration").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_calibration_recipe_quantises(nets, tmp_path, path):
    recipe = parse(read(path)).quantize
    facts = quantize(nets["gated"], tmp_path / "q.onnx", IMAGES[:6], "ort-cpu", recipe, 4)
    assert facts["method"] == ("percentile" if recipe.method == "auto" else recipe.method)
    assert path.name in (path.parent / "README.md").read_text()


def test_every_calibration_recipe_is_there():
    assert {"default", "efficientnet", "entropy", "percentile", "tensorrt"} <= {path.stem for path in RECIPES}
