"""The HTML report: whole, self-contained, and safe to open whatever the names in it."""

import json
import re

import numpy as np
import pytest
from markupsafe import escape

from edgefair.evaluate import evaluate
from edgefair.files import finite
from edgefair.gate import Tolerance, compare
from edgefair.predictions import Predictions
from edgefair.recipe import parse
from edgefair.report.charts import MOST_CLASSES, build_charts
from edgefair.report.html import hundredths, interval, machine, render_html, script_json, significant, worst_group

PIXEL = "data:image/png;base64,iVBORw0KGgo="
HOSTILE = "</script><script>alert('x')</script>"
LATENCY = {"p50_ms": 0.2, "p90_ms": 0.31, "p99_ms": 1.5, "mean_ms": 0.25, "calls": 20}
EPOCH = {"loss": 2.0, "ce": 1.5, "adversary": 0.7, "validation_accuracy": 0.4, "validation_balanced": None}


def predictions(name: str, classes: tuple, groups: tuple, per_cell: int = 6, wrong: float = 0.3, seed: int = 0):
    """Rows of every cell, a share of them predicted at random."""
    rng = np.random.default_rng(seed)
    labels, owners = (part.ravel() for part in np.indices((len(classes), len(groups))))
    labels, owners = np.repeat(labels, per_cell), np.repeat(owners, per_cell)
    predicted = np.where(rng.random(len(labels)) < wrong, rng.integers(len(classes), size=len(labels)), labels)
    logits = np.eye(len(classes), dtype=np.float32)[predicted] * 4
    about = {
        "artefact": name, "file": f"{name}.onnx", "sha256": "ab" * 32, "precision": "fp32", "bytes": 361604,
        "runtime": "onnxruntime", "version": "1.22", "provider": "cpu", "threads": 1, "machine": {"processor": "chip"},
    }  # fmt: skip
    return Predictions(np.arange(len(labels)).astype(str), labels, owners, logits, classes, groups, about)


def entry(mine: Predictions, reference: Predictions | None = None, claim: str = "same") -> dict:
    """What build_report writes of one artefact."""
    made = {**mine.about, "latency": {"1": LATENCY, "32": LATENCY}, "metrics": evaluate(mine, 100, 0)}
    if reference is not None:
        verdict = compare(reference, mine, Tolerance(replicates=100), claim=claim).to_dict()
        limit = {"name": "size_mb", "value": 0.36, "limit": 1.0, "outcome": "pass", "sentence": "file size is fine."}
        outcome = {"reference": reference.about["artefact"], "verdict": verdict, "outcome": verdict["outcome"]}
        made |= {**outcome, "limits": [limit]}
    return made


def make_report(classes=("cat", "dog"), groups=("warm", "cool"), names=("teacher", "student", "ort-int8"), **about):
    """A report of the real shape, from predictions made here."""
    teacher, student, int8 = (predictions(name, classes, groups, seed=i) for i, name in enumerate(names))
    null = entry(predictions("null", classes, groups)) | {"runtime": "null"}
    artefacts = [entry(teacher), entry(student, teacher, "no_worse"), entry(int8, student), null]
    cells = np.full((len(groups), len(classes)), 6)
    lists = ("train", "meta", "validation", "calibration", "gate")
    recipe = parse({})
    calibration = {"method": "minmax", "rows": 20, "ids_sha256": "ef"}
    report = {
        "schema": 1, "edgefair": "0.1.0", "created": "2026-01-02T03:04:05+00:00", "outcome": "fail",
        "recipe": recipe.model_dump(mode="json"), "recipe_sha256": recipe.hash,
        "machine": {"processor": "chip", "cores": 2},
        "lambda": {"value": 0.5, "meaning": "adversarial: L = L_task - lambda * L_adv"},
        "data": {
            "name": "trifeature", "source": "rendered", "terms": "none", "class_names": classes, "group_names": groups,
            "image_size": 32, "rows": dict.fromkeys(lists, int(cells.sum())), "cells": dict.fromkeys(lists, cells),
            "id_hashes": dict.fromkeys(lists, "cd" * 32), **about,
        },
        "export": {"opset": 18, "nodes": 24, "parity": {"1": 2e-7}, "calibration": calibration},
        "stage_seconds": {"teacher": 12.3}, "history": {"teacher": [], "student": [{"epoch": 1, **EPOCH}]},
        "artefacts": artefacts,
    }  # fmt: skip
    return finite(report)


