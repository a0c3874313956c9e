"""MODEL_CARD.md: the report for a model hub, with metrics in its front matter and everything a user must know below."""

from edgefair.errors import require
from edgefair.report import wording as words
from edgefair.report.formatting import one_line
from edgefair.report.html import objective, templates

# Licence words that data sets state of themselves and that a hub knows by a short name.
LICENCES = {"CC BY 4.0": "cc-by-4.0", "CC0": "cc0-1.0", "CC BY-SA 4.0": "cc-by-sa-4.0", "CC BY-NC 4.0": "cc-by-nc-4.0"}
METRICS = {"accuracy": "accuracy", "macro_f1": "f1", "macro_recall": "recall", "macro_precision": "precision"}
METRICS |= {"auroc": "roc_auc"}


def render_card(report: dict) -> str:
    """The model card; `report` is build_report's with NaN as None. Raises MissingExtra without jinja2 and PyYAML.

    Front matter is what Hugging Face reads (`model-index`, one result an artefact that ships); rates are shares of one.
    Undefined numbers are left out there, for a hub has no word for them; the body calls them undefined.
    """
    yaml = require("yaml", "report", "the model card")
    environment = templates(autoescape=False)
    shown = [entry for entry in report["artefacts"] if entry["runtime"] != "null"]
    by_name = {entry["artefact"]: entry for entry in shown}
    judged = [entry for entry in shown if "verdict" in entry]
    front = yaml.safe_dump(front_matter(report), sort_keys=False, allow_unicode=True, width=100)
    body = environment.get_template("MODEL_CARD.md.j2").render(
        report=report,
        recipe=report["recipe"],
        data=report["data"],
        shown=shown,
        judged=judged,
        unverified=report.get("unverified", []),
        meaning=words.meaning(report, judged),
        in_words={e["artefact"]: words.verdict_in_words(e, by_name[e["reference"]]) for e in judged},
        objective=[objective(entry, report["lambda"]["value"]) for entry in shown],
        batch=str(report["recipe"]["bench"]["batches"][0]),
        small_cells=sorted({cell for e in judged for cell in e["verdict"]["numbers"]["small_cells"]}),
    )
    return f"---\n{front}---\n{body}"


def front_matter(report: dict) -> dict:
    """The card's metadata: licence, tags, and `model-index` with the metrics of every artefact that ships."""
    data, recipe = report["data"], report["recipe"]
    shipped = [entry for entry in report["artefacts"] if entry.get("verdict", {}).get("claim") == "same"]
    results = [_result(entry, data) for entry in shipped]
    name = one_line(f"{recipe['student']['spec']} distilled from {recipe['teacher']['spec']} on {data['name']}")
    return {
        "license": LICENCES.get(str(data["terms"]).split(";")[0].strip(), "other"),
        "library_name": "onnx",
        "pipeline_tag": "image-classification",
        "tags": [
            "image-classification", "knowledge-distillation", "fairness", "quantization", "onnx", "edgefair",
            f"loss:{recipe['loss']['name']}", f"strategy:{recipe['strategy']['name']}",
        ],
        "metrics": list(dict.fromkeys(metric["type"] for result in results for metric in result["metrics"])),
        "model-index": [{"name": name, "results": results}],
    }  # fmt: skip


def _result(entry: dict, data: dict) -> dict:
    scores, disparities = entry["metrics"]["scores"], entry["metrics"]["disparities"]
    rows = [(METRICS.get(n, n), words.known_as(words.SCORES, n)[0], s["value"]) for n, s in scores.items()]
    rows += [(n, words.known_as(words.DISPARITIES, n)[0], d["value"]) for n, d in disparities.items()]
    floor = disparities["mean_abs_disparity"]["floor"]
    rows.append(("mean_abs_disparity_noise_floor", "Noise floor of the mean absolute disparity", floor))
    label = one_line(f"{entry['artefact']} ({entry['precision']}, {entry['runtime']})")
    source = one_line(data["name"])
    return {
        "task": {
            "type": "image-classification",
            "name": label,
        },
        "dataset": {
            "type": source,
            "name": source,
            "split": "gate",
            "args": {"rows": entry["metrics"]["rows"]},
        },
        "metrics": [
            {"type": kind, "name": one_line(f"{what} of {entry['artefact']}"), "value": round(value, 6)}
            for kind, what, value in rows
            if value is not None
        ],
    }
