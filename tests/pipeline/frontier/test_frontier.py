"""Runs become points, methods and teachers; wrong folders are named; every file says what the runs say."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file
from scipy import stats

from edgefair.cli import cli
from edgefair.errors import DataError, RunFolderError
from edgefair.files import finite, write_json
from edgefair.pipeline.frontier.build import build_frontier
from edgefair.pipeline.frontier.runs import load_sweep, run_folders
from edgefair.pipeline.summarize import load_runs, summarize_runs
from edgefair.report.frontier.page import render_frontier
from edgefair.report.frontier.write import write_frontier
from tests.helpers.report_runs import report_run

pytestmark = pytest.mark.integration

PAIR = ("teacher", "student")
LAMBDAS = {0.5: (0.15, 0.35), 2.0: (0.25, 0.32)}
LINES = [0.5, 1.0]


def student(folder, seed, wrong, **recipe):
    return report_run(folder, seed, wrong, artefacts=PAIR, **recipe)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Two losses; ckd plain and at two lambdas, two seeds each, deep in folders; rkd of one seed, behind all others."""
    root = tmp_path_factory.mktemp("sweep")
    (root / "grid.toml").write_text("")
    for seed in (0, 1):
        student(root / "runs" / f"plain{seed}", seed, (0.1, 0.45), loss={"name": "ckd"}, strategy={"name": "plain"})
        for lam, wrong in LAMBDAS.items():
            strategy = {"name": "adversarial", "lam": lam}
            student(root / "runs" / "deep" / f"{lam}-{seed}", seed, wrong, loss={"name": "ckd"}, strategy=strategy)
    student(root / "runs" / "rkd", 5, (0.4, 0.8), loss={"name": "rkd"}, strategy={"name": "plain", "lam": 3.0})
    (root / "runs" / "begun").mkdir()
    (root / "runs" / "begun" / "recipe.toml").write_text("seed = 0")
    (root / "teachers" / "abc").mkdir(parents=True)
    (root / "teachers" / "abc" / "recipe.toml").write_text("seed = 0")
    return root


@pytest.fixture(scope="module")
def found(sweep):
    return build_frontier([sweep], "student", LINES)


def test_runs_that_differ_in_their_seed_alone_are_one_point(found):
    (facet,) = found["facets"]
    named = [(p["method"], p["lam"], p["seeds"]) for p in facet["points"]]
    assert named == [
        ("ckd + adversarial", 0.5, [0, 1]), ("ckd + adversarial", 2.0, [0, 1]), ("ckd + plain", 0.0, [0, 1]),
        ("rkd + plain", 0.0, [5]),
    ]  # fmt: skip
    assert [(m["points"], m["plain"]) for m in facet["methods"]] == [([0, 1], 2), ([2], None), ([3], None)]
    assert [one["why"] for one in found["left_out"]] == ["not finished: it has no report.json"]
    (teacher,) = facet["teachers"]
    assert teacher["seeds"] == [0, 1, 5]


def test_numbers_are_those_of_summarize_and_scipy(found):
    point = found["facets"][0]["points"][0]
    known = summarize_runs(load_runs(point["folders"]))["artefacts"]["student"]
    for metric in ("accuracy", "macro_f1", "auroc", "mean_abs_disparity", "deo_max"):
        assert point["metrics"][metric] == known[metric]
    a, d = (np.array(known[metric]["values"]) for metric in ("accuracy", "mean_abs_disparity"))
    for lam, worth in zip(LINES, point["objective"], strict=True):
        assert worth["mean"] == pytest.approx((a - lam * d).mean())
        ends = stats.t.interval(0.95, 1, (a - lam * d).mean(), stats.sem(a - lam * d))
        assert worth["interval"] == pytest.approx(ends, abs=1e-9)
    tables = [json.loads((Path(f) / "report.json").read_text())["artefacts"][1] for f in point["folders"]]
    recall = np.array([np.diagonal(t["metrics"]["confusion"], axis1=1, axis2=2) / 60 for t in tables])  # [S, G, C]
    signed = recall[:, 0] - recall[:, 1]
    assert point["classes"]["mean"] == pytest.approx(signed.mean(axis=0))
    half = stats.t.ppf(0.975, 1) * stats.sem(signed)
    ends = np.stack([signed.mean(axis=0) - half, signed.mean(axis=0) + half], axis=-1)
    assert np.array(point["classes"]["interval"]) == pytest.approx(ends, abs=1e-9)
    assert point["metrics"]["worst_group"]["mean"] == pytest.approx(recall.mean(axis=2).min(axis=1).mean())


