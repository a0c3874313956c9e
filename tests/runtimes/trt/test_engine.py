"""The code path of engines, from file to logits, with every recorded version's own API on a GPU made of NumPy."""

import gc
import json
import subprocess
import sys

import numpy as np
import pytest

from edgefair.files import sha256
from edgefair.recipe import DeploySettings
from edgefair.runtimes.machine import describe_jetson_gpu
from tests.helpers.fake_cuda import FakeDriver
from tests.helpers.fake_trt import INT8, VERSIONS, write_source
from tests.helpers.trt_fixtures import IMAGES, Machine, expected, forget_device


@pytest.fixture(params=VERSIONS)
def machine(request, monkeypatch, tmp_path):
    yield Machine(monkeypatch, tmp_path, request.param).start()
    monkeypatch.undo()
    forget_device()


@pytest.fixture
def rtx(monkeypatch, tmp_path):
    yield Machine(monkeypatch, tmp_path, VERSIONS[-1]).start()
    monkeypatch.undo()
    forget_device()


@pytest.mark.parametrize("output", ["FLOAT", "HALF"])
def test_every_version_builds_loads_and_predicts_what_the_engine_computes(machine, output):
    assert machine.runtime.build_unavailable_reason() == machine.runtime.run_unavailable_reason() == ""
    images = IMAGES // 64  # sums that float16 holds exactly
    for path, batch in zip(machine.list(machine.build(output=output)), (4, 1), strict=True):
        runtime = machine.runtime(path)
        assert (runtime.num_classes, runtime.size, runtime.max_batch) == (5, 4, batch)
        for count in (0, 1, 3, 4, 5, 11):  # 5 and 11 are more than the profile takes
            logits = runtime.predict(images[:count])
            assert logits.dtype == np.float32
            np.testing.assert_array_equal(logits, expected(images[:count]))
        runtime.close()


def test_work_is_queued_in_order_and_waited_for_once_a_batch(machine):
    runtime = machine.runtime(machine.list(machine.build())[0])
    runtime.predict(IMAGES[:8:2])  # rows that do not lie side by side
    runtime.predict(IMAGES[:4])
    assert machine.gpu.calls == ["cudaMemcpyHostToDevice", "execute", "cudaMemcpyDeviceToHost", "synchronise"] * 2


def test_logits_stay_what_they_were_when_more_is_predicted(machine):
    runtime = machine.runtime(machine.list(machine.build())[0])
    first = runtime.predict(IMAGES[:2])
    runtime.predict(IMAGES[2:4])
    np.testing.assert_array_equal(first, expected(IMAGES[:2]))


@pytest.mark.slow
def test_memory_is_taken_once_and_given_back(machine):
    path = machine.list(machine.build())[0]
    runtime = machine.runtime(path)
    blocks = set(machine.gpu.memory), set(machine.gpu.pinned)
    assert [len(found) for found in blocks] == [2, 2]
    assert sum(map(len, machine.gpu.memory.values())) == 4 * 48 + 4 * 5 * 4  # the largest batch, once
    runtime.predict(IMAGES)
    assert blocks == (set(machine.gpu.memory), set(machine.gpu.pinned))
    runtime.close()
    runtime.close()
    assert machine.gpu.empty
    machine.runtime(path)
    gc.collect()
    assert machine.gpu.empty


def test_facts_say_how_each_engine_was_made(machine):
    dynamic, single = machine.build()
    portable = machine.trt.__name__ == "tensorrt_rtx"
    assert (dynamic.batch, dynamic.path.name) == (0, f"student.fp32.{machine.trt.__name__}.engine")
    assert (single.batch, single.path.name) == (1, f"student.fp32.{machine.trt.__name__}.b1.engine")
    assert dynamic.facts["profile"] == {"min": 1, "opt": 4, "max": 4}
    assert single.facts["profile"] == {"min": 1, "opt": 1, "max": 1}
    for built, config in zip((dynamic, single), machine.trt._built, strict=True):
        facts = json.loads(json.dumps(built.facts))
        assert (facts["library"], facts["version"]) == (machine.trt.__name__, machine.trt.__version__)
        assert facts["gpu"]["device"] == "Fake GPU"
        assert facts["gpu"]["compute_capability"] == "8.9"
        assert facts["gpu"]["cuda_driver"] == "13.2"
        assert (facts["tf32"], facts["flags"], facts["optimization_level"]) == (False, [], 3)
        assert facts["bytes"] == built.path.stat().st_size
        assert facts["layers"]["source"] == "engine"
        assert facts["network_layers"]["source"] == "network"
        assert config._pools == {machine.trt.MemoryPoolType.WORKSPACE: 256 << 20}
        assert config.profiling_verbosity == machine.trt.ProfilingVerbosity.DETAILED
        assert facts["compute_capabilities"] == (["8.0", "8.6", "8.9", "12.0", "12.1"] if portable else None)
    shapes = [json.loads(built.path.read_bytes()) for built in (dynamic, single)]
    assert [found["shape"] for found in shapes] == [[-1, 3, 4, 4], [1, 3, 4, 4]]
    assert shapes[1]["profiles"] == []