def make_gallery(classes=("cat", "dog"), groups=("warm", "cool")) -> dict:
    """A gallery of the real shape."""
    item = {
        "id": "7",
        "image": PIXEL,
        "true": classes[0],
        "group": groups[0],
        "before": classes[0],
        "after": classes[1],
    }
    return {
        "cells": [{"class": c, "group": g, "images": [PIXEL]} for c in classes for g in groups],
        "changed": [{"artefact": "ort-int8", "total": 40, "items": [item]}],
    }


def without_library(page: str) -> str:
    """The page less plotly's own source."""
    first = page.index("<script>")
    return page[:first] + page[page.index("</script>", first) :]


def figures(page: str) -> dict:
    """The figures as the browser will read them."""
    return json.loads(re.search(r"const figures = (.*);\n", page)[1])


def test_shows_every_artefact_and_every_verdict():
    report = make_report()
    page = render_html(report, make_gallery())
    assert page.count("Plotly.react") >= 1
    for made in report["artefacts"][:3]:
        assert made["artefact"] in without_library(page)
        assert made["sha256"] in page
    for made in report["artefacts"][1:3]:
        assert str(escape(made["verdict"]["sentence"])) in page
        assert all(limit["sentence"] in page for limit in made["limits"])
    assert report["lambda"]["meaning"] in page
    assert "Time of the measuring itself" in page
    assert "40 in all, 1 shown" in page
    assert page.count(PIXEL) == 5


def test_loads_nothing_from_anywhere():
    page = without_library(render_html(make_report(), make_gallery()))
    assert not re.search(r"""(?:src|href|srcset|action|data)\s*=\s*["']?\s*(?:https?:)?//|url\(|@import""", page)
    assert "http:" not in page
    assert "https:" not in page
    assert "default-src 'none'" in page.replace("&#39;", "'")


def test_hostile_names_stay_text():
    names = {"classes": (HOSTILE, "<img src=x onerror=alert(1)>"), "groups": ("<b>g</b>", '"quoted" & \u2028')}
    artefacts = ("teacher", HOSTILE + "s", HOSTILE + "i")
    report = make_report(**names, names=artefacts, broken_images=1, broken_examples=[HOSTILE], source=HOSTILE)
    report["history"]["student"][0][HOSTILE] = 1.0
    page = render_html(report, make_gallery(**names))
    assert page.count("<script>") == 2
    shown = without_library(page)
    assert shown.count("</script>") == 2
    assert "<img src=x" not in page
    assert "<b>g</b>" not in shown
    texts = json.dumps(figures(page))
    assert "&lt;/script&gt;" in texts
    assert "<script" not in texts


def test_policy_names_the_scripts_of_the_page():
    page = render_html(make_report(), {})
    assert len(set(re.findall(r"sha256-[A-Za-z0-9+/]{43}=", page))) == 2