def test_the_pareto_set_and_the_best_by_each_line(found):
    points = found["facets"][0]["points"]
    means = [[p["metrics"][m]["mean"] for m in ("accuracy", "mean_abs_disparity")] for p in points]
    for i, (accuracy, disparity) in enumerate(means):
        beaten = any(a >= accuracy and d <= disparity and (a, d) != (accuracy, disparity) for a, d in means)
        assert (points[i]["standing"] == "front") == (not beaten)
    assert points[3]["standing"] == "behind"  # one seed proves nothing
    for line, lam in enumerate(LINES):
        assert found["facets"][0]["best"][line] == int(np.argmax([a - lam * d for a, d in means]))


def test_what_says_one_class_of_everybody_is_named_and_no_part_of_the_choice(sweep, tmp_path):
    folder = student(tmp_path / "bird", 0, (0.1, 0.3), loss={"name": "ckd"}, strategy={"name": "bird"})
    report = json.loads((folder / "report.json").read_text())
    metrics = report["artefacts"][1]["metrics"]
    metrics["confusion"] = [[[60, 0, 0]] * 3] * 2
    metrics["scores"]["accuracy"]["value"], metrics["disparities"]["mean_abs_disparity"]["value"] = 1 / 3, 0.0
    write_json(folder / "report.json", report)
    found = build_frontier([sweep, folder], "student", [0.0, 100.0])
    (facet,) = found["facets"]
    standing = {point["method"]: point["standing"] for point in facet["points"]}
    assert standing["ckd + bird"] == "collapsed"
    assert "front" in standing.values()
    assert facet["points"][facet["best"][1]]["method"] != "ckd + bird"
    page = render_frontier(finite(found))
    assert "One class for nearly everybody:</strong> ckd + bird, λ 0.5." in page
    alone = finite(build_frontier([folder], "student", [1.0]))
    assert alone["facets"][0]["best"] == [None]
    assert "No recipe can be placed" in render_frontier(alone)


def test_without_groups_nothing_is_placed_and_every_file_is_written(tmp_path):
    about = {"group_names": ("all",)}
    folders = [
        student(tmp_path / str(i), 0, (0.1,), about=about, loss={"name": name}) for i, name in enumerate(("ckd", "rkd"))
    ]
    found = finite(build_frontier(folders, "student", LINES))
    assert {point["standing"] for point in found["facets"][0]["points"]} == {"undefined"}
    write_frontier(found, tmp_path / "out")
    assert "No groups are declared, so there is no disparity." in (tmp_path / "out" / "frontier.html").read_text()


def test_more_than_two_groups_have_gaps_and_parameters_are_those_of_the_weights(tmp_path):
    run = student(tmp_path / "run", 0, (0.1, 0.3, 0.2), about={"group_names": ("a", "b", "c")})
    (run / "student").mkdir()
    tensors = {"backbone.w": (3, 4), "backbone.bn.weight": (5,), "backbone.bn.running_mean": (5,), "scale": (1, 3)}
    arrays = {name: np.zeros(shape, dtype=np.float32) for name, shape in tensors.items()}
    save_file(
        arrays | {"backbone.bn.num_batches_tracked": np.zeros((), dtype=np.int64)},
        run / "student" / "student.safetensors",
    )
    (facet,) = build_frontier([run], "student", [])["facets"]
    (point,) = facet["points"]
    assert point["parameters"] == 3 * 4 + 5
    assert facet["teachers"][0]["parameters"] is None
    report = json.loads((run / "report.json").read_text())
    assert point["classes"]["mean"] == [row["gap"] for row in report["artefacts"][1]["metrics"]["classes"]]
    assert not point["classes"]["signed"]


