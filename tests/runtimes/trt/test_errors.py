"""What goes wrong with engines ends in one clear error, never in the end of the process."""

import sys

import numpy as np
import pytest

from edgefair.errors import ArtefactError, MissingExtra
from edgefair.runtimes import load_runtime, manifest, runtime_class
from tests.helpers.fake_cuda import FakeDriver, FakeGpu
from tests.helpers.fake_trt import CONV, INT8, VERSIONS
from tests.helpers.trt_fixtures import IMAGES, Machine, expected, forget_device

TRT10, TRT11, RTX = VERSIONS[0], VERSIONS[-2], VERSIONS[-1]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Start a machine of a version, with faults, a GPU of so much room, or another driver."""

    def start(version=TRT10, gpu=None, **faults):
        return Machine(monkeypatch, tmp_path, version, gpu or FakeGpu(), faults=faults).start()

    yield start
    monkeypatch.undo()
    forget_device()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "tensorrt",
            r"pip install 'edgefair\[tensorrt\]'; its libraries come from the vendor's own index, on a Jetson",
        ),
        ("tensorrt-rtx", r"pip install 'edgefair\[rtx\]'$"),
    ],
)
def test_a_missing_library_names_its_extra(monkeypatch, tmp_path, name, said):
    Machine(monkeypatch, tmp_path).start()
    monkeypatch.setitem(sys.modules, name.replace("-", "_"), None)
    runtime = runtime_class(name)
    for reason in (runtime.build_unavailable_reason(), runtime.run_unavailable_reason()):
        with pytest.raises(MissingExtra, match=said):
            raise MissingExtra(reason)
    with pytest.raises(MissingExtra, match=said):
        runtime.build(tmp_path / "s.onnx", tmp_path, "s", None)
    monkeypatch.undo()
    forget_device()


def test_cuda_python_is_needed_to_run_and_not_to_build(machine, monkeypatch):
    found = machine(RTX)
    path = found.list(found.build())[0]
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    assert found.runtime.build_unavailable_reason() == ""
    assert "'cuda.bindings.runtime'" in found.runtime.run_unavailable_reason()
    with pytest.raises(MissingExtra, match=r"edgefair\[rtx\]"):
        found.runtime(path)


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        (None, "no NVIDIA driver answers"),
        (FakeDriver(code=100), "cuInit with error 100"),
        (FakeDriver(count=0), "sees no GPU"),
    ],
)
def test_without_a_driver_nothing_of_tensorrt_is_constructed(machine, driver, said):
    found = machine(TRT10)
    path = found.list(found.build())[0]
    found.plug(driver=driver)
    assert said in found.runtime.build_unavailable_reason()
    assert said in found.runtime.run_unavailable_reason()
    with pytest.raises(ArtefactError, match=said):
        found.build()
    with pytest.raises(ArtefactError, match=f"needs a GPU to run: .*{said}"):
        found.runtime(path)


def test_without_a_driver_rtx_builds_and_does_not_run(machine):
    found = machine(RTX)
    found.plug(driver=None)
    assert found.runtime.build_unavailable_reason() == ""
    dynamic, _ = built = found.build()
    assert dynamic.facts["gpu"] is None
    assert dynamic.facts["layers"]["source"] == "network"
    with pytest.raises(ArtefactError, match="no NVIDIA driver answers"):
        found.runtime(found.list(built)[0])


BUILDS = {
    "a null builder": ({"builder": True}, {}, "fp32", "cannot start its builder"),
    "every fault of the parser, with its node": (
        {},
        {"errors": [("conv_1", "Conv", "bad\nkernel\n[checkMacros.cpp::catchCudaError] 35"), ("pad", "Pad", "no")]},
        "fp32",
        r"node 'conv_1' \(Conv\): INVALID_NODE: bad kernel; node 'pad' \(Pad\): INVALID_NODE: no\. A quantised",
    ),
    "a file that is none": ({}, {"errors": [("", "", "cannot read")]}, "fp32", "the file: INVALID_NODE: .*Is the file"),
    "uint8 codes": (
        {},
        {"layers": INT8, "warnings": ["UINT8 zero_point only on DLA. Defaulting to INT8 instead."]},
        "int8",
        "would compute something else .* Defaulting to INT8 instead",
    ),
    "clamped weights": ({}, {"build_warnings": ["weights outside the range was clamped"]}, "fp32", "was clamped"),
    "a refused build": ({}, {"refused": "Myelin cannot compile\nfor sm80"}, "fp32", "Myelin cannot compile for sm80"),
    "int8 without an int8 layer": ({}, {"layers": CONV}, "int8", r"int8.* no layer of the network does: \{'fp32': 1\}"),
    "int8 whose weights are float": (
        {},
        {"layers": [*INT8[:2], ("CONVOLUTION", [("d", "FLOAT")], ("logits", "FLOAT"))]},
        "int8",
        "no layer of the network does",
    ),
    "codes that nothing uses": ({}, {"layers": [*INT8[:3], *CONV]}, "", "compute in int8, but no layer of the network"),
    "an engine that fell back to fp32": (
        {},
        {"layers": INT8, "engine_layers": CONV},
        "int8",
        r"no layer of the engine does: \{'fp32': 1\}",
    ),
    "other inputs": ({}, {"input": "FLOAT"}, "fp32", "images FLOAT .* uint8 images"),
    "a fixed batch of 8": ({}, {"shape": (8, 3, 4, 4)}, "fp32", "takes batches of 8 only"),
}


@pytest.mark.parametrize("version", [TRT10, TRT11, RTX])
@pytest.mark.parametrize("case", BUILDS)
def test_what_cannot_be_built_is_an_error_and_leaves_no_file(machine, version, case):
    faults, model, precision, said = BUILDS[case]
    found = machine(version, **faults)
    with pytest.raises(ArtefactError, match=said):
        found.build(precision, **model)
    assert not list(found.folder.glob("*.engine"))


def test_layers_whose_inside_is_hidden_are_believed_but_counted(machine):
    found = machine(TRT11)
    dynamic, _ = found.build("int8", layers=INT8, engine_layers=[("MYELIN", [("images", "FLOAT")], ("l", "FLOAT"))])
    assert (dynamic.facts["layers"]["opaque"], dynamic.facts["layers"]["layers"]) == (1, 0)


def test_a_broken_timing_cache_is_named(machine):
    found = machine(TRT10)
    (found.folder / "timing-10.3.0-Fake_GPU_8.9.cache").write_bytes(b"broken")
    with pytest.raises(ArtefactError, match=r"timing-10\.3\.0-Fake_GPU_8\.9\.cache is no timing cache .* delete it"):
        found.build()


def test_a_capability_that_the_library_does_not_take_is_named(machine):
    with pytest.raises(ArtefactError, match=r"does not build for compute capability 8\.0"):
        machine(RTX, capability=True).build()


def test_harmless_warnings_are_kept_with_the_engine(machine):
    found = machine(RTX)
    dynamic, single = found.build(warnings=["a hint", "a hint"], build_warnings=["another"])
    assert dynamic.facts["warnings"] == single.facts["warnings"] == ["a hint", "another"]


@pytest.mark.parametrize("version", [TRT10, RTX])
@pytest.mark.parametrize("change", ["truncated", "edited", "unlisted", "gone"])
def test_a_file_that_is_not_the_one_that_was_built_is_not_opened(machine, version, change):
    found = machine(version)
    path = found.list(found.build())[0]
    opened, whole = found.trt._opened, path.read_bytes()
    if change == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif change == "edited":
        path.write_bytes(whole.replace(b'"classes": 5', b'"classes": 6'))
    elif change == "unlisted":
        manifest.write(found.folder, [])
    else:
        path.unlink()
    with pytest.raises(ArtefactError, match=path.name):
        found.runtime(path)
    assert found.trt._opened == opened


def test_an_engine_of_another_version_says_both(machine):
    found = machine(TRT10)
    path = found.list(found.build())[0]
    found.install("tensorrt 10.7.0")
    with pytest.raises(ArtefactError, match=r"built by tensorrt 10\.3\.0; here is tensorrt 10\.7\.0"):
        found.runtime(path)
    assert found.trt._opened == 0


def test_an_engine_of_another_device_says_both(machine):
    found = machine(TRT10)
    path = found.list(found.build())[0]
    found.plug(driver=FakeDriver(name="Orin", capability=(8, 7)))
    opened = found.trt._opened
    said = r"built for Fake GPU \(compute capability 8\.9\); here is Orin \(compute capability 8\.7\)"
    with pytest.raises(ArtefactError, match=said):
        found.runtime(path)
    assert found.trt._opened == opened


def test_rtx_asks_the_library_whether_an_engine_fits(machine):
    found = machine(RTX)
    path = found.list(found.build())[0]
    bits = found.trt.EngineInvalidityDiagnostics.UNSUPPORTED_CC
    found.trt._faults["validity"] = ("INVALID", int(bits))
    with pytest.raises(ArtefactError, match=r"cannot run on Fake GPU .*: UNSUPPORTED_CC\. It was built for .*'8\.0'"):
        found.runtime(path)
    found.trt._faults["validity"] = ("SUBOPTIMAL", 0)
    assert found.runtime(path).describe()["validity"] == "SUBOPTIMAL"


LOADS = {
    "deserialize": r"cannot load .*plan\.header\.size == blobSize failed\. Build it again",
    "address": "does not take memory for 'images'",
    "context": r"has no room to run: .*smaller deploy\.max_batch",
}


@pytest.mark.parametrize("version", [TRT10, RTX])
@pytest.mark.parametrize("fault", LOADS)
def test_what_does_not_load_is_an_error_with_the_librarys_reason(machine, version, fault):
    found = machine(version)
    path = found.list(found.build())[0]
    found.trt._faults[fault] = "Serialization assertion plan.header.size == blobSize failed"
    with pytest.raises(ArtefactError, match=LOADS[fault]):
        load_runtime(found.trt.__name__.replace("_", "-"), path)
    assert found.gpu.empty


def test_an_engine_that_tensorrt_cannot_open_after_building_it_is_an_error_and_for_rtx_not(machine):
    with pytest.raises(ArtefactError, match="has just built does not load"):
        machine(TRT10, deserialize="not for this device").build()
    dynamic, _ = machine(RTX, deserialize="not for this device").build()  # it may be for other devices
    assert dynamic.facts["layers"]["source"] == "network"


@pytest.mark.parametrize("room", [0, 100, 200])
def test_a_full_gpu_says_what_to_lower_and_keeps_nothing(machine, room):
    found = machine(TRT10, gpu=FakeGpu(room=room))
    path = found.list(found.build())[0]
    with pytest.raises(ArtefactError, match=r"out of memory .*cudaMalloc failed.*smaller deploy\.max_batch"):
        found.runtime(path)
    assert found.gpu.empty


def test_what_the_library_could_not_allocate_says_what_to_lower(machine):
    found = machine(TRT10)
    with pytest.raises(ArtefactError, match=r"cannot build .*out of memory.*smaller deploy\.max_batch"):
        found.build(refused="Error Code 2: OutOfMemory (Cuda out of memory)")
    path = found.list(found.build())[0]
    found.trt._faults["deserialize"] = "Cuda Runtime (cudaErrorMemoryAllocation)"
    with pytest.raises(ArtefactError, match=r"cannot load .*smaller deploy\.max_batch"):
        found.runtime(path)


def test_faults_while_running_are_errors(machine):
    found = machine(TRT10)
    runtime = found.runtime(found.list(found.build())[0])
    found.trt._faults["execute"] = True
    with pytest.raises(ArtefactError, match="the engine did not run: enqueueV3"):
        runtime.predict(IMAGES[:2])
    del found.trt._faults["execute"]
    found.gpu.fail = "cudaErrorIllegalAddress"
    with pytest.raises(
        ArtefactError, match=r"cudaStreamSynchronize failed on the GPU: cudaErrorIllegalAddress \(700\)"
    ):
        runtime.predict(IMAGES[:2])
    runtime.close()
    with pytest.raises(ArtefactError, match="has been closed"):
        runtime.predict(IMAGES[:2])


@pytest.mark.parametrize("images", [IMAGES.astype(np.float32), IMAGES[0], IMAGES[:, :2], IMAGES[:, :, :3, :3]])
def test_other_images_are_refused_and_the_engine_goes_on(machine, images):
    found = machine(TRT10)
    runtime = found.runtime(found.list(found.build())[0])
    with pytest.raises(ArtefactError, match=r"takes uint8 \(batch, 3, 4, 4\)"):
        runtime.predict(images)
    np.testing.assert_array_equal(runtime.predict(IMAGES), expected(IMAGES))
