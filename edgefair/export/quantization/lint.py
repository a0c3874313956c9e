"""The dialect linter: what each target would reject, misread, run slowly or compute inexactly in a quantised file.

Pure onnx: no runtime is loaded, so a file can be judged for a device that is not here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgefair.errors import ArtefactError, require
from edgefair.export.quantization.lint_rules import MISREADS, REJECTS, RULES, QuantizedGraph

if TYPE_CHECKING:
    from onnx import ModelProto

SEVERITIES = {
    REJECTS: "does not load, or fails",
    MISREADS: "computes other numbers than the file says",
    "slow": "computes the right numbers slower than it could",
    "inexact": "is exact about a file that wastes accuracy",
}
BLOCKING = (REJECTS, MISREADS)


@dataclass(frozen=True)
class Finding:
    """What a target makes of one node; severity is a key of SEVERITIES, node "" where the whole file is meant."""

    target: str
    severity: str
    node: str
    rule: str
    message: str


def lint(path: Path) -> list[Finding]:
    """Every finding for every target, in the order of the graph within a rule; raises ArtefactError for other files."""
    onnx = require("onnx", "onnx", "the dialect linter")
    path = Path(path)
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's errors share no public base with OSError
        raise ArtefactError(f"{path} is not a readable ONNX file ({type(error).__name__}: {error}).") from error
    if not model.graph.node:
        raise ArtefactError(f"{path} is not an ONNX file: it holds no graph.")
    return lint_model(model)


def lint_model(model: "ModelProto") -> list[Finding]:
    """The same of a ModelProto."""
    graph = QuantizedGraph(model)
    return [
        Finding(target, severity, node, rule, message)
        for rule, check in RULES.items()
        for targets, severity, node, message in check(graph)
        for target in targets
    ]


def blocking(findings: Iterable[Finding], target: str = "") -> list[Finding]:
    """Those that say a file does not compute what it says, for one target or any."""
    return [one for one in findings if one.severity in BLOCKING and target in ("", one.target)]


def summary(findings: Iterable[Finding]) -> list[dict]:
    """Findings that say the same, together: severity, rule, message, targets and nodes; the gravest first."""
    groups: dict[tuple, dict] = {}
    for one in findings:
        entry = groups.setdefault((one.severity, one.rule, one.message), {"targets": {}, "nodes": {}})
        entry["targets"][one.target] = entry["nodes"][one.node] = None
    order = list(SEVERITIES)
    return [
        {"severity": severity, "rule": rule, "message": message, **{name: list(names) for name, names in entry.items()}}
        for (severity, rule, message), entry in sorted(groups.items(), key=lambda item: order.index(item[0][0]))
    ]