def test_tf32_is_on_only_where_asked_for_and_recorded(machine):
    source = write_source(machine.folder / "s.onnx")
    built = machine.runtime.build(source, machine.folder, "s.fp32", DeploySettings(tf32=True, optimization_level=5))
    assert [(one.facts["tf32"], one.facts["flags"]) for one in built] == [(True, ["TF32"])] * 2
    assert [config.builder_optimization_level for config in machine.trt._built] == [5, 5]


def test_the_timing_cache_belongs_to_version_and_device_and_is_hashed(machine):
    machine.build()
    dynamic, single = machine.build()
    if machine.trt.__name__ == "tensorrt_rtx":  # its timing caches do nothing
        assert dynamic.facts["timing_cache"] is single.facts["timing_cache"] is None
        return
    path = machine.folder / f"timing-{machine.trt.__version__}-Fake_GPU_8.9.cache"
    assert path.read_bytes() == b"measured;" * 4
    assert dynamic.facts["timing_cache"]["file"] == path.name
    assert single.facts["timing_cache"]["sha256_before"] == dynamic.facts["timing_cache"]["sha256_after"]
    assert single.facts["timing_cache"]["sha256_after"] == sha256(path)


def test_int8_layers_are_counted_in_network_and_engine(machine):
    for built in machine.build("int8", layers=INT8):
        for layers in (built.facts["layers"], built.facts["network_layers"]):
            assert (layers["share"], layers["products"], layers["opaque"]) == ({"int8": 1.0}, {"int8": 1}, 0)


def test_a_file_of_one_image_gives_the_engine_for_one_image_alone(machine):
    (built,) = machine.build(shape=(1, 3, 4, 4))
    assert (built.batch, built.path.name) == (1, f"student.fp32.{machine.trt.__name__}.b1.engine")


def test_describe_says_what_ran_on_what(machine):
    runtime = machine.runtime(machine.list(machine.build())[0], threads=3)
    said = json.loads(json.dumps(runtime.describe()))
    assert said["runtime"] == machine.trt.__name__.replace("_", "-")
    assert (said["version"], said["provider"], said["threads"]) == (machine.trt.__version__, "cuda", 0)
    assert (said["device"], said["compute_capability"], said["memory_mib"]) == ("Fake GPU", "8.9", 8192)
    assert (said["cuda_driver"], said["cuda_runtime"], said["driver"]) == ("13.2", "13.2", "580.1")
    assert (said["sm_clock_mhz"], said["sm_clock_max_mhz"], said["memory_clock_mhz"]) == (1500, 2100, 7000)
    assert said["power_limit_w"] == 72.0
    assert "performance_state" not in said  # NVML did not answer that one
    assert (said["tf32"], said["profile"]["max"], said["layers"]["products"]) == (False, 4, {"fp32": 1})
    assert said["validity"] == ("VALID" if machine.trt.__name__ == "tensorrt_rtx" else None)


def test_fp8_is_built_for_the_capabilities_that_have_it(rtx):
    layers = [
        (kind, [(name, dtype.replace("INT8", "FP8")) for name, dtype in inputs], (out, kind_out.replace("INT8", "FP8")))
        for kind, inputs, (out, kind_out) in INT8
    ]
    for built in rtx.build("fp8", layers=layers):
        assert built.facts["compute_capabilities"] == ["8.9", "12.0", "12.1"]
    assert [int(one) for one, _ in rtx.trt._built[0]._capabilities] == [89, 120, 121]


def test_a_gpu_that_the_library_cannot_name_gets_an_engine_for_all(rtx):
    rtx.plug(driver=FakeDriver(capability=(9, 0)))
    built = rtx.build()
    assert built[0].facts["compute_capabilities"] == ["every one that the library supports"]
    assert rtx.trt._built[0]._capabilities == []


def test_a_jetson_tells_power_mode_and_clock_in_files(tmp_path):
    folder = tmp_path / "sys/class/devfreq/17000000.gpu"
    folder.mkdir(parents=True)
    (folder / "cur_freq").write_text("306000000\n")
    (folder / "max_freq").write_text("1300500000\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text("# R36 (release), REVISION: 4.3, GCID: 3, BOARD: generic\n")
    (tmp_path / "var/lib/nvpmodel").mkdir(parents=True)
    (tmp_path / "var/lib/nvpmodel/status").write_text("pmode:0000\n")
    assert describe_jetson_gpu(tmp_path) == {
        "sm_clock_mhz": 306,
        "sm_clock_max_mhz": 1300,
        "l4t": "R36 (release), REVISION: 4.3",
        "power_mode": "pmode:0000",
    }
    assert describe_jetson_gpu(tmp_path / "nothing") == {}


def test_the_package_imports_neither_torch_nor_a_library_of_nvidias():
    code = (
        "import sys, edgefair.runtimes.trt as t; t.TensorRT.run_unavailable_reason(); "
        "found = {'torch', 'onnx', 'tensorrt'} & set(sys.modules); assert not found, found; "
        "import edgefair.runtimes.gpu as g; g.describe_gpu(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
