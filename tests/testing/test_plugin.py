"""The pytest plugin in suites of its own: outcomes, the baseline file, and no harm to suites that do not use it."""

import json
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from edgefair.gate import compare
from edgefair.testing import plugin
from edgefair.testing.baseline import Baseline
from edgefair.testing.facts import compare_facts, observe

pytest_plugins = "pytester"

UPDATE = "--edgefair-update-baseline"
DATA = """
import numpy as np
import pytest
from edgefair.predictions import Predictions
from edgefair.testing import assert_fair
from edgefair.gate import Tolerance

def model(cell_rows=400, hurt=0, shuffle=False, groups=2):
    group, label = (axis.repeat(cell_rows) for axis in np.indices((2, 3)).reshape(2, -1))
    predicted = label.copy()
    predicted[::7] = (label[::7] + 1) % 3
    predicted[np.flatnonzero((group == 1) & (predicted == label))[:hurt]] = 0
    order = np.random.default_rng(0).permutation(len(label)) if shuffle else np.arange(len(label))
    return Predictions(
        ids=np.array([f"r{i}" for i in range(len(label))])[order], labels=label[order], groups=group[order],
        logits=np.eye(3, dtype=np.float32)[predicted][order], class_names=("a", "b", "c"),
        group_names=("x", "y", "z")[:groups], about={"sha256": "ab" * 32, "runtime": "test", "version": "1"},
    )
"""
OUTCOMES = (
    DATA
    + """
def test_good(edgefair_gate):
    edgefair_gate(model(), model())

def test_bad():
    assert_fair(model(), model(hurt=900))

def test_few():
    assert_fair(model(20), model(20))
"""
)
BASELINE = (
    DATA
    + """
HURT = <hurt>
def test_engine(fairness_baseline):
    fairness_baseline.check("int8", <call>)
"""
)