def test_data_sets_are_facets_of_their_own(sweep, tmp_path):
    other = student(tmp_path / "other", 0, (0.1, 0.2), data={"name": "trifeature", "skew": 0.5}, loss={"name": "ckd"})
    names = [facet["name"] for facet in build_frontier([sweep, other], "student", [])["facets"]]
    assert names == ["trifeature, data.skew=0.92", "trifeature, data.skew=0.5"]
    here, there = ({"name": "manifest", "path": f"{place}/faces.csv"} for place in ("a", "b"))
    moved = [student(tmp_path / f"m{i}", i, (0.1, 0.2), data=data) for i, data in enumerate((here, there))]
    assert len(build_frontier(moved, "student", [])["facets"][0]["points"]) == 1


def test_what_tells_recipes_apart_is_said(tmp_path):
    runs = [student(tmp_path / f"{i}", 0, (0.1, 0.2), train={"epochs": n}) for i, n in enumerate((3, 5, 7))]
    runs += [student(tmp_path / "c", 0, (0.1, 0.2), train={"epochs": 3, "sampling": "cell"})]
    runs += [student(tmp_path / "t", 0, (0.1, 0.2), train={"epochs": 3}, teacher={"epochs": 9})]
    (facet,) = build_frontier(runs, "student", [])["facets"]
    assert sorted(p["method"].removeprefix("rkd + adversarial").strip(", ") for p in facet["points"]) == [
        "", "epochs=5", "epochs=7", "sampling=cell", "teacher.epochs=9",
    ]  # fmt: skip
    assert [teacher["name"] for teacher in facet["teachers"]] == ["teacher", "teacher, teacher.epochs=9"]


