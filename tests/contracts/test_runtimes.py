"""Every runtime keeps the same contract, and a new one is its class and a row in the table of targets."""

import inspect

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from edgefair.data import load_examples
from edgefair.errors import ArtefactError, RecipeError
from edgefair.models import create, save_weights
from edgefair.pipeline.bench.stage import time_artefacts
from edgefair.predictions import Predictions
from edgefair.recipe import DeploySettings, parse
from edgefair.recipe.targets import TARGETS, Target
from edgefair.runtimes import RUNTIMES, Built, Runtime, load_runtime, manifest, runtime_class
from edgefair.runtimes.artefact import Artefact
from edgefair.runtimes.ort import OrtCuda
from edgefair.runtimes.targets import is_engine, resolve_targets, runs_on_gpu
from edgefair.testing import predict_engine
from tests.helpers.command_line import run
from tests.helpers.fake_trt import VERSIONS
from tests.helpers.recipes import tiny
from tests.helpers.toy_run import make_run, toy_onnx
from tests.helpers.trt_fixtures import Machine, forget_device

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
ENGINE_IMAGES = IMAGES[..., :4, :4]  # the fake engines' size
MEMBERS = ("load", "build", "predict", "describe", "close", "build_unavailable_reason", "run_unavailable_reason")


@pytest.fixture
def path(name, tmp_path, monkeypatch):
    """A file that the runtime `name` executes: engines on a fake GPU, CUDA's provider played by the CPU's."""
    if name in ("tensorrt", "tensorrt-rtx"):
        version = next(one for one in VERSIONS if one.startswith(name.replace("-", "_") + " "))
        machine = Machine(monkeypatch, tmp_path, version).start()
        yield machine.list(machine.build())[0]
        assert machine.gpu.empty, "an engine was not closed"
        monkeypatch.undo()
        forget_device()
        return
    if name == "null":
        (tmp_path / "null.txt").write_text("10")
        yield tmp_path / "null.txt"
    elif name == "eager":
        save_weights(create("cifar:resnet8", 10, 0), tmp_path / "m.safetensors", 10)
        yield tmp_path / "m.safetensors"
    else:
        monkeypatch.setattr(OrtCuda, "PROVIDER", "CPUExecutionProvider")
        monkeypatch.setattr(OrtCuda, "OPTIONS", {})
        monkeypatch.setattr(OrtCuda, "run_unavailable_reason", classmethod(lambda cls: ""))
        toy_onnx(tmp_path / "m.onnx")
        yield tmp_path / "m.onnx"


def images_for(runtime: Runtime) -> np.ndarray:
    return ENGINE_IMAGES if runtime.size == 4 else IMAGES


@pytest.mark.parametrize("name", RUNTIMES)
def test_every_member_is_there_with_the_parameters_of_the_base_class(name):
    kind = runtime_class(name)
    assert issubclass(kind, Runtime)
    for member in MEMBERS:
        assert inspect.signature(getattr(kind, member)) == inspect.signature(getattr(Runtime, member)), member
    assert list(inspect.signature(kind).parameters)[:2] == ["path", "threads"]
    for reason in (kind.build_unavailable_reason(), kind.run_unavailable_reason()):
        assert isinstance(reason, str)


@pytest.mark.parametrize("name", RUNTIMES)
def test_it_predicts_and_describes_until_it_is_closed_and_may_be_closed_twice(name, path):
    with load_runtime(name, path, threads=1) as runtime:
        assert isinstance(runtime, Runtime)
        images = images_for(runtime)
        logits = runtime.predict(images)
        assert (logits.dtype, logits.shape) == (np.float32, (3, runtime.num_classes))
        assert {"runtime", "version", "provider", "threads"} <= set(runtime.describe())
        assert isinstance(runtime.batch, int)
        assert runtime.size is None or isinstance(runtime.size, int)
        assert not runtime.closed
    assert runtime.closed
    for call in (lambda: runtime.predict(images), runtime.describe):
        with pytest.raises(ArtefactError, match="has been closed; load its file again"):
            call()
    runtime.close()


@pytest.mark.parametrize("name", RUNTIMES)
def test_an_error_inside_closes_it_and_is_not_hidden(name, path):
    with pytest.raises(KeyError), load_runtime(name, path) as runtime:
        raise KeyError("of the caller")
    assert runtime.closed


@pytest.mark.parametrize("name", ["eager", "null"])
def test_a_runtime_that_nothing_is_built_for_says_so(name, tmp_path):
    reason = runtime_class(name).build_unavailable_reason()
    assert "Choose another runtime" in reason
    with pytest.raises(ArtefactError, match="Choose another runtime"):
        runtime_class(name).build(tmp_path / "m.onnx", tmp_path, "m", DeploySettings())


# A runtime added by its class, here, and one row of the table, in the fixture


