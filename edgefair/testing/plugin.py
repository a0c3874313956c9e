"""The pytest plugin: fixtures for fairness regression tests, and inconclusive as an outcome of its own.

It is loaded in every test suite of an environment that edgefair is installed in, so nothing but the standard library
is imported until a fixture is used.
"""

import os
import shlex
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgefair.testing import Inconclusive

if TYPE_CHECKING:
    from edgefair.gate import Tolerance, Verdict
    from edgefair.predictions import Predictions
    from edgefair.testing.baseline import Baseline

FILE = "fairness-baseline.json"
UPDATE = "--edgefair-update-baseline"
IN_CI = "--edgefair-update-in-ci"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("edgefair", "fairness regression tests of exported engines")
    group.addoption(
        UPDATE, action="store_true", default=False, help="write what engines do now into the fairness baseline"
    )
    group.addoption(IN_CI, action="store_true", default=False, help=f"let {UPDATE} work where CI is set")
    parser.addini(
        "edgefair_inconclusive", "what an inconclusive fairness test does to the session: fail or warn", default="fail"
    )
    parser.addini("edgefair_baseline", f"baseline file, from the root folder; default: {FILE} beside the test file")


def pytest_configure(config: pytest.Config) -> None:
    if config.getini("edgefair_inconclusive") not in ("fail", "warn"):
        raise pytest.UsageError(
            f"edgefair_inconclusive is '{config.getini('edgefair_inconclusive')}'; allowed are fail and warn."
        )
    if config.getoption(UPDATE):
        _check_update_allowed(config)


def _check_update_allowed(config: pytest.Config) -> None:
    """A baseline is reviewed before it counts: nothing rewrites it unseen, and no two processes at once."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false") and not config.getoption(IN_CI):
        raise pytest.UsageError(
            f"{UPDATE} is refused because CI is set to '{os.environ['CI']}': a baseline is updated by a person and "
            f"reviewed. Run it on your machine and commit the file, or add {IN_CI}."
        )
    if config.getoption("numprocesses", None) or hasattr(config, "workerinput"):
        raise pytest.UsageError(f"{UPDATE} writes one file; run it without -n (pytest-xdist).")


@pytest.fixture
def fairness_baseline(request: pytest.FixtureRequest) -> "Baseline":
    """The committed baseline: `fairness_baseline.check("engine", predictions, reference=None, tolerance=None)`."""
    from edgefair.testing.baseline import Baseline

    config = request.config
    named = config.getini("edgefair_baseline")
    path = config.rootpath / named if named else Path(request.path).parent / FILE
    return Baseline(path, update=config.getoption(UPDATE), again=f"pytest {shlex.quote(request.node.nodeid)} {UPDATE}")


@pytest.fixture
def edgefair_gate(request: pytest.FixtureRequest) -> "Callable[..., Verdict]":
    """`edgefair_gate(reference, candidate, tolerance=None)`: assert_fair that also records hashes in JUnit."""
    from edgefair.testing import _loaded, assert_fair

    def gate(
        reference: "Predictions | Path | str",
        candidate: "Predictions | Path | str",
        tolerance: "Tolerance | None" = None,
        **how: Any,
    ) -> "Verdict":
        __tracebackhide__ = True
        reference, candidate = _loaded(reference), _loaded(candidate)
        for role, predictions in (("reference", reference), ("candidate", candidate)):
            # As record_property does, which warns in a suite that writes xunit2.
            digits = str(predictions.about.get("sha256", "unknown"))
            request.node.user_properties.append((f"edgefair_{role}_sha256", digits))
        return assert_fair(reference, candidate, tolerance, **how)

    return gate


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator[None, Any, None]:
    outcome = yield
    report = outcome.get_result()
    # A test marked xfail has said what it expects; pytest's own words are right for it.
    if call.excinfo is None or not isinstance(call.excinfo.value, Inconclusive) or hasattr(report, "wasxfail"):
        return
    report.edgefair_inconclusive = str(call.excinfo.value)
    if item.config.getini("edgefair_inconclusive") == "warn":
        path, line, _ = item.location
        report.outcome = "skipped"
        report.longrepr = (path, (line or 0) + 1, f"Inconclusive: {call.excinfo.value}")


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    if getattr(report, "edgefair_inconclusive", None) is not None:
        return "inconclusive", "I", ("INCONCLUSIVE", {"yellow": True, "bold": True})
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = terminalreporter.stats.get("inconclusive", [])
    if not reports:
        return
    terminalreporter.section("fairness inconclusive", sep="=", yellow=True)
    for report in reports:
        terminalreporter.write_line(f"{report.nodeid}: {report.edgefair_inconclusive}", yellow=True)
    warned = config.getini("edgefair_inconclusive") == "warn"
    terminalreporter.write_line(
        f"{len(reports)} inconclusive: too few rows to know, which is not a pass"
        + (" (edgefair_inconclusive = warn: the session does not fail for it)." if warned else ".")
    )
