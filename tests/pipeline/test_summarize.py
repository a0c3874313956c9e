"""Several seeds: means, intervals and tests equal SciPy's, and no word without its test."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from edgefair.cli import cli
from edgefair.errors import RecipeError, RunFolderError
from edgefair.files import write_json
from edgefair.metrics.fairness_claim import NO_WORD
from edgefair.metrics.hypothesis_tests import holm
from edgefair.pipeline.summarize import HEADLINES, class_bias, compare_runs, load_runs, summarize_runs
from edgefair.report.terminal.summary import bias_sentence, claims
from tests.helpers.report_runs import report_run as run

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Four seeds of an unequal recipe and four of a fairer one."""
    root = tmp_path_factory.mktemp("runs")
    unequal = [run(root / f"a{s}", s, (0.1, 0.45), loss={"name": "none"}) for s in range(4)]
    return unequal, [run(root / f"b{s}", s, (0.2, 0.25)) for s in range(4)]


def values(reports, artefact, metric):
    """The metric of each run, read here in another way."""
    found = [next(e for e in r["artefacts"] if e["artefact"] == artefact)["metrics"] for r in reports]
    return np.array([m[HEADLINES[metric][0]][metric]["value"] for m in found])


def test_mean_and_interval_equal_scipy(runs):
    reports = load_runs(runs[0])
    summary = summarize_runs(reports)
    assert summary["seeds"] == [0, 1, 2, 3]
    assert list(summary["artefacts"]) == ["teacher", "student", "ort-cpu-int8"]
    for artefact, metrics in summary["artefacts"].items():
        for metric, spread in metrics.items():
            x = values(reports, artefact, metric)
            assert spread["mean"] == pytest.approx(x.mean())
            assert spread["interval"] == pytest.approx(stats.t.interval(0.95, 3, x.mean(), stats.sem(x)), abs=1e-10)
            assert spread["range"] == [x.min(), x.max()]
    assert 0 < summary["artefacts"]["student"]["deo_max"]["floor"] < 0.2


@pytest.mark.parametrize("same_seeds", [True, False])
def test_tests_equal_scipy_and_holm_runs_over_the_metrics(runs, same_seeds):
    ours, theirs = load_runs(runs[1] if same_seeds else runs[1][1:]), load_runs(runs[0])
    comparison = compare_runs(ours, theirs)
    assert comparison["test"].startswith("paired" if same_seeds else "Welch")
    for artefact, tests in comparison["artefacts"].items():
        for metric, test in tests.items():
            a, b = values(ours, artefact, metric), values(theirs, artefact, metric)
            known = stats.ttest_rel(a, b) if same_seeds else stats.ttest_ind(a, b, equal_var=False)
            ends = known.confidence_interval()
            assert (test["t"], test["p"]) == pytest.approx((known.statistic, known.pvalue))
            assert test["interval"] == pytest.approx([ends.low, ends.high], abs=1e-9)
        adjusted = holm([test["p"] for test in tests.values()])
        assert [test["p_holm"] for test in tests.values()] == adjusted.tolist()


def test_fairer_is_said_where_the_test_supports_it_and_nowhere_else(runs):
    unequal, fair = (load_runs(side) for side in runs)
    tests = compare_runs(fair, unequal)["artefacts"]["student"]
    assert tests["mean_abs_disparity"]["word"] == "fairer"
    assert compare_runs(unequal, fair)["artefacts"]["student"]["mean_abs_disparity"]["word"] == "less fair"
    few = compare_runs(fair[:1], unequal[:1])
    assert {test["word"] for test in few["artefacts"]["student"].values()} == {NO_WORD}
    assert np.isnan(few["artefacts"]["student"]["accuracy"]["p"])
    for test in tests.values():
        assert (test["word"] == NO_WORD) == (not test["p_holm"] < 0.05)
    same = compare_runs(fair, fair)
    assert {test["word"] for metrics in same["artefacts"].values() for test in metrics.values()} == {NO_WORD}
    assert all("is not shown to be fairer or less fair (" in sentence for sentence in claims(same))
    assert any(
        s.startswith("student is fairer (paired t-test") and "4 seeds" in s for s in claims(compare_runs(fair, unequal))
    )