class Reference(Runtime):
    """ONNX's own reference implementation, in NumPy; counts how many of it are open."""

    opened = 0
    most = 0

    def __init__(self, path, threads=0):
        model = onnx.load(path)
        self.num_classes = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
        self.size = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
        self.session = ReferenceEvaluator(model)
        Reference.opened += 1
        Reference.most = max(Reference.most, Reference.opened)

    def _predict(self, images):
        return self.session.run(None, {"images": images})[0]

    def _describe(self):
        return {"runtime": "onnx-reference", "version": onnx.__version__, "provider": "numpy", "threads": 1}

    def _close(self):
        Reference.opened -= 1


@pytest.fixture
def reference(monkeypatch):
    row = Target("reference", f"{__name__}:Reference", ("fp32",), "ort-cpu", "onnx")
    monkeypatch.setitem(TARGETS, "reference", row)
    monkeypatch.setattr(Reference, "most", 0)
    yield
    assert Reference.opened == 0, "who opened it did not close it"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A kit of a finished run."""
    from edgefair.log import Log
    from edgefair.pipeline.device.kit import bundle

    place = tmp_path_factory.mktemp("contract")
    make_run(place / "run")
    bundle(place / "run", place / "kit", Log(quiet=True))
    return place / "kit"


@pytest.mark.integration
@pytest.mark.usefixtures("reference")
def test_it_predicts_what_another_runtime_does(capsys, folder, tmp_path):
    found = {}
    for name in ("ort", "reference"):
        out = tmp_path / f"{name}.npz"
        arguments = ("--runtime", name, "--gate", folder / "gate.npz", "--out", out)
        code, text = run(capsys, "predict", str(folder / "student.onnx"), *map(str, arguments))
        assert code in (0, None), text
        found[name] = Predictions.load(out)
    np.testing.assert_allclose(found["reference"].logits, found["ort"].logits, rtol=1e-3, atol=1e-2)
    assert found["reference"].about["runtime"] == "onnx-reference"
    assert Reference.most == 1


@pytest.mark.integration
@pytest.mark.usefixtures("reference")
def test_bench_times_it_beside_another(capsys, folder):
    quick = ("--queries", "5", "--rounds", "5", "--seconds", "0", "--warmup", "1", "--no-probe")
    file = str(folder / "student.onnx")
    code, text = run(capsys, "bench", file, "--runtime", "reference", "--runtime", "ort", *quick)
    assert code in (0, None), text
    assert "student.onnx on reference" in text
    assert Reference.most == 2  # the first is loaded twice, for the control


@pytest.mark.usefixtures("reference")
def test_who_predicts_for_a_test_or_times_for_the_main_job_closes_it(tmp_path, quiet):
    toy_onnx(tmp_path / "m.onnx")
    labels, names = np.zeros(3, np.int64), [f"class {i}" for i in range(10)]
    found = predict_engine(tmp_path / "m.onnx", IMAGES, labels, labels, names, ["all"], runtime="reference")
    assert found.about["runtime"] == "onnx-reference"
    assert (Reference.opened, Reference.most) == (0, 1)
    artefact = Artefact("m", tmp_path / "m.onnx", "reference", "fp32", "0" * 64, claim="same")
    recipe = tiny(bench__batches=[1], bench__repeats=20, bench__warmup=1)
    record = time_artefacts([artefact], load_examples(recipe.data, 0, quiet), recipe, quiet)
    assert record["artefacts"]["m"]["1"]["calls"] >= 20
    assert (Reference.opened, Reference.most) == (0, 2)  # twice, for the control


@pytest.mark.integration
@pytest.mark.usefixtures("reference")
def test_files_are_built_for_it_and_lists_and_help_know_it(capsys, folder, tmp_path):
    assert resolve_targets(parse({"deploy": {"targets": ["reference"]}}).deploy) == [("reference", "fp32")]
    assert not runs_on_gpu("reference")
    assert not is_engine("reference")
    code, text = run(capsys, "build", str(folder), "--runtime", "reference", "--out", str(tmp_path / "built"))
    assert code in (0, None), text
    (entry,) = manifest.read(tmp_path / "built")
    assert (entry.name, entry.runtime, entry.blocked) == ("reference-fp32", "reference", "")
    assert runtime_class("reference").build(folder / "student.onnx", tmp_path, "m", DeploySettings()) == [
        Built(folder / "student.onnx")
    ]
    for command, option in (("build", "--runtime"), ("predict", "--runtime"), ("lint", "--target")):
        assert "reference" in run(capsys, command, "--help")[1], (command, option)
    code, text = run(capsys, "lint", str(folder / "student.onnx"), "--target", "reference")
    assert code in (0, None), text


def test_a_name_that_no_table_has_is_refused_with_those_that_are(capsys, tmp_path):
    with pytest.raises(RecipeError, match=r"'ort-cpu', 'ort-cuda', .* or 'tensorrt-rtx' \(given: 'reference'\)"):
        parse({"deploy": {"targets": ["reference"]}})
    with pytest.raises(RecipeError, match=r"unknown runtime 'referenc'"):
        runtime_class("referenc")
    (tmp_path / "m.onnx").write_bytes(b"x")
    code, text = run(capsys, "lint", str(tmp_path / "m.onnx"), "--target", "reference")
    assert code == 2
    assert "'ort-cpu', 'ort-cuda', 'openvino', 'tensorrt', 'tensorrt-rtx'" in text