def test_script_json_cannot_end_its_script():
    text = script_json({"a": "</script>\u2028&"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script>\u2028&"}


@pytest.mark.parametrize("groups", [("a", "b", "c"), tuple("abcdefg")])
def test_more_than_two_groups_show_gaps(groups):
    report = make_report(groups=groups)
    page = render_html(report, make_gallery(groups=groups))
    chart = figures(page)["disparity"]
    assert "largest minus smallest" in chart["layout"]["yaxis"]["title"]["text"]
    assert chart["data"][1]["y"] == [100 * row["gap"] for row in report["artefacts"][0]["metrics"]["classes"]]


def test_two_groups_show_the_direction():
    title = figures(render_html(make_report(), {}))["disparity"]["layout"]["yaxis"]["title"]["text"]
    assert title == "← cool better · points · warm better →"


def test_many_classes_show_the_largest_gaps_and_say_so():
    classes = tuple(f"class {i}" for i in range(60))
    report = make_report(classes=classes)
    page = render_html(report, make_gallery(classes=classes))
    assert len(figures(page)["disparity"]["layout"]["xaxis"]["ticktext"]) == MOST_CLASSES
    assert f"{MOST_CLASSES} of 60 classes" in page
    assert all(f"{name}</th>" in page for name in classes)


def test_undefined_values_are_called_undefined():
    classes, groups = ("cat", "dog", "cow"), ("warm", "cool")
    whole = predictions("teacher", classes, groups, per_cell=3)
    keep = ~((whole.labels == 2) & (whole.groups == 1))  # no cool cow
    parts = [
        Predictions(p.ids[keep], p.labels[keep], p.groups[keep], p.logits[keep], classes, groups, p.about)
        for p in (
            predictions(name, classes, groups, per_cell=3, seed=i) for i, name in enumerate(("teacher", "student"))
        )
    ]
    report = make_report(classes=classes)
    report["artefacts"] = finite([entry(parts[0]), entry(parts[1], parts[0])])
    report["outcome"] = "inconclusive"
    page = render_html(report, {})
    assert "undefined" in without_library(page)
    assert "Undefined, for a group has no rows: cow." in page
    assert "cool/cow" in page
    assert "This is not a pass." in page
    assert figures(page)["tradeoff"]["data"][0]["y"] == [None]


def test_nothing_measured_at_all_still_renders():
    report = make_report()
    for made in report["artefacts"]:
        metrics = made["metrics"]
        for value in (*metrics["scores"].values(), *metrics["disparities"].values()):
            value.update({key: [None, None] if key == "interval" else None for key in value})
        for value in (*metrics["groups"], *metrics["classes"]):
            value |= dict.fromkeys(set(value) & {"accuracy", "gap", "signed", "floor", "floor_q95", "p_value"})
            value["interval"], value["recall"] = [None, None], [None, None]
        made["latency"] = {"1": dict.fromkeys(LATENCY)}
        for check in made.get("verdict", {}).get("checks", ()):
            check |= {"value": None, "bound": None, "limit": None}
    assert "undefined" in without_library(render_html(report, {}))


def test_no_training_and_no_images():
    report = make_report() | {"history": {"teacher": [], "student": []}, "export": None, "stage_seconds": {}}
    page = render_html(report, {"cells": [], "changed": []})
    assert "Nothing was trained" in page
    assert not [chart for chart in build_charts(report) if chart.section == "training"]


def test_one_epoch_is_drawn_as_points():
    charts = {chart.id: chart.figure for chart in build_charts(make_report())}
    assert {"student-loss", "student-validation"} < set(charts)
    assert "teacher-loss" not in charts
    assert all(line["mode"] == "lines+markers" for line in charts["student-loss"]["data"])


def test_the_null_runtime_is_in_no_chart():
    figures = [chart.figure for chart in build_charts(make_report())]
    names = {trace.get("name") for figure in figures for trace in figure["data"]}
    ticks = {text for figure in figures for text in figure["layout"]["xaxis"].get("ticktext", ())}
    assert "teacher" in names & ticks
    assert "null" not in names | ticks


def test_a_pass_says_so():
    report = make_report()
    same = predictions("teacher", ("cat", "dog"), ("warm", "cool"))
    report["artefacts"] = finite([entry(same), entry(same, same)])
    report["artefacts"][1] |= {"outcome": "pass", "artefact": "student"}
    page = render_html(report | {"outcome": "pass"}, {})
    assert "Every judged model keeps within the tolerances" in page


def test_numbers_have_sensible_digits():
    assert [significant(x) for x in (None, 0.1451, 15.49, 140.2, 2345.6, 0.32)] == [
        "undefined", "0.145", "15.5", "140", "2,346", "0.320",
    ]  # fmt: skip
    assert hundredths(-0.0001) == "0.0"
    assert interval([0.1, 0.25]) == "10.0 to 25.0"
    assert interval([None, None]) == ""
    assert worst_group([{"accuracy": 0.5}, {"accuracy": None}]) == "undefined"
    assert machine({"processor": "chip", "cores": 2, "instructions": [], "gpu": "x"}) == "chip, 2 cores, gpu x"