def test_class_bias_finds_the_class_that_was_sacrificed(tmp_path):
    before, after = (load_runs([run(tmp_path / f"{k}{s}", s + 10 * i) for s in range(4)]) for i, k in enumerate("ab"))
    assert class_bias(before[:1], "student", after, "student") is None
    assert "takes two seeds" in bias_sentence("x", None)
    for report in after:
        made = next(e for e in report["artefacts"] if e["artefact"] == "student")
        table = np.array(made["metrics"]["confusion"])
        table[:, 2, 0] += table[:, 2, 2] - 5
        table[:, 2, 2] = 5
        made["metrics"]["confusion"] = table.tolist()
    bias = class_bias(before, "student", after, "student")
    assert "cow" in bias["named"]
    assert bias["holm"] <= bias["raw"] <= bias["classes"] == 3
    assert "cow" in bias_sentence("x", bias)


def test_undefined_stays_undefined_with_its_count(tmp_path):
    folders = [run(tmp_path / f"{s}", s) for s in range(3)]
    report = json.loads((folders[0] / "report.json").read_text())
    report["artefacts"][1]["metrics"]["disparities"]["deo_max"] |= {"value": None, "floor": None}
    write_json(folders[0] / "report.json", report)
    spread = summarize_runs(load_runs(folders))["artefacts"]["student"]["deo_max"]
    assert np.isnan([spread["mean"], *spread["interval"], spread["floor"]]).all()
    assert (spread["undefined"], spread["n"]) == (1, 3)


def test_runs_that_do_not_belong_together_are_refused(tmp_path):
    first = run(tmp_path / "a", 0)
    with pytest.raises(RecipeError, match=r"strategy\.lam: 0\.5 and 2\.0"):
        load_runs([first, run(tmp_path / "b", 1, strategy={"lam": 2.0})])
    with pytest.raises(RecipeError, match="class_names"):
        load_runs([first, run(tmp_path / "c", 1, about={"class_names": ("a", "b", "c")})])
    with pytest.raises(RecipeError, match="seed 0 stands in two"):
        load_runs([first, run(tmp_path / "d", 0)])
    with pytest.raises(RecipeError, match="same classes and groups"):
        compare_runs(load_runs([first]), load_runs([run(tmp_path / "e", 0, about={"group_names": ("x", "y")})]))
    (tmp_path / "f").mkdir()
    with pytest.raises(RunFolderError, match="not a readable report of a finished run"):
        load_runs([tmp_path / "f"])
    (tmp_path / "f" / "report.json").write_text('{"recipe": {}')
    with pytest.raises(RunFolderError, match="it is no JSON"):
        load_runs([tmp_path / "f"])
    paths = {"name": "manifest", "path": "x.csv"}, {"name": "manifest", "path": "y.csv"}
    load_runs([run(tmp_path / f"p{i}", i, data=data) for i, data in enumerate(paths)])


def against(folders):
    return [word for folder in folders for word in ("--against", folder)]


def test_several_runs_behind_one_against_are_refused_with_the_remedy(runs):
    theirs, ours = ([str(folder) for folder in side] for side in runs)
    done = CliRunner().invoke(cli, ["summarize", *ours, "--against", *theirs])
    assert isinstance(done.exception, RecipeError)
    assert "--against RUN --against RUN" in str(done.exception)


def test_the_command_prints_tables_and_writes_json(runs, tmp_path):
    unequal, fair = ([str(folder) for folder in side] for side in runs)
    file, page = tmp_path / "summary.json", tmp_path / "summary.html"
    outputs = ["--json", str(file), "--html", str(page)]
    done = CliRunner().invoke(cli, ["summarize", *fair, *against(unequal), *outputs])
    assert done.exit_code == 0, done.output
    assert "student is fairer (paired t-test" in done.output
    assert "undistilled student against distilled" in done.output
    stored = json.loads(file.read_text())
    assert stored["summary"]["seeds"] == stored["against"]["seeds"] == [0, 1, 2, 3]
    assert stored["comparison"]["artefacts"]["student"]["mean_abs_disparity"]["word"] == "fairer"
    assert page.read_text().count("<svg") >= len(HEADLINES)
    assert "student is fairer (paired t-test" in page.read_text()
    assert "<script" not in page.read_text()
    alone = CliRunner().invoke(cli, ["summarize", fair[0]])
    assert alone.exit_code == 0, alone.output
    assert "undefined" in alone.output
    assert "fairer" not in alone.output
