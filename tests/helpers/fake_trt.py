"""TensorRT of any recorded version, with no attribute that this version does not have.

A network is a JSON file (`write_source`), an engine the JSON of what it computes:
logits[b, c] = (c + 1) * sum of image b, rounded to float16 where the output is.
"""

import enum
import json
import types
import weakref
from pathlib import Path

import numpy as np

from tests.helpers.fake_cuda import OFFSET, FakeGpu, view

SURFACES = json.loads((Path(__file__).parents[1] / "reference" / "trt_api_surfaces.json").read_text())
VERSIONS = list(SURFACES)
BITS = {"FLOAT": "FP32", "HALF": "FP16", "INT8": "Int8", "FP8": "FP8"}
CONV = [("CONVOLUTION", [("f", "FLOAT")], ("logits", "FLOAT"))]
INT8 = [
    ("QUANTIZE", [("f", "FLOAT")], ("q", "INT8")),
    ("DEQUANTIZE", [("q", "INT8")], ("d", "FLOAT")),
    ("DEQUANTIZE", [("w", "INT8")], ("e", "FLOAT")),
    ("CONVOLUTION", [("d", "FLOAT"), ("e", "FLOAT")], ("logits", "FLOAT")),
]


class Segfault(BaseException):
    """Where the real library would end the process."""


def write_source(path: Path, layers=CONV, shape=(-1, 3, 4, 4), classes=5, output="FLOAT", **faults) -> Path:
    path.write_text(json.dumps({"layers": layers, "shape": shape, "classes": classes, "output": output, **faults}))
    return path


class Object:
    """An object of the library: names that the recorded version lacks can be neither read nor set."""

    surface: frozenset = frozenset()

    def __getattribute__(self, name):
        if not name.startswith("_") and name not in type(self).surface:
            raise AttributeError(f"{type(self).__name__} of this version has no '{name}'")
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        if not name.startswith("_") and name not in type(self).surface:
            raise AttributeError(f"{type(self).__name__} of this version has no '{name}'")
        object.__setattr__(self, name, value)


class ITensor(Object):
    def __init__(self, name, dtype, shape=()):
        self.name, self.dtype, self.shape = name, dtype, tuple(shape)


class ILayer(Object):
    def __init__(self, kind, inputs, output):
        self.type, self._inputs, self._output = kind, inputs, output
        self.num_inputs = len(inputs)

    def get_input(self, index):
        return self._inputs[index]

    def get_output(self, index):
        return self._output


class INetworkDefinition(Object):
    def _fill(self, trt, model, parser):
        kinds, types_ = trt.LayerType, trt.DataType
        self._model, self._parser = model, weakref.ref(parser)
        self._input = ITensorOf(trt)("images", types_[model.get("input", "UINT8")], model["shape"])
        self._result = ITensorOf(trt)("logits", types_[model["output"]], (model["shape"][0], model["classes"]))
        self._layers = [
            trt._classes["ILayer"](
                kinds[kind],
                [ITensorOf(trt)(name, types_[dtype]) for name, dtype in inputs],
                ITensorOf(trt)(output[0], types_[output[1]]),
            )
            for kind, inputs, output in model["layers"]
        ]
        self.num_inputs = self.num_outputs = 1
        self.num_layers = len(self._layers)

    def get_input(self, index):
        return self._input

    def get_output(self, index):
        return self._result

    def get_layer(self, index):
        return self._layers[index]


def ITensorOf(trt):
    return trt._classes["ITensor"]


class ParserError(Object):
    def __init__(self, node, operator, text):
        self._about = node, operator, text

    def node_name(self):
        return self._about[0]

    def node_operator(self):
        return self._about[1]

    def desc(self):
        return self._about[2]

    def code(self):
        return types.SimpleNamespace(name="INVALID_NODE")


class OnnxParser(Object):
    def __init__(self, network, log):
        self._network, self._log, self._errors = weakref.ref(network), log, []
        self.num_errors = 0

    def parse_from_file(self, path):
        network = self._network()
        if network is None:
            raise Segfault("the network was freed while it was being parsed")
        model = json.loads(Path(path).read_text())
        self._errors = [self._trt._classes["ParserError"](*error) for error in model.get("errors", [])]
        self.num_errors = len(self._errors)
        for text in model.get("warnings", []):
            self._log.log(self._trt._severity.WARNING, text)
        network._fill(self._trt, model, self)
        return not self._errors

    def get_error(self, index):
        return self._errors[index]