def test_a_run_that_stands_twice_counts_once_and_a_damaged_one_is_named(sweep, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(sweep / "runs" / "rkd", again / "copy")
    damaged = shutil.copytree(sweep / "runs" / "rkd", again / "damaged")
    (damaged / "report.json").write_text('{"schema": 1')
    linked = again / "linked"
    linked.symlink_to(sweep / "runs")
    loop = again / "loop"
    loop.symlink_to(again)
    reports, left_out = load_sweep([sweep, again], "student")
    assert len(reports) == 7
    reasons = {one["folder"]: one["why"] for one in left_out}
    assert "the same settings and seed as" in reasons[str(again / "copy")]
    assert "is not a readable report of a finished run: it is no JSON" in reasons[str(damaged)]


def test_nothing_inside_a_run_is_a_run(tmp_path):
    run = student(tmp_path / "run", 0, (0.1, 0.2))
    shutil.copytree(run, run / "quantized" / "built")
    (tmp_path / ".hidden").mkdir()
    shutil.copy(run / "report.json", tmp_path / ".hidden")
    assert list(run_folders(tmp_path)) == [run]


def test_wrong_input_is_named(sweep, tmp_path):
    with pytest.raises(RunFolderError, match="has no finished run that can be read"):
        load_sweep([tmp_path], "student")
    with pytest.raises(RunFolderError, match=r"begun: not finished"):
        load_sweep([sweep / "runs" / "begun"], "student")
    with pytest.raises(DataError, match=r"--artefact studnet: no run has it; did you mean 'student'"):
        load_sweep([sweep], "studnet")
    for lines in ("a", "1,,2", "-1", "nan", "inf"):
        done = CliRunner().invoke(cli, ["frontier", str(sweep), "--lambda-line", lines, "--out", str(tmp_path / "o")])
        assert done.exit_code == 2
        assert "no list of numbers from 0 up" in str(done.output) + str(done.exception)
    assert not (tmp_path / "o").exists()


@pytest.fixture(scope="module")
def files(sweep):
    """What the command writes into the folder of the sweep, and what it says."""
    done = CliRunner().invoke(cli, ["frontier", str(sweep), "--lambda-line", "0.5,1"])
    assert done.exit_code == 0, done.output
    return sweep / "frontier", done.output


def test_a_run_folder_is_not_written_into(sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["frontier", str(sweep / "runs" / "rkd")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "frontier" / "frontier.html").is_file()
    assert [path.name for path in (sweep / "runs" / "rkd").iterdir()] == ["report.json"]
    assert "One seed each" in (tmp_path / "frontier" / "frontier.html").read_text()


def test_the_command_says_what_is_best_and_what_it_left_out(files, sweep):
    folder, output = files
    assert "of 4 recipes are worth choosing" in output
    assert f"left out: {sweep}/runs/begun: not finished" in output
    assert f"page: {folder}/frontier.html" in output
    again = CliRunner().invoke(cli, ["frontier", str(sweep), "--lambda-line", "0.5,1"])
    assert again.output == output  # its own files are no runs


def test_csv_says_the_same_as_json(files, found):
    folder, _ = files
    stored = json.loads((folder / "frontier.json").read_text())
    assert stored == json.loads(json.dumps(finite(found)))
    with open(folder / "points.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["role"] for row in rows] == ["teacher"] + ["student"] * 4
    points = [*found["facets"][0]["teachers"], *found["facets"][0]["points"]]
    for row, point in zip(rows, points, strict=True):
        for metric, unit in (("accuracy", "percent"), ("mean_abs_disparity", "points"), ("weighted_f1", "percent")):
            spread = point["metrics"][metric]
            assert float(row[f"{metric}_{unit}"]) == pytest.approx(100 * spread["mean"])
            low = row[f"{metric}_low"]
            assert (
                low == ""
                if np.isnan(spread["interval"][0])
                else float(low) == pytest.approx(100 * spread["interval"][0])
            )
    before, after = (float(rows[i]["accuracy_percent"]) for i in (0, 1))
    assert float(rows[1]["accuracy_lost_of_teacher_percent"]) == pytest.approx(100 * (before - after) / before)
    with open(folder / "classes.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["class"] for row in rows] == ["cat", "dog", "cow"] * 4
    with open(folder / "runs.csv", newline="") as stream:
        assert sorted(int(row["seed"]) for row in csv.DictReader(stream)) == [0, 0, 0, 1, 1, 1, 5]


def test_latex_has_the_papers_tables(files):
    folder, _ = files
    names = {path.name for path in folder.glob("*.tex")}
    assert names == {"results.tex", "distillation-loss.tex", "settings.tex", *(f"classes-{i}.tex" for i in (1, 2, 3))}
    for path in folder.glob("*.tex"):
        text = path.read_text()
        heads, *rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1])
        assert {row.count(" & ") for row in (heads, *rows)} == {columns - 1}
    assert r"$\lambda$ = 0.5" in (folder / "classes-1.tex").read_text()
    assert (folder / "classes-1.tex").read_text().startswith("% trifeature, ckd + adversarial: edgefair ")
    assert r"\textbf{" in (folder / "results.tex").read_text()


def test_the_page_names_everything_and_asks_for_nothing(files):
    page = (files[0] / "frontier.html").read_text()
    for words in (
        "ckd + adversarial, λ 0.5",
        "noise floor",
        "Disparity of each class",
        "runs/begun",
        "One line a method",
    ):
        assert words in page
    assert not re.findall(r"""(?:https?:)?//[\w.]+|(?:src|href)=["'](?!#|data:)""", page)
    assert page.count("<svg") > 5
