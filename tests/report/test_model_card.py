"""The model card: front matter that a hub reads, a body that a person reads, and names that stay names."""

import pytest
from huggingface_hub import ModelCard

from edgefair.report.formatting import cell
from edgefair.report.model_card import render_card
from tests.helpers.report_data import HOSTILE, make_report


def parts(card: str) -> tuple[dict, str]:
    """(front matter, body)."""
    assert card.startswith("---\n")
    read = ModelCard(card)
    return read.data.to_dict(), read.text


def test_front_matter_names_the_metrics_of_every_artefact_that_ships():
    report = make_report()
    front, _ = parts(render_card(report))
    (result,) = front["model-index"][0]["results"]
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    metrics = report["artefacts"][2]["metrics"]
    assert "ort-cpu-int8" in result["task"]["name"]
    assert values["accuracy"] == pytest.approx(metrics["scores"]["accuracy"]["value"], abs=1e-6)
    gap = metrics["disparities"]["mean_abs_disparity"]
    assert values["mean_abs_disparity"] == pytest.approx(gap["value"], abs=1e-6)
    assert values["mean_abs_disparity_noise_floor"] == pytest.approx(gap["floor"], abs=1e-6)
    assert front["license"] == "other"
    assert {"knowledge-distillation", "fairness", "onnx"} <= set(front["tags"])


def test_the_hub_reads_it():
    card = ModelCard(render_card(make_report(terms="CC BY 4.0; cite somebody")))
    assert card.data.license == "cc-by-4.0"
    assert card.data.pipeline_tag == "image-classification"
    found = {result.metric_type: result for result in card.data.eval_results}
    assert {"accuracy", "f1", "mean_abs_disparity", "deo_max"} <= set(found)
    assert found["accuracy"].dataset_split == "gate"
    again = ModelCard(str(card))
    assert again.data.to_dict() == card.data.to_dict()


def test_each_artefact_that_ships_keeps_a_result_of_its_own():
    report = make_report()
    shipped = next(made for made in report["artefacts"] if made.get("verdict", {}).get("claim") == "same")
    second = {**shipped, "artefact": "openvino-int8"}
    report["artefacts"].append(second)
    (index,) = parts(render_card(report))[0]["model-index"]
    assert [result["task"]["name"].split(" ")[0] for result in index["results"]] == ["ort-cpu-int8", "openvino-int8"]
    assert all(metric["name"].endswith("openvino-int8") for metric in index["results"][1]["metrics"])
    recipe = report["recipe"]
    assert index["name"].startswith(f"{recipe['student']['spec']} distilled from {recipe['teacher']['spec']} on ")


def test_the_body_says_verdicts_limits_and_hashes():
    report = make_report()
    _, body = parts(render_card(report))
    headings = [line for line in body.splitlines() if line.startswith("#")]
    assert [h.lstrip("# ") for h in headings[1:]] == [
        "Intended use", "How it was made", "Data and terms", "Metrics", "By group", "Limits", "Files",
    ]  # fmt: skip
    for made in report["artefacts"][:3]:
        assert made["sha256"] in body
    for made in report["artefacts"][1:3]:
        assert f"**{made['outcome']}**" in body
        assert cell(made["fairness"]["sentence"]) in body
    assert report["recipe_sha256"] in body
    assert all(hash_ in body for hash_ in report["data"]["id_hashes"].values())


def test_every_row_of_a_table_has_the_columns_of_its_head():
    _, body = parts(render_card(make_report(classes=("a|b", "c\nd"), groups=("x|y", "`z`"))))
    width = None
    for line in body.splitlines():
        columns = line.replace("\\|", "").strip().count("|") if line.startswith("|") else None
        assert width is None or columns in (width, None)
        width = columns


def test_undefined_numbers_are_left_out_of_the_front_matter_and_named_in_the_body():
    report = make_report()
    for made in report["artefacts"]:
        made["metrics"]["disparities"]["deo_max"] = dict.fromkeys(("value", "floor", "floor_q95", "p_value"))
    front, body = parts(render_card(report))
    assert "deo_max" not in {m["type"] for m in front["model-index"][0]["results"][0]["metrics"]}
    assert "DEO max (noise floor) | undefined (undefined)" in body


def test_hostile_names_stay_text():
    names = {"classes": (HOSTILE, "[x](javascript:alert(1))"), "groups": ("---\nlicense: mit", "![i](u)")}
    card = render_card(make_report(**names, name="a: b\n---\n# c", names=("teacher", HOSTILE + "s", HOSTILE + "i")))
    front, body = parts(card)
    assert front["license"] == "other"
    assert front["model-index"][0]["results"][0]["dataset"]["name"] == "a: b --- # c"
    assert "<script" not in body.replace("\\<", "")
    assert "[x](" not in body
    assert "![i](" not in body
    assert "\nlicense: mit" not in body
