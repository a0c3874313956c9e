"""The HTML report: whole, self-contained, and safe to open whatever the names in it."""

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape
from rich.console import Console

from edgefair.files import finite
from edgefair.predictions import Predictions
from edgefair.recipe import parse
from edgefair.report.charts import MOST_CLASSES, build_charts
from edgefair.report.formatting import hundredths, interval, machine, significant, worst_group
from edgefair.report.html import render_html
from edgefair.report.model_card import render_card
from edgefair.report.svg import Axis
from edgefair.report.terminal.run import print_report
from edgefair.report.terminal.tune import print_tuning
from tests.helpers.report_data import HOSTILE, LATENCY, PIXEL, entry, make_gallery, make_report, predictions
from tests.helpers.run_records import make_tuning

REPORT = make_report()
PLAIN = render_html(REPORT, {})


def chart(report: dict, name: str):
    """The chart of that id."""
    return next(made for made in build_charts(report) if made.id == name)


class Skeleton(HTMLParser):
    """The tags of a page with the names of their attributes, in order."""

    def __init__(self, page: str):
        super().__init__()
        self.tags = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, [name for name, _ in attrs]))

    def handle_endtag(self, tag):
        self.tags.append(tag)


def test_shows_every_artefact_and_every_verdict():
    report = make_report()
    page = render_html(report, make_gallery())
    for made in report["artefacts"][:3]:
        assert made["artefact"] in page
        assert made["sha256"] in page
    for made in report["artefacts"][1:3]:
        assert str(escape(made["verdict"]["sentence"])) in page
        assert str(escape(made["fairness"]["sentence"])) in page
        assert all(limit["sentence"] in page for limit in made["limits"])
    assert report["lambda"]["meaning"] in page
    assert "Time of the measuring itself" in page
    assert page.count(PIXEL) == 6
    assert page.count("data-kinds=") == 2
    assert "Something new</dt><dd>1.25" in page


def test_numbers_that_are_added_to_a_metric_are_shown_without_being_asked():
    report = make_report()
    for made in report["artefacts"]:
        made["metrics"]["scores"]["weighted_f1"] = {"value": 0.4321, "interval": [0.4, 0.5]}
        made["metrics"]["disparities"]["some_new_gap"] = made["metrics"]["disparities"]["deo_max"] | {"value": 0.0765}
        for group in made["metrics"]["groups"]:
            group["calibration_error"] = 0.0321
    page = render_html(report, {})
    for words in ("Weighted F1", "43.2", "Some new gap", "7.7", "calibration error 3.2"):
        assert words in page


def test_loads_nothing_from_anywhere():
    page = render_html(make_report(), make_gallery())
    assert not re.search(r"""(?:src|href|srcset|action|data)\s*=\s*["']?\s*(?:https?:)?//|url\((?!#)|@import""", page)
    assert "http:" not in page
    assert "https:" not in page


def test_hostile_names_stay_text():
    names = {"classes": (HOSTILE, "<img src=x onerror=alert(1)>"), "groups": ("<b>g</b>", '"quoted" & \u2028\u202e')}
    artefacts = ("teacher", HOSTILE + "s", HOSTILE + "i")
    report = make_report(**names, names=artefacts, broken_images=1, broken_examples=[HOSTILE], source=HOSTILE)
    report["history"]["student"][0][HOSTILE] = 1.0
    page = render_html(report, make_gallery(**names, path=artefacts))
    assert page.count("<script") == page.count("</script>") == 1
    assert "<img src=x" not in page
    assert "<b>g</b>" not in page
    assert "&lt;b&gt;g&lt;/b&gt;" in page
    assert "\u202e" not in page  # would turn the rest of its line around


@settings(max_examples=20, deadline=None)
@given(st.text(min_size=1), st.text(min_size=1))
@pytest.mark.slow
def test_no_name_changes_what_the_page_is_made_of(label, group):
    report = json.loads(json.dumps(REPORT))
    report["data"]["class_names"][0], report["data"]["group_names"][0] = label, group
    for made in report["artefacts"]:
        made["metrics"]["classes"][0]["name"] = label
        made["provider"] = label
    assert Skeleton(render_html(report, {})).tags == Skeleton(PLAIN).tags


def test_policy_allows_the_script_of_the_page_alone():
    page = render_html(make_report(), {})
    script = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none';")
    assert policy.endswith(f"script-src 'sha256-{digest}'")
    assert not re.search(r"https?:|connect-src|\*", policy)


def test_every_table_has_a_caption_and_every_head_a_scope():
    page = render_html(make_report(), make_gallery())
    assert len(re.findall(r"<table[^>]*>\s*<caption>", page)) == page.count("<table")
    assert not re.findall(r"<th(?! scope=)[ >]", page)
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.count('role="img"') == len(build_charts(REPORT))


@pytest.mark.parametrize("groups", [("a", "b", "c"), tuple("abcdefghij")])
def test_more_than_two_groups_show_gaps(groups):
    report = make_report(groups=groups)
    assert "largest minus smallest" in chart(report, "disparity").svg
    page = render_html(report, make_gallery(groups=groups))
    assert page.count('class="matrix"') == 3 * len(groups)


def test_two_groups_show_the_direction():
    svg = chart(make_report(), "disparity").svg
    assert svg.index("← better for cool") < svg.index("better for warm →")