class IOptimizationProfile(Object):
    def set_shape(self, name, smallest, best, largest):
        self._shapes = [smallest, best, largest]


class ITimingCache(Object):
    def __init__(self, content):
        self._content = content

    def serialize(self):
        return self._content


class IBuilderConfig(Object):
    def __init__(self):
        self._pools, self._flags, self._profiles, self._capabilities = {}, {self._trt.BuilderFlag.TF32}, [], []
        self.builder_optimization_level, self.profiling_verbosity = 3, None

    def set_memory_pool_limit(self, pool, size):
        self._pools[pool] = size

    def set_flag(self, flag):
        self._flags.add(flag)

    def clear_flag(self, flag):
        self._flags.discard(flag)

    def get_flag(self, flag):
        return flag in self._flags

    def add_optimization_profile(self, profile):
        self._profiles.append(profile._shapes)

    def create_timing_cache(self, content):
        return None if content == b"broken" else self._trt._classes["ITimingCache"](content)

    def set_timing_cache(self, cache, ignore_mismatch):
        self._cache = cache
        return True

    def get_timing_cache(self):
        return self._cache

    def set_compute_capability(self, capability, index):
        self._capabilities.append((capability, index))
        return not self._trt._faults.get("capability")


class Builder(Object):
    def __init__(self, log):
        if not self._trt._rtx and not self._trt._driver():
            raise Segfault("a builder without a driver")
        if self._trt._faults.get("builder"):
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._log = log

    def create_network(self, flags):
        assert flags == 1 << int(self._trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        return self._trt._classes["INetworkDefinition"]()

    def create_builder_config(self):
        return self._trt._classes["IBuilderConfig"]()

    def create_optimization_profile(self):
        return self._trt._classes["IOptimizationProfile"]()

    def build_serialized_network(self, network, config):
        model = network._model
        if network._parser() is None:
            raise Segfault("the parser that owns the weights was freed before the build")
        if "refused" in model:
            self._log.log(self._trt._severity.ERROR, model["refused"])
            return None
        for text in model.get("build_warnings", []):
            self._log.log(self._trt._severity.WARNING, text)
        if hasattr(config, "_cache"):
            config._cache._content += b"measured;"
        self._trt._built.append(config)
        plan = {
            "shape": network._input.shape,
            "profiles": config._profiles,
            **{k: model[k] for k in ("classes", "output")},
        }
        return json.dumps({**plan, "layers": model.get("engine_layers", model["layers"])}).encode()


class ICudaEngine(Object):
    def __init__(self, content):
        self._plan = json.loads(content)
        self.num_io_tensors = 2

    def get_tensor_name(self, index):
        return ("images", "logits")[index]

    def get_tensor_mode(self, name):
        modes = self._trt.TensorIOMode
        return modes.INPUT if name == "images" else modes.OUTPUT

    def get_tensor_dtype(self, name):
        return self._trt.DataType["UINT8" if name == "images" else self._plan["output"]]

    def get_tensor_shape(self, name):
        shape = self._plan["shape"]
        return shape if name == "images" else (shape[0], self._plan["classes"])

    def get_tensor_profile_shape(self, name, profile):
        return self._plan["profiles"][profile]

    def create_execution_context(self):
        return None if self._trt._faults.get("context") else self._trt._classes["IExecutionContext"](self._plan)

    def create_engine_inspector(self):
        return self._trt._classes["EngineInspector"](self._plan)


class EngineInspector(Object):
    def __init__(self, plan):
        self._plan = plan

    def get_engine_information(self, form):
        rows = [
            {
                "Name": "node",
                "LayerType": {"CONVOLUTION": "CaskConvolution", "MYELIN": "Myelin"}.get(kind, "Reformat"),
                "Inputs": [self._end(inputs[-1])],
                "Outputs": [self._end(output)],
            }
            for kind, inputs, output in self._plan["layers"]
        ]
        ends = ["images", "logits"]
        old = {"Bindings": ends}
        new = {"I/O Tensors": [{"Name": name, "IOMode": "Input"} for name in ends]}
        return json.dumps({"Layers": rows, **(old if self._trt._major == 10 else new)})

    def _end(self, tensor):
        name, dtype = tensor
        codes = {output[0]: inputs[0][1] for kind, inputs, output in self._plan["layers"] if kind == "DEQUANTIZE"}
        dtype = codes.get(name, dtype)
        split = {"Format": "Row major linear", "Datatype": BITS[dtype]}
        merged = {"Format/Datatype": f"Row major linear {BITS[dtype]} format"}
        return {"Name": name, "Location": "Device", **(merged if self._trt._major == 10 else split)}


class IExecutionContext(Object):
    def __init__(self, plan):
        self._plan, self._addresses, self._shape = plan, {}, None

    def set_input_shape(self, name, shape):
        least, most = (self._plan["profiles"] or [[self._plan["shape"]] * 3])[0][::2]
        if not least[0] <= shape[0] <= most[0]:
            return False
        self._shape = tuple(shape)
        return True

    def set_tensor_address(self, name, address):
        self._addresses[name] = address
        return not self._trt._faults.get("address")

    def execute_async_v3(self, stream):
        if self._trt._faults.get("execute"):
            self._trt._log.log(self._trt._severity.ERROR, "enqueueV3: Error Code 1: Cuda Runtime")
            return False
        shape, memory = self._shape, self._trt._gpu.memory
        addresses = [self._addresses[name] for name in ("images", "logits")]
        if type(stream) is not int or shape is None or not all(address in memory for address in addresses):
            raise Segfault("a wrong stream, no shape, or an address that is not the device's")
        self._trt._gpu.launch(lambda: self._compute(shape, *addresses), stream)
        return True

    def _compute(self, shape, source, target):
        images = view(source - OFFSET, int(np.prod(shape))).reshape(shape[0], -1)
        dtype = {"FLOAT": np.float32, "HALF": np.float16}[self._plan["output"]]
        sums = images.sum(1, dtype=np.int64)[:, None] * np.arange(1, self._plan["classes"] + 1)
        content = sums.astype(dtype).view(np.uint8).ravel()
        view(target - OFFSET, content.size)[:] = content


class Runtime(Object):
    def __init__(self, log):
        if not self._trt._driver():
            raise Segfault("a runtime without a driver")
        self._trt._log = log

    def deserialize_cuda_engine(self, content):
        self._trt._opened += 1
        if text := self._trt._faults.get("deserialize"):
            self._trt._log.log(self._trt._severity.ERROR, text)
            return None
        return self._trt._classes["ICudaEngine"](content)

    def get_engine_validity(self, content):
        answer, bits = self._trt._faults.get("validity", ("VALID", 0))
        return self._trt.EngineValidity[answer], bits


class ILogger:
    def __init__(self):
        pass


OBJECTS = (
    *(ITensor, ILayer, INetworkDefinition, ParserError, OnnxParser, IOptimizationProfile, ITimingCache, IBuilderConfig),
    *(Builder, ICudaEngine, EngineInspector, IExecutionContext, Runtime),
)
ENUMS = ("BuilderFlag", "NetworkDefinitionCreationFlag", "DataType", "LayerType", "MemoryPoolType", "TensorIOMode")
ENUMS += ("ProfilingVerbosity", "LayerInformationFormat", "ComputeCapability", "EngineValidity")


def fake_trt(version: str, gpu: FakeGpu, driver=lambda: True, **faults) -> types.ModuleType:
    """The module `tensorrt` or `tensorrt_rtx` of a recorded version; faults: builder, context, execute, ...=True."""
    surface = {name: frozenset(names) for name, names in SURFACES[version].items()}
    name, number = version.split()
    trt = types.ModuleType(name)
    trt.__version__ = number
    trt._gpu, trt._driver, trt._faults, trt._rtx = gpu, driver, faults, name == "tensorrt_rtx"
    trt._major = 11 if trt._rtx else int(number.split(".")[0])
    trt._built, trt._opened, trt._log = [], 0, None
    severities = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
    trt._severity = enum.IntEnum("Severity", severities, start=0)
    trt._classes = {}
    for kind in OBJECTS:
        made = type(kind.__name__, (kind,), {"surface": surface[kind.__name__], "_trt": trt})
        trt._classes[kind.__name__] = made
        if kind.__name__ in surface["classes"]:
            setattr(trt, kind.__name__, made)
    for kind in ENUMS:
        if kind in surface:
            members = sorted(surface[kind] - {"name", "value", "itemsize"})
            values = {member: int(member[2:]) if member[:2] == "SM" else index for index, member in enumerate(members)}
            setattr(trt, kind, enum.IntEnum(kind, values))
    if trt._rtx:
        members = sorted(surface["EngineInvalidityDiagnostics"] - {"name", "value"})
        trt.EngineInvalidityDiagnostics = enum.IntFlag("EngineInvalidityDiagnostics", members)
    trt.ILogger = ILogger
    return trt
