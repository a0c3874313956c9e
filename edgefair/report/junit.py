"""A verification as JUnit XML: one test suite a candidate, one test case a check.

Inconclusive is written as a failure of type "inconclusive": readers of JUnit show a skipped case in green, and
inconclusive is never a pass.
"""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

from edgefair import __version__
from edgefair.files import write_bytes
from edgefair.gate.checks import Check
from edgefair.gate.verification import CandidateVerdict, Result

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def junit_xml(result: Result) -> bytes:
    """The document, UTF-8."""
    root = ET.Element("testsuites", name="edgefair verify")
    for one in result.judged:
        root.append(_suite(one, result))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key)) for suite in root)))
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def write_junit(result: Result, path: Path) -> None:
    """Write the document to `path` atomically."""
    write_bytes(path, junit_xml(result))


def _suite(one: CandidateVerdict, result: Result) -> ET.Element:
    suite = _element("testsuite", name=one.name, timestamp=result.created)
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(one, result):
        properties.append(_element("property", name=name, value=value))
    cases = [_case(one.name, check) for check in one.checks]
    if one.outcome == "error":
        case = _element("testcase", classname=f"edgefair.{one.name}", name="can be judged")
        case.append(_element("error", type="error", message=one.sentence))
        cases.append(case)
    suite.extend(cases)
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("tests", str(len(cases)))
    suite.append(_element("system-out", one.sentence))
    return suite


def _case(name: str, check: Check) -> ET.Element:
    case = _element("testcase", classname=f"edgefair.{name}", name=check.name)
    if not check.gated:
        case.append(_element("skipped", message=check.sentence))
    elif check.outcome != "pass":
        case.append(_element("failure", check.sentence, type=check.outcome, message=check.sentence))
    else:
        case.append(_element("system-out", check.sentence))
    return case


def _properties(one: CandidateVerdict, result: Result) -> list[tuple[str, str]]:
    """Hashes, versions and device: what the verdict belongs to."""
    rows = [
        ("outcome", one.outcome),
        ("edgefair", __version__),
        ("tolerances", ", ".join(f"{name}={value}" for name, value in result.limits.to_dict().items())),
        ("tolerances_sha256", result.limits.hash),
        ("recipe_sha256", result.recipe_sha256 or "none"),
        *(("changed_after_the_run", text) for text in result.changes),
    ]
    for role, source in (("reference", result.reference), ("candidate", one.source)):
        about = source.about() if source else {}
        for key in ("source", "artefact", "sha256", "precision", "runtime", "version", "provider", "rows_sha256"):
            if about.get(key) is not None:
                rows.append((f"{role}_{key}", str(about[key])))
        machine = about.get("machine")
        if isinstance(machine, dict):
            rows.append((f"{role}_device", f"{machine.get('processor')}, {machine.get('system')}"))
    return rows


def _element(tag: str, text: str | None = None, **attributes: str) -> ET.Element:
    element = ET.Element(tag, {name: _NOT_XML.sub("\ufffd", value) for name, value in attributes.items()})
    element.text = None if text is None else _NOT_XML.sub("\ufffd", text)
    return element