def test_marks_lie_where_the_disparities_are():
    report = make_report()
    svg = chart(report, "disparity").svg
    ends = re.findall(r'<text x="([0-9.]+)" y="[0-9.]+" text-anchor="middle">([−0-9.]+)<', svg)
    place = {float(words.replace("−", "-")): float(x) for x, words in ends}
    most = max(place)
    slope = (place[most] - place[0]) / most
    values = [100 * row["signed"] for row in report["artefacts"][0]["metrics"]["classes"]]
    marks = [float(x) for x in re.findall(r'cx="([0-9.]+)"', svg)]
    assert marks == pytest.approx([place[0] + slope * value for value in values], abs=0.2)


def test_ticks_are_round_and_inside():
    assert Axis(-14.2, 14.2, 0, 100).ticks() == pytest.approx([-10, -5, 0, 5, 10])
    assert Axis(0.5, 3.5, 0, 100).ticks(least=1) == [1, 2, 3]
    assert Axis(0, 0.0021, 0, 100).ticks() == pytest.approx([0, 0.0005, 0.001, 0.0015, 0.002])


def test_many_classes_show_the_largest_gaps_and_say_so():
    classes = tuple(f"class {i}" for i in range(60))
    report = make_report(classes=classes)
    page = render_html(report, make_gallery(classes=classes))
    assert chart(report, "disparity").svg.count('class="band"') == MOST_CLASSES
    assert f"{MOST_CLASSES} of 60 classes" in page
    assert all(f"{name}</th>" in page for name in classes)
    assert "The commonest confusions of student" in page
    assert page.count("data-find=") == 4


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
    assert "undefined" in page
    assert "Undefined, for a group has no rows: cow." in page
    assert "cool/cow" in page
    assert "This is not a pass." in page
    assert "Not shown, for a number is undefined: teacher, student" in chart(report, "tradeoff").caption


def test_speed_shows_ratios_with_intervals_and_how_still_the_machine_was():
    assert '3.25<br><span class="note">3.10 to 3.40</span></td><td>student</td><td>faster</td>' in PLAIN
    assert "ort-cpu-fp32 loaded twice and measured beside itself was 1.12 times as fast (1.00 to 1.25)" in PLAIN
    assert "too noisy, and every comparison is inconclusive." in PLAIN


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
    assert "undefined" in render_html(report, {})


def test_no_training_and_no_images():
    report = make_report() | {"history": {"teacher": [], "student": []}, "export": None, "stage_seconds": {}}
    page = render_html(report, {"cells": [], "path": [], "flips": []})
    assert "Nothing was trained" in page
    assert not [chart for chart in build_charts(report) if chart.section == "training"]


def test_one_epoch_is_drawn_as_points():
    charts = {chart.id: chart.svg for chart in build_charts(make_report())}
    assert {"student-loss", "student-validation"} < set(charts)
    assert "teacher-loss" not in charts
    assert charts["student-loss"].count("<circle") == 3


def test_the_null_runtime_is_in_no_chart():
    text = "".join(chart.svg for chart in build_charts(make_report()))
    assert ">teacher<" in text
    assert ">null<" not in text


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


def test_what_could_not_be_run_is_named_with_its_reason_and_is_no_pass():
    report = make_report()
    report["artefacts"][1]["outcome"] = report["artefacts"][2]["outcome"] = "pass"
    about = {"artefact": "tensorrt-fp16", "file": "x.engine", "sha256": "ab" * 32, "precision": "fp16"}
    about |= {"target": "tensorrt", "bytes": 10**6, "reason": "no driver answers.", "details": {"layers.Half": 0.9}}
    report |= {"outcome": "inconclusive", "unverified": [about]}
    page = render_html(report, {})
    assert "Built, not verified on a device: no driver answers." in page
    assert "Yet this is not a pass. Not verified on a device, and so not passed: tensorrt-fp16." in page
    assert "layers.Half" in page
    card = render_card(report)
    assert "tensorrt-fp16" in card
    assert "no driver answers" in card


def test_a_simulated_latency_is_called_so():
    report = make_report()
    report["artefacts"][2]["latency_meaning"] = "int8 simulated in float: not the latency of int8"
    assert "int8 simulated in float: not the latency of int8" in render_html(report, {})
    report["artefacts"][2]["latency_meaning"] = "as run"
    assert ">as run<" not in render_html(report, {})
    report["artefacts"][2]["latency_meaning"] = "int8 simulated"
    console = Console(file=io.StringIO(), width=120)
    print_report(report, console)
    assert "ort-cpu-int8: int8 simulated." in console.file.getvalue()


def test_a_search_is_shown_where_one_chose_the_recipe():
    report = finite(REPORT | {"tuning": make_tuning(parse({}))})
    page, card = render_html(report, {}), render_card(report)
    assert "How the recipe was chosen" in page
    assert "Chosen: made up." in page
    assert "loss none, plain" in page
    assert "| how the recipe was chosen | Chosen: made up. |" in card
    assert "How the recipe was chosen" not in PLAIN
    console = Console(record=True, width=150, file=io.StringIO())
    print_tuning(report["tuning"], console)
    assert "Chosen: made up." in console.export_text()
