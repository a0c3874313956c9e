"""The dialect linter says of files with one flaw what TensorRT-RTX's parser, ONNX Runtime and OpenVINO do with them."""

import json
import warnings

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefair.cli import cli
from edgefair.errors import ArtefactError
from edgefair.export.quantization.lint import BLOCKING, SEVERITIES, lint, lint_model, summary
from edgefair.runtimes.targets import TARGETS
from tests.helpers.dialect_files import GOLDEN, NOISE, Builder, simple
from tests.helpers.rtx import Builds

CRASHES = ("computed scale",)  # what takes TensorRT-RTX's builder, and the process, down
SILENT = ("no zero point",)  # what its parser reads otherwise than ONNX says, without a warning
IMAGES = np.random.default_rng(1).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)


def verdict(findings, target: str) -> str:
    said = {one.severity for one in findings if one.target == target}
    return next((severity for severity in BLOCKING if severity in said), "clean")


@pytest.mark.parametrize("name", GOLDEN)
def test_each_flaw_is_named_and_nothing_else(name):
    make, expected, rules = GOLDEN[name]
    findings = lint_model(make())
    assert {one.rule for one in findings} - NOISE >= rules
    if not rules:
        assert {one.rule for one in findings} <= NOISE
    assert verdict(findings, "tensorrt") == verdict(findings, "tensorrt-rtx") == expected
    assert all(one.severity in SEVERITIES and one.target in TARGETS and one.message for one in findings)


def test_the_verdicts_for_tensorrt_are_those_of_its_own_parser(tmp_path):
    native = Builds()
    differing = {}
    for name, (make, expected, _) in GOLDEN.items():
        if name in CRASHES:
            continue
        onnx.save(make(), path := tmp_path / "file.onnx")
        # Formats that do not go together pass the parser; building every file would take too long for a test.
        said = native.verdict(path, build=" times " in name)
        if said != ("clean" if name in SILENT else expected):
            differing[name] = (said, expected)
    assert not differing


def run_ort(model, optimise: bool) -> np.ndarray | None:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return session.run(None, {"images": IMAGES})[0]
    except Exception:  # the library's exception classes share no public base
        return None


@pytest.mark.parametrize("name", GOLDEN)
def test_the_verdicts_for_onnx_runtime_are_what_it_does(name):
    """Optimised as in use, against node by node: "rejects" fails, "misreads" computes something else."""
    model = GOLDEN[name][0]()
    said = verdict(lint_model(model), "ort-cpu")
    expected, got = run_ort(model, optimise=False), run_ort(model, optimise=True)
    if said == "rejects":
        assert got is None
        return
    same = np.allclose(got, expected, rtol=0, atol=0.05 * np.nan_to_num(np.abs(expected)).max(), equal_nan=True)
    if name != "weights of eight bits":  # what becomes of these depends on the processor
        assert same == (said == "clean")


def test_openvino_misreads_fp8(tmp_path):
    openvino = pytest.importorskip("openvino")
    model = simple(onnx.TensorProto.FLOAT8E4M3FN, 19)
    assert verdict(lint_model(model), "openvino") == "misreads"
    expected = run_ort(model, optimise=False)
    onnx.save(model, path := tmp_path / "fp8.onnx")
    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert np.abs(compiled({"images": IMAGES})[0] - expected).max() > np.abs(expected).max()


@pytest.mark.parametrize("content", [b"", b"not onnx", b"\x08\x0a"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ArtefactError, match=r"x\.onnx is not"):
        lint(tmp_path / "x.onnx")


def test_summary_puts_the_gravest_first_and_nodes_together():
    groups = summary(lint_model(GOLDEN["uint8 around 128"][0]()))
    assert [list(SEVERITIES).index(group["severity"]) for group in groups] == sorted(
        list(SEVERITIES).index(group["severity"]) for group in groups
    )
    assert groups[0]["rule"] == "zero-point"
    assert groups[0]["nodes"] == ["a_q_QuantizeLinear", "a_DequantizeLinear"]
    assert groups[0]["targets"] == ["tensorrt", "tensorrt-rtx"]


def test_command_exits_by_what_it_finds(tmp_path):
    for name in ("clean", "int32 bias"):
        onnx.save(GOLDEN[name][0](), tmp_path / f"{name}.onnx")
    run = CliRunner().invoke
    assert run(cli, ["lint", str(tmp_path / "clean.onnx")]).exit_code == 0
    bad = run(cli, ["lint", str(tmp_path / "int32 bias.onnx"), "--json", str(tmp_path / "found.json")])
    assert bad.exit_code == 1
    assert "rejects" in bad.output
    assert "bias_DequantizeLinear" in bad.output
    assert json.loads((tmp_path / "found.json").read_text())[0]["rule"] == "number-format"
    assert run(cli, ["lint", str(tmp_path / "int32 bias.onnx"), "--target", "ort-cpu"]).exit_code == 0
    assert run(cli, ["lint", str(tmp_path / "none.onnx")]).exit_code == 2
    assert run(cli, ["lint", str(tmp_path / "clean.onnx"), "--target", "abacus"]).exit_code == 2


OPERATORS = [
    "QuantizeLinear",
    "DequantizeLinear",
    "Conv",
    "Gemm",
    "MatMul",
    "Mul",
    "Add",
    "Sigmoid",
    "ReduceMean",
    "Relu",
]
TENSORS = st.sampled_from([f"t{i}" for i in range(6)] + ["w", "s", "z", "images", ""])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPERATORS), st.lists(TENSORS, max_size=4), TENSORS), max_size=12))
def test_any_graph_is_linted_without_a_crash(nodes):
    """Rings, missing operands, tensors made twice: a damaged file gets findings or none, never a traceback."""
    build = Builder()
    build.weight("w", (4, 4, 1, 1))
    build.const("s", np.float32(0.1))
    build.const("z", np.int8(3))
    for place, (op, inputs, target) in enumerate(nodes):
        build.nodes.append(onnx.helper.make_node(op, inputs, [target], f"n{place}"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for one in lint_model(build.model("t0")):
            assert one.target in TARGETS