def run(pytester, *arguments):
    """A session inside this one, with our plugin alone: loading the others anew takes seconds each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.runpytest_inprocess(*arguments, plugins=[plugin])


def suite(pytester, hurt=0, call="model(hurt=HURT)"):
    pytester.makepyfile(test_engine=BASELINE.replace("<hurt>", str(hurt)).replace("<call>", call))


@pytest.fixture(autouse=True)
def no_ci(monkeypatch):
    monkeypatch.delenv("CI", raising=False)


def stored(pytester) -> dict:
    return json.loads((pytester.path / "fairness-baseline.json").read_text())["engines"]


def test_inconclusive_is_an_outcome_of_its_own_and_fails_the_session(pytester):
    pytester.makepyfile(OUTCOMES)
    result = run(pytester, "-v", "--junit-xml=out.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*test_good PASSED*",
            "*test_bad FAILED*",
            "*test_few INCONCLUSIVE*",
            "*Unfair: FAIL. On 2,400 rows*",
            "*= fairness inconclusive =*",
            "*test_few: INCONCLUSIVE. On 120 rows*",
            "1 inconclusive: too few rows to know, which is not a pass.",
            "*1 failed, 1 passed, 1 inconclusive*",
        ]
    )
    root = ElementTree.parse(pytester.path / "out.xml").getroot().find("testsuite")
    assert (root.get("tests"), root.get("failures")) == ("3", "2")
    assert [p.get("name") for p in root.iter("property")] == ["edgefair_reference_sha256", "edgefair_candidate_sha256"]


def test_inconclusive_alone_is_never_a_green_session(pytester):
    pytester.makepyfile(OUTCOMES)
    result = run(pytester, "-k", "few", "-q")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["I *"])


def test_warn_lets_the_session_pass_but_never_the_test(pytester):
    pytester.makepyfile(OUTCOMES)
    pytester.makeini("[pytest]\nedgefair_inconclusive = warn")
    result = run(pytester, "-k", "few or good", "--junit-xml=out.xml")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_few: INCONCLUSIVE*", "1 inconclusive: *= warn*", "*1 passed*1 inconclusive*"])
    root = ElementTree.parse(pytester.path / "out.xml").getroot().find("testsuite")
    assert (root.get("tests"), root.get("skipped"), root.get("failures")) == ("2", "1", "0")


def test_an_expected_inconclusive_is_pytests_own_xfail(pytester):
    pytester.makepyfile(DATA + "@pytest.mark.xfail\ndef test_few():\n    assert_fair(model(20), model(20))\n")
    run(pytester).assert_outcomes(xfailed=1)


def test_an_unknown_ini_value_is_a_usage_error(pytester):
    pytester.makeini("[pytest]\nedgefair_inconclusive = ignore")
    result = run(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*edgefair_inconclusive is 'ignore'; allowed are fail and warn*"])


def test_a_baseline_is_made_kept_and_enforced(pytester):
    suite(pytester)
    result = run(pytester)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [f"*has no entry 'int8'; the file has none. To add it, run: pytest *test_engine* {UPDATE}*"]
    )
    assert not (pytester.path / "fairness-baseline.json").exists()
    run(pytester, UPDATE).assert_outcomes(passed=1)
    first = (pytester.path / "fairness-baseline.json").read_bytes()
    run(pytester).assert_outcomes(passed=1)
    run(pytester, UPDATE).assert_outcomes(passed=1)
    assert (pytester.path / "fairness-baseline.json").read_bytes() == first  # a stable diff
    entry = stored(pytester)["int8"]
    assert entry["cells_right_of"]["y"]["c"] == "343 of 400"
    assert entry["allowed"]["mean_drift_points"] == 2.0
    assert entry["made_by"]["sha256"] == "ab" * 32
    suite(pytester, hurt=700)
    result = run(pytester)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*Unfair: 'int8' became less fair than fairness-baseline.json allows, on these rows: *"]
    )
    assert (pytester.path / "fairness-baseline.json").read_bytes() == first


def test_reordered_rows_are_the_same_rows_and_others_are_refused(pytester):
    suite(pytester)
    run(pytester, UPDATE)
    suite(pytester, call="model(shuffle=True)")
    run(pytester).assert_outcomes(passed=1)
    suite(pytester, call="model(cell_rows=399)")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*'int8' was predicted on other rows than its entry*rows was 2400, is 2394*"])


def test_a_reference_adds_the_paired_gate(pytester):
    suite(pytester, call="model(hurt=900)")
    run(pytester, UPDATE)
    suite(pytester, call="model(hurt=900), reference=model()")
    for arguments in ((UPDATE,), ()):
        result = run(pytester, *arguments)
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*Unfair: FAIL. On 2,400 rows*"])


def test_an_engine_that_the_gate_refuses_is_not_written(pytester):
    suite(pytester, call="model(hurt=900), reference=model()")
    run(pytester, UPDATE).assert_outcomes(failed=1)
    assert not (pytester.path / "fairness-baseline.json").exists()
    suite(pytester, call="model(20), reference=model(20)")
    assert run(pytester, UPDATE).ret == 1
    assert stored(pytester)["int8"]["rows"] == 120  # too few rows for the gate, enough for facts


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda entry: entry["allowed"].update(mean_drft_points=9),
            "engines.int8.allowed.mean_drft_points is 9, which is no field of it",
        ),
        (
            lambda entry: entry["group_accuracy_percent"].pop("x"),
            "group_accuracy_percent has ['y']; ['x', 'y'] are needed. Restore it",
        ),
        (lambda entry: entry.pop("predicted"), "engines.int8.predicted is missing. Restore it"),
    ],
)
def test_a_damaged_entry_is_an_error_that_says_how_to_mend_it(pytester, damage, words):
    suite(pytester)
    run(pytester, UPDATE)
    file = pytester.path / "fairness-baseline.json"
    content = json.loads(file.read_text())
    damage(content["engines"]["int8"])
    file.write_text(json.dumps(content))
    result = run(pytester)
    result.assert_outcomes(failed=1)
    assert words in result.stdout.str()


def test_a_wider_tolerance_must_be_in_the_reviewed_file(pytester):
    suite(pytester)
    run(pytester, UPDATE)
    suite(pytester, call="model(), tolerance=Tolerance(mean_drift_points=50)")
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*tolerance of 'int8' is mean_drift_points = 50 in the test and 2.0 in*"])
    run(pytester, UPDATE).assert_outcomes(passed=1)
    run(pytester).assert_outcomes(passed=1)
    suite(pytester)
    run(pytester, UPDATE)
    assert stored(pytester)["int8"]["allowed"]["mean_drift_points"] == 50  # updating values does not move the limits


def test_an_undeclared_group_makes_the_facts_inconclusive(pytester):
    suite(pytester, call="model(groups=3)")
    run(pytester, UPDATE)
    result = run(pytester)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*'int8': accuracy of z undefined; no rows of z/a, z/b, z/c.*"])


def test_ci_does_not_update_unless_told(pytester, monkeypatch):
    suite(pytester)
    monkeypatch.setenv("CI", "true")
    result = run(pytester, UPDATE)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*is refused because CI is set to 'true'*"])
    assert not (pytester.path / "fairness-baseline.json").exists()
    run(pytester, UPDATE, "--edgefair-update-in-ci").assert_outcomes(passed=1)
    monkeypatch.setenv("CI", "false")
    run(pytester, UPDATE).assert_outcomes(passed=1)


def test_the_baseline_may_lie_elsewhere(pytester):
    pytester.makeini("[pytest]\nedgefair_baseline = models/fair.json")
    suite(pytester)
    run(pytester, UPDATE).assert_outcomes(passed=1)
    assert (pytester.path / "models" / "fair.json").is_file()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not a readable fairness baseline"),
        ("[]", "is not a readable fairness baseline: it is a list of 0; an object is needed"),
        ('{"schema": 9}', "has schema 9; this version reads 1"),
        ('{"schema": 1, "engines": {"int8": {}}}', "engines.int8.allowed is missing"),
    ],
)
def test_a_broken_baseline_is_an_error_that_says_so(pytester, content, words):
    suite(pytester)
    (pytester.path / "fairness-baseline.json").write_text(content)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*{words}*"])


def test_a_collapsed_engine_fails_by_what_it_never_says(tmp_path):
    namespace: dict = {}
    exec(DATA, namespace)
    model = namespace["model"]()
    wide = namespace["Tolerance"](100, None, 100, 100)
    Baseline(tmp_path / "b.json", update=True).check("e", model, tolerance=wide)
    from dataclasses import replace

    from edgefair.testing import Unfair

    collapsed = replace(model, logits=np.eye(3, dtype=np.float32)[np.zeros(len(model.ids), dtype=int)])
    with pytest.raises(Unfair, match="never predicted any more: b, c"):
        Baseline(tmp_path / "b.json").check("e", collapsed)


def test_facts_are_what_the_gate_observes():
    namespace: dict = {}
    exec(DATA, namespace)
    before, now = (namespace["model"](hurt=hurt) for hurt in (0, 800))
    tolerance = namespace["Tolerance"](max_drift_points=5.0)
    facts = {fact.what: fact.worse for fact in compare_facts(observe(before, tolerance), observe(now, tolerance))}
    observed = {check.name: check.value for check in compare(before, now, tolerance).checks}
    assert facts["accuracy"] == pytest.approx(observed["accuracy_drop"], abs=1e-3)
    assert facts["accuracy of y"] == pytest.approx(observed["worst_group_drop"], abs=1e-3)
    assert facts["mean disparity"] == pytest.approx(observed["mean_drift"], abs=1e-3)
    assert facts["max disparity"] == pytest.approx(observed["max_drift"], abs=1e-3)


@pytest.mark.slow
def test_a_suite_that_does_not_use_it_loads_nothing(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_light():
            heavy = {"numpy", "torch", "rich", "pydantic", "click", "onnxruntime"} & set(sys.modules)
            assert not heavy
            assert "edgefair.testing.plugin" in sys.modules
        """
    )
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(pytester.path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=pytester.path)
    assert done.returncode == 0, done.stdout
