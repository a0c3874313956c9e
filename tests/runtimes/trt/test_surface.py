"""Every attribute of TensorRT's that the package touches exists in every recorded version of the API.

The source is read as a tree: a variable is named after the class that it holds (RECEIVERS), and RETURNS says what the
attributes of a class give. What only TensorRT-RTX has may be touched in rtx.py alone.
"""

import ast
from pathlib import Path

import pytest

from edgefair.runtimes import trt as package
from tests.helpers.fake_trt import SURFACES, VERSIONS

FILES = sorted(Path(package.__file__).parent.glob("*.py"))
RECEIVERS = {
    "trt": "classes",
    "builder": "Builder",
    "config": "IBuilderConfig",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "fault": "ParserError",
    "layer": "ILayer",
    "tensor": "ITensor",
    "result": "ITensor",
    "profile": "IOptimizationProfile",
    "cache": "ITimingCache",
    "runtime": "Runtime",
    "engine": "ICudaEngine",
    "context": "IExecutionContext",
    "inspector": "EngineInspector",
}
ENUM = "an enumeration"
RETURNS = {
    ("Builder", "create_network"): "INetworkDefinition",
    ("Builder", "create_builder_config"): "IBuilderConfig",
    ("Builder", "create_optimization_profile"): "IOptimizationProfile",
    ("Runtime", "deserialize_cuda_engine"): "ICudaEngine",
    ("ICudaEngine", "create_execution_context"): "IExecutionContext",
    ("ICudaEngine", "create_engine_inspector"): "EngineInspector",
    ("ICudaEngine", "get_tensor_dtype"): ENUM,
    ("IBuilderConfig", "create_timing_cache"): "ITimingCache",
    ("IBuilderConfig", "get_timing_cache"): "ITimingCache",
    ("INetworkDefinition", "get_layer"): "ILayer",
    ("INetworkDefinition", "get_input"): "ITensor",
    ("INetworkDefinition", "get_output"): "ITensor",
    ("ILayer", "get_input"): "ITensor",
    ("ILayer", "get_output"): "ITensor",
    ("ILayer", "type"): ENUM,
    ("ITensor", "dtype"): ENUM,
    ("OnnxParser", "get_error"): "ParserError",
    ("ParserError", "code"): ENUM,
}
OF_ANY_ENUM = {"name", "value", "__members__"}
OF_THE_MODULE = {"__name__", "__version__"}
TEXT = {"splitlines", "get"}  # of what ParserError.desc and the like return


class Touched(ast.NodeVisitor):
    """Collects (class, attribute); `kind` is the class of the value of an expression, None where it is ours."""

    def __init__(self):
        self.found: set[tuple[str, str]] = set()
        self.unknown: list[str] = []

    def kind(self, node) -> str | None:
        if isinstance(node, ast.Name):
            return RECEIVERS.get(node.id)
        if isinstance(node, ast.Call):
            return self.kind(node.func)
        if not isinstance(node, ast.Attribute):
            return None
        owner = self.kind(node.value)
        if owner is None:
            return RECEIVERS.get(node.attr)
        if owner == "classes":
            return node.attr
        return RETURNS.get((owner, node.attr))

    def visit_Attribute(self, node):
        owner = self.kind(node.value)
        if owner:
            self.found.add((owner, node.attr))
        elif isinstance(node.value, ast.Call | ast.Attribute) and self._of_a_receiver(node.value):
            self.unknown.append(ast.unparse(node))
        self.generic_visit(node)

    def _of_a_receiver(self, node) -> bool:
        """Whether an expression is an attribute of an object of the library's whose class RETURNS does not know."""
        node = node.func if isinstance(node, ast.Call) else node
        return isinstance(node, ast.Attribute) and self.kind(node.value) is not None and node.attr not in OF_ANY_ENUM

    def visit_Assign(self, node):
        made = self.kind(node.value)
        for target in [one for one in node.targets if isinstance(one, ast.Name)]:
            if made and made != ENUM and RECEIVERS.get(target.id) != made:
                self.unknown.append(f"{target.id} holds a {made}: name it after its class")
        self.generic_visit(node)


def touched(path: Path) -> Touched:
    visitor = Touched()
    visitor.visit(ast.parse(path.read_text()))
    return visitor


def missing(found: set[tuple[str, str]], version: str) -> set[tuple[str, str]]:
    surface = SURFACES[version]
    absent = set()
    for owner, attribute in found:
        if owner == ENUM:
            absent |= {(owner, attribute)} - {(ENUM, name) for name in OF_ANY_ENUM}
        elif owner == "classes":
            absent |= set() if attribute in OF_THE_MODULE | set(surface["classes"]) else {(owner, attribute)}
        elif attribute not in surface.get(owner, ()) and attribute != "__members__":
            absent.add((owner, attribute))
    return absent


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_attribute_is_in_every_recorded_version(path):
    found = touched(path)
    versions = [VERSIONS[-1]] if path.name == "rtx.py" else VERSIONS
    texts = [text for text in found.unknown if text.rsplit(".", 1)[-1] not in TEXT]
    assert texts == [], "classes that the test does not know"
    assert {version: missing(found.found, version) for version in versions} == {version: set() for version in versions}


def test_the_reader_finds_what_is_touched():
    found = set().union(*(touched(path).found for path in FILES))
    assert {
        ("Builder", "build_serialized_network"),
        ("IBuilderConfig", "set_timing_cache"),
        ("NetworkDefinitionCreationFlag", "STRONGLY_TYPED"),
        ("BuilderFlag", "TF32"),
        ("IBuilderConfig", "set_compute_capability"),
        ("Runtime", "get_engine_validity"),
        ("ICudaEngine", "get_tensor_profile_shape"),
        ("IExecutionContext", "execute_async_v3"),
        ("EngineInspector", "get_engine_information"),
        ("ParserError", "node_operator"),
        ("ITensor", "shape"),
        ("ILayer", "num_inputs"),
    } <= found
    assert len(found) > 60


def test_the_reader_finds_what_a_version_lacks():
    visitor = Touched()
    visitor.visit(ast.parse("config.int8_calibrator = None\nsize = loaded.engine.device_memory_size\ntrt.Refitted(1)"))
    assert visitor.found == {
        ("IBuilderConfig", "int8_calibrator"),
        ("ICudaEngine", "device_memory_size"),
        ("classes", "Refitted"),
    }
    assert missing(visitor.found, VERSIONS[-2]) == visitor.found
    assert missing(visitor.found, VERSIONS[0]) == {("classes", "Refitted")}


def test_only_the_file_for_rtx_touches_what_only_rtx_has():
    found = touched(next(path for path in FILES if path.name == "rtx.py")).found
    assert missing(found, VERSIONS[-2]) >= {
        ("classes", "ComputeCapability"),
        ("IBuilderConfig", "set_compute_capability"),
        ("Runtime", "get_engine_validity"),
    }
